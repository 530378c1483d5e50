"""Which generator of a run a page speaks of: one throughout, so that samples and scores belong together."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gentrain.report.record import Record, input_names

DRAWN = {"latents", "labels"}
"""The inputs that the page can make by itself; of a generator that takes more it shows the grid that was kept."""


@dataclass(frozen=True)
class Snapshot:
    """`best` or `last`, its file, and at how many kimg it was taken, where that is known."""

    name: str
    file: Path
    kimg: float | None

    def __str__(self) -> str:
        at = "" if self.kimg is None else f", at {self.kimg:g} kimg"
        return f"the {self.name} snapshot{at}"

    def is_not(self, kimg: Any) -> bool:
        """Whether what was measured at `kimg` is another generator than this."""
        known = isinstance(kimg, (int, float)) and self.kimg is not None
        return known and abs(kimg - float(self.kimg or 0)) > 5e-4


def shown(record: Record) -> Snapshot:
    """The one that was measured, else the best if one was kept, else the last."""
    best = record.run / "best" / "generator.keras"
    name = record.metrics.get("snapshot")
    can_be_shown = set(input_names(best)) <= DRAWN or grid_of_best(record.run).exists()
    if input_names(best) and can_be_shown and name != "last":
        return Snapshot("best", best, _kimg_of(best.with_name("best.json")))
    return Snapshot("last", record.run / "generator.keras", record.progress.images_seen / 1000)


def grid_of_best(run: Path) -> Path:
    """The image grid that was kept with the best snapshot, of runs that have one."""
    return run / "best" / "samples.png"


def _kimg_of(path: Path) -> float | None:
    try:
        return float(json.loads(path.read_text(encoding="utf-8"))["kimg"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
