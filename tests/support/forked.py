"""genclient in processes of its own, without half a second of imports for each: forked from one that has made them."""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

NUMBER = struct.Struct("i")


class Genclient:
    """Runs the command; each run has its own process, folder, environment, streams and exit, as by subprocess.run."""

    def __init__(self) -> None:
        self._here, there = socket.socketpair()
        with there:
            command = [sys.executable, __file__, str(there.fileno())]
            self._parent = subprocess.Popen(command, pass_fds=[there.fileno()], start_new_session=True)

    def run(
        self,
        *arguments: object,
        cwd: object = ".",
        env: Mapping[str, str] | None = None,
        input: bytes = b"",
        timeout: float = 60,
    ) -> subprocess.CompletedProcess[bytes]:
        command = [str(argument) for argument in arguments]
        request = json.dumps([command, os.path.abspath(str(cwd)), dict(os.environ if env is None else env)]).encode()
        reading, writing = os.pipe()
        with open(reading, "rb") as stdout, tempfile.TemporaryFile() as stderr, tempfile.TemporaryFile() as stdin:
            stdin.write(input)
            stdin.seek(0)
            socket.send_fds(self._here, [NUMBER.pack(len(request))], [stdin.fileno(), writing, stderr.fileno()])
            os.close(writing)
            self._here.sendall(request)
            with _killing(self._parent, timeout):
                out = stdout.read()
            (code,) = NUMBER.unpack(self._here.recv(NUMBER.size, socket.MSG_WAITALL))
            stderr.seek(0)
            return subprocess.CompletedProcess(["genclient", *command], code, out, stderr.read())

    def close(self) -> None:
        self._here.close()
        self._parent.wait(60)


@contextlib.contextmanager
def _killing(parent: subprocess.Popen[bytes], seconds: float) -> Iterator[None]:
    """End all that the parent has started, and itself, unless the block ends in time."""
    timer = threading.Timer(seconds, os.killpg, [parent.pid, signal.SIGKILL])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    assert parent.poll() is None, f"genclient has not ended within {seconds} seconds"


def _parent(requests: socket.socket) -> None:
    """Fork a process for every request until there are no more; returns in those that are to run the command."""
    while True:
        length, streams, _, _ = socket.recv_fds(requests, NUMBER.size, 3)
        if not length:
            sys.exit()
        request = json.loads(requests.recv(*NUMBER.unpack(length), socket.MSG_WAITALL))
        child = os.fork()
        if not child:
            requests.close()
            return _become(streams, *request)
        for stream in streams:
            os.close(stream)
        requests.sendall(NUMBER.pack(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))


def _become(streams: list[int], arguments: list[str], folder: str, environment: dict[str, str]) -> None:
    """The process is as one that was just started with these."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["genclient", *arguments]


def _import_all() -> None:
    import genclient

    for module in pkgutil.walk_packages(genclient.__path__, "genclient."):
        if not module.name.endswith("__main__"):
            with contextlib.suppress(ImportError):  # of what is not installed
                importlib.import_module(module.name)
    with contextlib.suppress(ImportError):
        importlib.import_module("ai_edge_litert.interpreter")
    gc.freeze()  # or every process would look through it, and copy it


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).parent))
    _import_all()
    _parent(socket.socket(fileno=int(sys.argv[1])))
    from genclient.cli import main

    main()
