"""A TFLite file of unknown origin is tried in a process of its own first: LiteRT checks much of a file, but not all.

Of 6,500 files with a few bytes changed, eleven ended the process (LiteRT 2.3: SIGSEGV, SIGABRT), with scales of weights
or missing inputs that no check of the format finds; and a tensor may claim more memory than there is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from genclient.device import interpreter, layout
from genclient.errors import ClientError

if TYPE_CHECKING:
    from genclient.device.generator import DeviceGenerator

_OUT_OF_MEMORY = 3


def rehearse(path: str) -> None:
    """Load a file and make one image in a child process; nothing where processes cannot be forked safely.

    For a program without other threads, such as the command. Errors that LiteRT reports are left to whoever loads the
    file then.

    Raises:
        ClientError: LiteRT is not installed or crashes, the file cannot be read or needs more memory than is free.
    """
    if not sys.platform.startswith("linux"):
        return
    interpreter.litert()  # imported once, before the fork
    content = interpreter.read_file(path)
    code = _in_child(lambda: _run_once(content))
    if code == _OUT_OF_MEMORY:
        raise ClientError(f"{path} is not a TFLite model that LiteRT can run: it needs more memory than is free")
    if code < 0:
        name = signal.Signals(-code).name
        raise ClientError(f"{path} is not a TFLite model that LiteRT can run: LiteRT crashes on it ({name})")


def _in_child(work: Callable[[], int]) -> int:
    """The exit code of a child that does some work in silence; minus the signal that ended it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # numpy's threads do not run while it forks
        child = os.fork()
    if not child:
        code = 1
        try:
            _isolate()
            code = work()
        finally:
            os._exit(code)
    try:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    except BaseException:  # Ctrl-C: the child is of no use any more
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        raise


def _isolate() -> None:
    """Nothing on stderr, no core file, no more memory than is free, and the first to go if that was wrong."""
    import resource

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError):
        Path("/proc/self/oom_score_adj").write_text("1000")
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        free = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
        limit = pages * os.sysconf("SC_PAGE_SIZE") + int(free.split()[1]) * 1024
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def _run_once(content: bytes) -> int:
    try:
        functions = interpreter.functions(interpreter.open_interpreter(content))
        plan = layout.find(functions)
        if plan is not None:
            zeros = {
                name: np.zeros([plan.batch or 1, *(size or 1 for size in (spec.shape or (1,))[1:])], spec.dtype)
                for name, spec in plan.spec().inputs.items()
            }
            functions[plan.signature](plan.given(zeros))
    except MemoryError:
        return _OUT_OF_MEMORY
    except (ClientError, ValueError, RuntimeError, TypeError):
        return 0  # whoever loads it now gets the same error
    return 0


def load_device(path: str, threads: int | None = None) -> DeviceGenerator:
    """The generator in a file.

    Raises:
        ClientError: LiteRT is not installed or crashes on the file, or it cannot be read or is no TFLite model.
    """
    from genclient.device.generator import DeviceGenerator

    with _silent_stderr():
        rehearse(path)
        return DeviceGenerator(path, threads=threads)


@contextlib.contextmanager
def _silent_stderr() -> Iterator[None]:
    """Keep what C++ writes to stderr off the terminal: LiteRT reports its start there. Errors arrive as exceptions."""
    if sys.stderr is None:  # closed: no descriptor to save
        yield
        return
    saved = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
