"""What the measurements share: the commands they run, the cells they keep, the tables they print."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import statistics
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gentrain.files import write_json

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
BIN = Path(sys.executable).parent
KEPT = HERE / ".results"
# What commands are started with: gentrain sets variables of TensorFlow's when it is imported here.
ENVIRONMENT = dict(os.environ)
PACKAGES = ("genline", "tensorflow", "keras", "numpy")


class Cells:
    """What one script has measured so far, in a JSON file: a measurement of hours can be stopped and gone on with.

    Another machine, or other versions of the packages, have a file of their own.
    """

    def __init__(self, name: str, again: bool = False) -> None:
        """`name` is the script's; `again` forgets what it measured before."""
        self.name, self.where = name, machine(PACKAGES)
        self.path = KEPT / f"{name}-{hashlib.sha256(self.where.encode()).hexdigest()[:8]}.json"
        self.cells: dict[str, dict[str, Any]] = {}
        self.dates: set[str] = set()
        if self.path.exists() and not again:
            self.cells = json.loads(self.path.read_text(encoding="utf-8"))["cells"]

    def get(self, key: str, measure: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
        """The cell called `key`; `measure(*arguments)`, kept at once, if it is not there yet."""
        if key not in self.cells:
            tell(f"{self.name}: {key} …")
            self.cells[key] = {**measure(*arguments), "date": str(date.today())}
            write_json(self.path, {"where": self.where, "cells": self.cells})
        self.dates.add(self.cells[key]["date"])
        return self.cells[key]

    def days(self) -> str:
        """When the cells that were asked for were measured: `on 2026-11-22`, `from … to …`."""
        first, last = min(self.dates), max(self.dates)
        return f"on {first}" if first == last else f"from {first} to {last}"


def run(program: Path | str, *arguments: object) -> str:
    """Run a command, its progress on stderr; what it printed. Ends this process with one line if it fails."""
    command = [str(program), *map(str, arguments)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    if done.returncode:
        raise SystemExit(f"{Path(program).name} {' '.join(map(str, arguments))}: exit code {done.returncode}")
    return done.stdout


def gentrain(*arguments: object) -> str:
    """`run` with the real command."""
    return run(BIN / "gentrain", *arguments)


def log_of(run_directory: Path) -> list[dict[str, Any]]:
    """The finished ticks of a run, which may be under way."""
    path = run_directory / "log.jsonl"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def table(head: Sequence[str], rows: Iterable[Sequence[str]], texts: int = 1) -> str:
    """Markdown: the first `texts` columns are text, the others numbers."""
    rule = ["---"] * texts + ["---:"] * (len(head) - texts)
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *rows))


def paragraph(text: str) -> str:
    """The text in lines of at most 120 characters."""
    return textwrap.fill(" ".join(text.split()), 120, break_long_words=False, break_on_hyphens=False)


def median(cells: Iterable[dict[str, Any]], name: str) -> float:
    """Of one value over the repetitions."""
    return statistics.median(cell[name] for cell in cells)


def number(value: float) -> str:
    """Three figures that count, no exponent where none is needed: 1340, 12.3, 0.0042."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine(packages: Iterable[str]) -> str:
    """One line on where a measurement was made."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    return f"{os.cpu_count()} cores ({_processor()}), Python {platform.python_version()}, {versions}"


def tell(text: str) -> None:
    """One line for whoever waits; stdout is the report's."""
    print(text, file=sys.stderr, flush=True)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
