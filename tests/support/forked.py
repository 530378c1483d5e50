"""genline's commands in processes of their own, without the seconds of imports for each: forked from one that has them.

TensorFlow starts its threads with the first operation, not when it is imported, so that a fork before is safe.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import json
import os
import pkgutil
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

NUMBER = struct.Struct("i")
STREAMS = 3

# Programs that import the same are forked from the same process. A server has no Keras.
TOGETHER = (("genclient",), ("gentrain", "genexport"), ("genserve",))


class Forked:
    """Starts commands; each has its own process, folder, environment, streams and exit, as by subprocess."""

    def __init__(self) -> None:
        self._parents: dict[str, _Parent] = {}

    def start(
        self,
        program: str,
        *arguments: object,
        cwd: object = ".",
        env: Mapping[str, str] | None = None,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        stderr: IO[bytes] | None = None,
        first: str = "",
    ) -> Process:
        """A program under way, which runs some lines of Python first; streams that are not given lead nowhere."""
        command = [program, *map(str, arguments)]
        environment = dict(os.environ if env is None else env)
        request = json.dumps([command, os.path.abspath(str(cwd)), environment, first]).encode()
        with open(os.devnull, "r+b") as nowhere:
            streams = [(nowhere if stream is None else stream).fileno() for stream in (stdin, stdout, stderr)]
            return Process(command, self._parent_of(program).fork(request, streams))

    def run(
        self, program: str, *arguments: object, input: bytes = b"", timeout: float = 60, **options: object
    ) -> subprocess.CompletedProcess[bytes]:
        """What a program printed and its exit code, once it has ended; it is killed if it takes longer."""
        reading, writing = os.pipe()
        with open(reading, "rb") as stdout, tempfile.TemporaryFile() as stderr, tempfile.TemporaryFile() as stdin:
            stdin.write(input)
            stdin.seek(0)
            with open(writing, "wb") as there:
                process = self.start(program, *arguments, stdin=stdin, stdout=there, stderr=stderr, **options)  # type: ignore[arg-type]
            timer = threading.Timer(timeout, process.kill)
            timer.start()
            try:
                out = stdout.read()
                code = process.wait(timeout)
            finally:
                in_time = timer.is_alive()
                timer.cancel()
            assert in_time, f"{' '.join(process.args)}: not ended within {timeout} seconds"
            stderr.seek(0)
            return subprocess.CompletedProcess(process.args, code, out, stderr.read())

    def close(self) -> None:
        for parent in {id(parent): parent for parent in self._parents.values()}.values():
            parent.close()

    def _parent_of(self, program: str) -> _Parent:
        if program not in self._parents:
            (programs,) = (programs for programs in TOGETHER if program in programs)
            self._parents |= dict.fromkeys(programs, _Parent(programs))
        return self._parents[program]


class Process:
    """A program under way, with what subprocess.Popen has for one, as far as tests ask."""

    def __init__(self, args: list[str], status: int) -> None:
        self.args, self._status = args, status
        self.returncode: int | None = None
        (self.pid,) = NUMBER.unpack(os.read(status, NUMBER.size))

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._ended(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, seconds: float | None) -> int | None:
        """The exit code, or a signal's number below zero, once there is one."""
        if self.returncode is None:
            status = select.poll()
            status.register(self._status)
            if status.poll(None if seconds is None else seconds * 1000):
                (self.returncode,) = NUMBER.unpack(os.read(self._status, NUMBER.size))
                os.close(self._status)
        return self.returncode


class _Parent:
    """The process that has imported what programs need, as those who start them see it."""

    def __init__(self, programs: tuple[str, ...]) -> None:
        self._here, there = socket.socketpair()
        with there:
            command = [sys.executable, __file__, str(there.fileno()), *programs]
            self._process = subprocess.Popen(command, pass_fds=[there.fileno()], start_new_session=True)

    def fork(self, request: bytes, streams: list[int]) -> int:
        """Where the process identifier of the new program can be read, and its exit code after it."""
        reading, writing = os.pipe()
        socket.send_fds(self._here, [NUMBER.pack(len(request))], [*streams, writing])
        os.close(writing)
        self._here.sendall(request)
        return reading

    def close(self) -> None:
        self._here.close()
        self._process.wait(60)


COMMANDS = Forked()
"""Those of this session of pytest; `forked` of conftest.py closes it."""


def _serve(requests: socket.socket, imported: dict[str, str]) -> str:
    """Fork a process for every request until there are no more; returns, in those, which program they are."""
    while True:
        length, passed, _, _ = socket.recv_fds(requests, NUMBER.size, STREAMS + 1)
        if not length:
            sys.exit()
        command, folder, environment, first = json.loads(requests.recv(*NUMBER.unpack(length), socket.MSG_WAITALL))
        if not os.fork():
            requests.close()
            *streams, status = passed
            _watch(streams, status)
            _become(streams, command, folder, imported | environment)
            exec(first, {})
            return command[0]
        for number in passed:
            os.close(number)
        with contextlib.suppress(ChildProcessError):  # none is left
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue


def _watch(streams: list[int], status: int) -> None:
    """Fork once more; returns in the child alone, and tells which process it is and how it ended."""
    child = os.fork()
    if not child:
        os.close(status)
        return
    for stream in streams:
        os.close(stream)
    os.write(status, NUMBER.pack(child))
    os.write(status, NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
    os._exit(0)


def _become(streams: list[int], command: list[str], folder: str, environment: dict[str, str]) -> None:
    """The process is as one that was just started with these."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):  # those there are know whether the old ones seek
        old = getattr(sys, name)
        how = {"encoding": old.encoding, "errors": old.errors, "line_buffering": number == 2, "write_through": False}
        raw = open(number, "wb" if number else "rb", closefd=False)  # noqa: SIM115  # as long as the process
        setattr(sys, name, io.TextIOWrapper(raw, **how))
        setattr(sys, f"__{name}__", getattr(sys, name))
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = command
    tempfile.tempdir = None  # TMPDIR may be another
    random.seed()
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()


def _import_all(programs: list[str]) -> dict[str, str]:
    """What the programs import sooner or later; the environment variables that are set by it."""
    before = dict(os.environ)
    for program in programs:
        importlib.import_module(f"{program}.cli")
        if program != "genclient":
            importlib.import_module(f"{program}.quiet").import_tensorflow()
        for module in pkgutil.walk_packages(importlib.import_module(program).__path__, f"{program}."):
            if not module.name.endswith("__main__"):
                with contextlib.suppress(ImportError):  # of what is not installed
                    importlib.import_module(module.name)
    if "genclient" in programs:
        with contextlib.suppress(ImportError):
            importlib.import_module("ai_edge_litert.interpreter")
    gc.freeze()  # or every process would look through it, and copy it
    return {name: value for name, value in os.environ.items() if before.get(name) != value}


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).parent))
    imported = _import_all(sys.argv[2:])
    program = _serve(socket.socket(fileno=int(sys.argv[1])), imported)
    importlib.import_module(f"{program}.cli").main()
