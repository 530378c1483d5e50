"""The C programs as users build them, and how their pictures are compared."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EMBEDDED = Path(__file__).resolve().parents[2] / "client/embedded"
TOOLS = "tests/install-tools.sh installs it"

UNFIT = (
    "libLiteRt.so is Linux's"
    if sys.platform != "linux"
    else None
    if shutil.which("cc") and shutil.which("make")
    else f"no C compiler or make: {TOOLS}"
)
"""Why the programs cannot be built here, if they cannot."""

NEEDS_COMPILER = pytest.mark.skipif(UNFIT is not None, reason=UNFIT or "")


def build(out, **variables):
    """Make both programs in a folder, with variables of their Makefile; gives the folder."""
    settings = [f"{name}={value}" for name, value in {"PYTHON": sys.executable, "OUT": out, **variables}.items()]
    done = subprocess.run(["make", "-j2", "-C", EMBEDDED / "c", *settings], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return out


def pixels(path):
    """The pixels of a picture file, (H, W, C)."""
    with Image.open(path) as picture:
        return np.atleast_3d(np.asarray(picture))


def differ(one, other):
    """The largest difference between two pictures of the same shape."""
    assert one.shape == other.shape
    return np.abs(one.astype(int) - other).max()
