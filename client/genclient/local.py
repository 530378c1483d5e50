"""A TFLite file for a command: tried in a process of its own first, and without what LiteRT writes to stderr."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from genclient.device import DeviceGenerator


def load_device(path: str, threads: int | None = None) -> DeviceGenerator:
    """The generator in a file.

    Raises:
        ClientError: LiteRT is not installed or crashes on the file, or it cannot be read or is no TFLite model.
    """
    from genclient.device import DeviceGenerator
    from genclient.rehearsal import rehearse

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
