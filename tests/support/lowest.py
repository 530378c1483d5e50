"""An environment with the oldest releases that pyproject.toml lets the client run on, each bound an exact version."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[2]


def pins() -> list[str]:
    """The client's dependencies at their lower bounds: `click==8.1`."""
    tomllib = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return [re.sub(r">=([\d.]+)", r"==\1", requirement) for requirement in found]


def python() -> Path:
    """The interpreter of `.venv-lowest`, made anew where the bounds have changed."""
    folder = ROOT / ".venv-lowest"
    made, wanted = folder / "pins.txt", "\n".join(pins())
    interpreter = folder / "bin" / "python"
    if not made.exists() or made.read_text() != wanted:
        venv.create(folder, clear=True, with_pip=True)
        quiet = ["--quiet", "--disable-pip-version-check", "--only-binary", ":all:"]
        subprocess.run([interpreter, "-m", "pip", "install", *quiet, *pins()], check=True, timeout=300)
        made.write_text(wanted)
    return interpreter
