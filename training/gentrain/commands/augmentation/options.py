"""What `gentrain augment` is to do, and for which classes."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gentrain.commands.study.options import Options as Training
from gentrain.errors import UsageError

MOST = 100_000
"""Pictures of one class."""


@dataclass(frozen=True)
class Options:
    """All but `data` is fixed once the folder has been begun."""

    data: str  # a source of images with classes
    per_class: int | None = None  # pictures to make of every class; None to fill up
    run: str | None = None  # whose generator is taken, instead of training one
    test: str | None = None  # a source to test on; None for images held out
    preset: str = "small"  # of the generator's training
    changes: tuple[tuple[str, Any], ...] = ()  # of its settings
    kimg: float = 100.0  # its length
    seed: int = 0  # of the generator, the pictures and the classifiers
    repeats: int = 5  # classifiers that are trained in each way
    steps: int = 1000  # of each classifier
    batch: int = 64
    flip: bool = False  # whether classical augmentation mirrors

    def __post_init__(self) -> None:
        """Raises UsageError for a value outside its range."""
        limits = {"per_class": (1, MOST), "repeats": (1, 1000), "steps": (1, 10**9), "seed": (0, 2**31 - 1)}
        for name, (low, high) in limits.items():
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise UsageError(f"--{name.replace('_', '-')} must be from {low} to {high}, got {value}")

    @property
    def training(self) -> Training:
        """How the generator is trained; few images, grey ones too, are augmented for it."""
        changes = tuple({"augment": 0.8, **dict(self.changes)}.items())
        return Training(self.data, preset=self.preset, changes=changes, kimg=self.kimg)

    def fixed(self) -> dict[str, Any]:
        """What may not change in a folder that is gone on with."""
        values = dataclasses.asdict(self) | {"changes": dict(self.changes)}
        del values["data"]
        if self.run is not None:
            for name in ("preset", "changes", "kimg"):
                del values[name]
        return values

    def wanted(self, counts: Sequence[int]) -> list[int]:
        """How many pictures to make of each class, of which there are so many.

        Raises:
            UsageError: there is nothing to fill up.
        """
        if self.per_class is not None:
            return [self.per_class] * len(counts)
        missing = [max(counts) - count for count in counts]
        if not any(missing):
            raise UsageError(f"--fill: all classes have {counts[0]} images; --per-class N makes N more of each")
        return missing
