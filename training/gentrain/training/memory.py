"""When memory does not suffice: one line that says which batch was tried, and which would probably fit.

Python and TensorFlow raise errors that can be caught; C++ code that finds no memory ends the process at once, unless it
is configured otherwise; the system's out-of-memory killer leaves no time at all, so a warning goes before it.
"""

from __future__ import annotations

import ctypes
import math
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gentrain.errors import TrainError

if TYPE_CHECKING:
    from gentrain.training.gan import GAN

# Bytes at the peak of a step for each number that the layers put out, fakes and reals counted (measured, two cores).
BYTES_PER_OUTPUT = {"float32": 7.5, "bfloat16": 5.0}

# The limit of this process' cgroup and what it uses, of versions 2 and 1.
CGROUP_FILES = (
    ("memory.max", "memory.current"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
)


class OutOfMemory:
    """The message about a batch that did not fit; made before the first step, while there is memory."""

    def __init__(self, gan: GAN) -> None:
        self.batch = gan.settings.batch
        self.bytes_per_image = bytes_per_image(gan)
        self.free = available()

    @property
    def largest(self) -> int:
        """The largest power of two that probably fits, below the batch tried; 0 where not even 2 would."""
        fits = min(self.free / self.bytes_per_image, self.batch - 1)
        return 2 ** int(math.log2(fits)) if fits >= 2 else 0

    @property
    def is_likely(self) -> bool:
        """Whether a step probably takes more than there is."""
        return self.batch * self.bytes_per_image > self.free

    @property
    def way_out(self) -> str:
        """What to do."""
        return f"--batch {self.largest} would probably fit" if self.largest else "take a smaller resolution"

    def __str__(self) -> str:
        """One line for the user."""
        return f"out of memory with batch {self.batch}: {self.way_out}"


def bytes_per_image(gan: GAN) -> float:
    """About how many bytes a step takes at its peak for each image of the batch."""
    from gentrain.networks import projected

    s = gan.settings
    made, judged = (sum(map(_outputs, model.layers)) for model in (gan.generator, gan.discriminator))
    seen = projected.seen_size(tuple(gan.generator.output.shape[1:3]))
    looked_through = (s.features_weight or s.likeness_features) and projected.OUTPUTS * math.prod(seen)
    return (made + 2 * judged + looked_through) * BYTES_PER_OUTPUT[s.precision] / gan.replicas


def _outputs(layer: Any) -> int:
    return math.prod(length or 1 for length in layer.output.shape[1:])


def available() -> float:
    """Bytes that this process can still take: of the machine, of its cgroup, and of its own limit (ulimit -v)."""
    left = [math.inf]
    meminfo = _numbers(Path("/proc/meminfo"))
    left += [meminfo["MemAvailable"] * 1024] if "MemAvailable" in meminfo else []
    for most, used in CGROUP_FILES:
        try:
            limit, now = ((Path("/sys/fs/cgroup") / name).read_text().strip() for name in (most, used))
            left.append(float(limit) - float(now))
        except (OSError, ValueError):  # another version of cgroups, or `max`
            pass
    try:
        import resource

        soft, _ = resource.getrlimit(resource.RLIMIT_AS)
        taken = _numbers(Path("/proc/self/status")).get("VmSize", 0) * 1024
        left += [soft - taken] if soft != resource.RLIM_INFINITY else []
    except ImportError:  # not on Windows
        pass
    return max(min(left), 0.0)


def _numbers(path: Path) -> dict[str, int]:
    """The `Name: 123 kB` lines of a file of /proc; nothing where there is none."""
    try:
        lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    except OSError:
        return {}
    return {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) > 1 and words[1].isdigit()}


@contextmanager
def reported_as(failure: OutOfMemory) -> Iterator[None]:
    """Turn an allocation that fails within the block into the line of `failure`, and exit code 1.

    Raises:
        TrainError: where Python or TensorFlow noticed it; where C++ did, the process ends with that line. So it does
            where C++ did not even look, and memory is likely to be too little: oneDNN's kernels for bfloat16 machines.
    """
    import tensorflow as tf

    line = f"gentrain: {failure}\n"
    with _instead_of_abort(line), _instead_of_fault(line) if failure.is_likely else nullcontext():
        try:
            yield
        except (MemoryError, tf.errors.ResourceExhaustedError) as error:
            raise TrainError(str(failure)) from error
        except tf.errors.InternalError as error:
            if "out of memory" not in str(error).lower() and "failed to allocate" not in str(error).lower():
                raise
            raise TrainError(str(failure)) from error


@contextmanager
def _instead_of_abort(line: str) -> Iterator[None]:
    """While the block runs, std::bad_alloc that no C++ code catches prints `line` and exits, without a core dump."""
    if not sys.platform.startswith("linux"):
        yield
        return
    try:
        cpp = ctypes.CDLL("libstdc++.so.6")
        set_handler, thrown = cpp._ZSt13set_terminatePFvvE, cpp.__cxa_current_exception_type
    except (OSError, AttributeError):  # another C++ library
        yield
        return
    set_handler.argtypes, set_handler.restype = [ctypes.c_void_p], ctypes.c_void_p
    thrown.argtypes, thrown.restype = [], ctypes.c_void_p
    data = line.encode()

    def handle() -> None:
        if _name_of(thrown()) == b"St9bad_alloc":
            os.write(2, data)
            os._exit(1)
        os.abort()

    handler = ctypes.CFUNCTYPE(None)(handle)
    before = set_handler(ctypes.cast(handler, ctypes.c_void_p))
    try:
        yield
    finally:
        set_handler(before)


def _name_of(type_info: int | None) -> bytes:
    """The mangled name in a std::type_info, whose second word points to it."""
    if not type_info:
        return b""
    return ctypes.cast(type_info, ctypes.POINTER(ctypes.c_char_p))[1] or b""


@contextmanager
def _instead_of_fault(line: str) -> Iterator[None]:
    """While the block runs, a segmentation fault prints `line` and exits."""
    if not sys.platform.startswith("linux"):
        yield
        return
    set_handler, data = ctypes.CDLL(None).signal, line.encode()
    set_handler.argtypes, set_handler.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p

    def handle(_: int) -> None:
        os.write(2, data)
        os._exit(1)

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(handle)
    before = set_handler(signal.SIGSEGV, ctypes.cast(handler, ctypes.c_void_p))
    try:
        yield
    finally:
        set_handler(signal.SIGSEGV, before)
