"""TensorFlow without the lines that its C++ code prints while it is imported, and without what no server needs."""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import sys
from collections.abc import Iterator

# What TensorFlow imports wherever it is installed, and Keras with it; a SavedModel runs without.
UNUSED = ("keras", "pandas")


def import_tensorflow() -> None:
    """Import TensorFlow, in half of the time that it takes by itself; tf.keras is imported when it is first asked for.

    Raises:
        ModuleNotFoundError: TensorFlow is not installed.
    """
    if "tensorflow" in sys.modules:
        return
    with _quiet(), _without_unused(), _without_collector():
        importlib.import_module("tensorflow")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep TensorFlow's C++ lines off the terminal; TF_CPP_MIN_LOG_LEVEL=0 shows them.

    TensorFlow 2.21 writes some while it is imported, whatever that variable says, straight to file descriptor 2.
    """
    if os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3") == "0":
        yield
        return
    sys.stderr.flush()
    terminal = os.dup(2)
    try:
        with open(os.devnull, "wb") as devnull:
            os.dup2(devnull.fileno(), 2)
        yield
    finally:
        os.dup2(terminal, 2)
        os.close(terminal)


@contextlib.contextmanager
def _without_unused() -> Iterator[None]:
    """Let `UNUSED` seem not installed, unless it has been imported already."""
    hidden = [name for name in UNUSED if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is what stands for a missing module
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextlib.contextmanager
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
