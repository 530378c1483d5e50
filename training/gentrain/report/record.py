"""What a run has written about itself, read back for people, and whatever state it is in.

Nothing is needed but config.json; what is missing or damaged beside it counts as not there.
"""

from __future__ import annotations

import json
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gentrain.errors import TrainError
from gentrain.plan import refuse_detector
from gentrain.training import checkpoints
from gentrain.training.checkpoints import Progress


@dataclass(frozen=True)
class Score:
    """One number of metrics.json beside what real images reach, and inputs as they are, where that is known."""

    value: float
    reference: float | None = None
    unchanged: float | None = None


@dataclass(frozen=True, eq=False)
class Record:
    """config.json, dataset.json and metrics.json, {} for one that is not there, and the lines of log.jsonl."""

    run: Path
    config: dict[str, Any]
    dataset: dict[str, Any]
    metrics: dict[str, Any]
    log: tuple[dict[str, float], ...]
    notes: tuple[tuple[float, str], ...] = ()  # what the log says in words, each with its kimg

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting as the run resolved it."""
        return _dict(self.config.get("settings"))

    @property
    def progress(self) -> Progress:
        """How far it is by its last checkpoint or line of the log, whichever is further."""
        try:
            kept = checkpoints.progress_of(checkpoints.latest(self.run))
        except TrainError:
            kept = Progress()
        if not self.log:
            return kept
        logged = Progress(round(self.log[-1]["kimg"] * 1000), self.log[-1].get("seconds", 0.0))
        return max(kept, logged, key=lambda progress: progress.images_seen)

    def curve(self, key: str) -> tuple[list[float], list[float]]:
        """(kimg, value) of every line of the log that has `key`."""
        points = [(line["kimg"], line[key]) for line in self.log if key in line]
        return [x for x, _ in points], [y for _, y in points]

    def scores(self) -> dict[str, Score]:
        """Metric → its value and reference, as `gentrain evaluate` measured them."""
        return _scores(self.metrics)

    @property
    def second(self) -> dict[str, Any]:
        """What metrics.json holds of the second feature net: `features` and `metrics`; {} where it has none."""
        return _dict(self.metrics.get("second"))

    def second_scores(self) -> dict[str, Score]:
        """The same as `scores` by the second feature net."""
        return _scores(self.second)


def _scores(measured: dict[str, Any]) -> dict[str, Score]:
    found = {}
    for name, entry in _dict(measured.get("metrics")).items():
        value = entry.get("value") if isinstance(entry, dict) else entry
        # `floor` is the reference's key since before it had this name.
        beside: list[Any] = [entry.get(key) if isinstance(entry, dict) else None for key in ("floor", "unchanged")]
        if value is not None and _is_number(value):
            found[name] = Score(float(value), *(float(one) if _is_number(one) else None for one in beside))
    return found


def read(run: Path) -> Record:
    """Read a run directory.

    Raises:
        TrainError: no run is there, or its config.json is damaged.
    """
    path = run / "config.json"
    if not path.is_file():
        made = f"a folder made by gentrain fit --data SOURCE --run {run}"
        raise TrainError(f"{run}: no run (it has no config.json); expected {made}")
    refuse_detector(run)
    config = _json(path)
    if not config:
        raise TrainError(f"{path}: cannot be read; expected the JSON that gentrain fit writes")
    return Record(run, config, _json(run / "dataset.json"), _json(run / "metrics.json"), *_log(run / "log.jsonl"))


def input_names(generator: Path) -> list[str]:
    """The names of a .keras model's inputs, read without TensorFlow; none where that fails."""
    try:
        with zipfile.ZipFile(generator) as opened:
            layers = json.loads(opened.read("config.json"))["config"]["layers"]
        return [layer["config"]["name"] for layer in layers if layer["class_name"] == "InputLayer"]
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile):
        return []


def _log(path: Path) -> tuple[tuple[dict[str, float], ...], tuple[tuple[float, str], ...]]:
    """Finite numbers and words of each whole line with a `kimg`: the last line of a run that was killed may be cut."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return (), ()
    lines, notes = [], []
    for line in text.splitlines():
        try:
            values = _dict(json.loads(line))
        except ValueError:
            continue
        numbers = {key: float(value) for key, value in values.items() if _is_number(value)}
        if "kimg" in numbers:
            lines.append(numbers)
            notes += [(numbers["kimg"], value) for value in values.values() if isinstance(value, str)]
    return tuple(lines), tuple(notes)


def _json(path: Path) -> dict[str, Any]:
    try:
        return _dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
