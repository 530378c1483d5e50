"""What a run directory says of itself in JSON. An export needs none of it: what is missing or damaged is not there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

CONFIG, DATASET, MEASURED, METRICS = "config.json", "dataset.json", "best/best.json", "metrics.json"


def read(path: Path) -> dict[str, Any]:
    """The object in a file; {} where there is no such file, or something else in it."""
    return _object(path) or {}


def damaged(run: Path) -> list[str]:
    """A note for each of a run's files that is there, and cannot be read."""
    files = (run / name for name in (CONFIG, DATASET, MEASURED, METRICS))
    return [f"{file}: damaged, and passed over" for file in files if file.exists() and _object(file) is None]


def _object(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
