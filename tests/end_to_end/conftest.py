"""A real genserve on a free port, with the repository that a real training and a real export made."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def target(repository: Path, command, forked) -> Iterator[str]:
    """The address of a server that has `digits` AVAILABLE."""
    port = free_port()
    server = forked.start(
        "genserve", "--port", port, "--model_name", "digits", "--model_base_path", repository / "digits"
    )
    try:
        waited = command("genclient", "wait", "--target", f"localhost:{port}", "--model", "digits", "--timeout", 180)
        assert waited.returncode == 0, waited.stderr
        yield f"localhost:{port}"
    finally:
        server.terminate()
        assert server.wait(60) == 0
