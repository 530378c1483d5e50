"""TensorFlow and LiteRT without the notes that their C++ code prints to stderr while they start."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

LOG_WANTED = os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3") != "3"
"""Whether the user wants TensorFlow's log."""

# What Keras imports wherever it is installed, for wrappers and plots that nothing here uses.
UNUSED = ("sklearn", "pandas", "matplotlib")


def import_tensorflow() -> None:
    """Import TensorFlow, in 0.6 of the time that it takes by itself where scikit-learn is installed.

    TF_CPP_MIN_LOG_LEVEL alone does not quiet it: since TensorFlow 2.17 the first lines come before it is read.

    Raises:
        ModuleNotFoundError: TensorFlow is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if "tensorflow" in sys.modules:
        return
    with stderr(), _without_unused(), _without_collector():
        importlib.import_module("tensorflow")


@contextmanager
def _without_unused() -> Iterator[None]:
    """Let `UNUSED` seem not installed, unless it has been imported already."""
    hidden = [name for name in UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is what stands for a missing module
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def _without_collector() -> Iterator[None]:
    """No garbage collection, nor later of what there is: imports are there to stay, and take 0.2 s to look through."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        if was_on:
            gc.enable()


@contextmanager
def stderr() -> Iterator[None]:
    """Hold back what is written to stderr, by C++ code too; show it if the block fails."""
    if LOG_WANTED:
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
