"""What a study is made of, and what it compares."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from gentrain.errors import UsageError

ALL = "all"
Size = int | str
"""Real images a class: a number, or `ALL` that are not held out."""


@dataclass(frozen=True)
class Arm:
    """One way to train the classifier."""

    name: str
    real: bool
    synthetic: bool
    classical: bool = False


ARMS = (
    Arm("real", real=True, synthetic=False),
    Arm("synthetic", real=False, synthetic=True),
    Arm("real + synthetic", real=True, synthetic=True),
    Arm("real + classical", real=True, synthetic=False, classical=True),
    Arm("real + classical + synthetic", real=True, synthetic=True, classical=True),
)


@dataclass(frozen=True)
class Options:
    """The choices of a study; all but `sizes` and `seeds` are fixed once it has begun."""

    data: str  # a source of images with classes
    sizes: tuple[Size, ...] = (20, 50, 200, ALL)
    seeds: int = 3  # of the drawing of images, the generator and the classifier
    generator: str | None = None  # a .keras file for all, instead of training one a cell
    preset: str = "small"  # of each generator's training
    changes: tuple[tuple[str, Any], ...] = ()  # of its settings
    kimg: float = 100.0  # its length
    synthetic: int = 1000  # generated images a class
    steps: int = 1000  # of the classifier, the same in every arm
    batch: int = 64  # of the classifier; half of it is synthetic where there are both
    flip: bool = False  # whether classical augmentation mirrors left to right: not for digits or letters

    def __post_init__(self) -> None:
        """Raises UsageError for a value outside its range."""
        for name, low in (("seeds", 1), ("synthetic", 1), ("steps", 1)):
            if getattr(self, name) < low:
                raise UsageError(f"--{name} must be at least {low}, got {getattr(self, name)}")
        for size in self.sizes:
            if isinstance(size, int) and size < 2:
                raise UsageError(f"--n must be 2 or more images a class, or {ALL}, got {size}")

    def fixed(self) -> dict[str, Any]:
        """What may not change in a study that goes on; more sizes and seeds only add to it."""
        values = dataclasses.asdict(self)
        for name in ("sizes", "seeds"):
            del values[name]
        values["changes"] = dict(self.changes)
        if self.generator is not None:
            for name in ("preset", "changes", "kimg"):
                del values[name]
        return values


def parse_sizes(text: str) -> tuple[Size, ...]:
    """`20,50,all` → (20, 50, "all"), without repetitions.

    Raises:
        UsageError: something else stands there.
    """
    parts = [part.strip() for part in text.split(",")]
    if bad := [part for part in parts if part != ALL and not (part.isascii() and part.isdigit())]:
        raise UsageError(f"--n takes whole numbers and {ALL}, as in 20,50,{ALL}; got {bad[0]!r}")
    return tuple(dict.fromkeys(part if part == ALL else int(part) for part in parts))
