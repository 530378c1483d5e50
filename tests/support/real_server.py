"""A real genserve for the tests of a module, on a free port."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

from forked import COMMANDS
from genclient import Client


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def genserve(*options: object, models: tuple[str, ...], port: int | None = None) -> Iterator[str]:
    """The address of a server with these options, once all these models are available."""
    port = port or free_port()
    server = COMMANDS.start("genserve", "--port", port, *options)
    try:
        for name in models:
            with Client(f"127.0.0.1:{port}", name) as client:
                client.wait(120)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        assert server.wait(60) == 0
