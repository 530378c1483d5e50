"""TensorFlow without the notes that its C++ code prints to stderr while it starts."""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

WANTED = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3") != "3"
"""Whether the user asked for TensorFlow's log."""


def import_tensorflow() -> None:
    """Import TensorFlow.

    TF_CPP_MIN_LOG_LEVEL alone does not quiet it: since TensorFlow 2.17 the first lines come before it is read.

    Raises:
        ModuleNotFoundError: TensorFlow is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with stderr():
        importlib.import_module("tensorflow")


@contextmanager
def stderr() -> Iterator[None]:
    """Hold back what is written to stderr, by C++ code too; show it if the block fails."""
    if WANTED:
        yield
        return
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as notes:
        os.dup2(notes.fileno(), 2)
        try:
            yield
        except BaseException:
            notes.seek(0)
            os.write(real, notes.read())
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)
