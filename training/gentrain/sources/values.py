"""From numbers of any kind to 0 … 255: which are black and white is judged over a data set, never over a picture.

Sensors give 10, 12 or 14 bits in files of 16, and scientific files hold floats: taken at their word they are nearly
black, and stretched one by one they lose what distinguishes them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from gentrain.data.dataset import Frame, Pixels

# How far rounding may carry a float beyond its range.
TOLERANCE = 1e-3
BITS = (8, 10, 12, 14, 16)


class Range(NamedTuple):
    """LOW becomes 0 and HIGH 255."""

    low: float
    high: float

    def to_uint8(self, values: np.ndarray[Any, Any]) -> Pixels:
        """Numbers of any kind and shape → uint8, rounded; what lies outside is cut off."""
        if values.dtype == np.uint8 and (self.low, self.high) == (0, 255):
            return values
        scaled = (values.astype(np.float64) - self.low) * (255.0 / (self.high - self.low))
        return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


# Of one image alone there is nothing to judge by.
DEEP_COLOUR = "16-bit colour"
WHOLE = {
    "16-bit": Range(0, 65535),
    DEEP_COLOUR: Range(0, 65535),
    "32-bit": Range(0, 65535),
    "floating point": Range(0, 1),
}


class Extremes(NamedTuple):
    """The least and the greatest value that was met, and whether these are whole numbers by their type."""

    least: float
    most: float
    whole: bool


def judge(found: Extremes, frame: Frame) -> Range:
    """The range of numbers of one kind: the requested one, else the narrowest usual one that holds them all."""
    return Range(*(frame.low_and_high or _usual(found)))


def describe(found: Extremes, taken: Range) -> dict[str, Any]:
    """What `Contents.value_ranges` has of a kind."""
    return {"found": [found.least, found.most], "taken": list(taken)}


def _usual(found: Extremes) -> tuple[float, float]:
    least, most, whole = found
    if not whole and least >= -1 - TOLERANCE and most <= 1 + TOLERANCE:
        return (0.0, 1.0) if least >= -TOLERANCE else (-1.0, 1.0)
    if whole and least >= 0 and most <= 1:
        return 0.0, 1.0
    if least >= -TOLERANCE:
        for bits in BITS:
            if most <= 2**bits - 1 + TOLERANCE:
                return 0.0, 2.0**bits - 1
    if least >= -128 and most <= 127:
        return -128.0, 127.0
    low = min(least, 0.0)
    return low, most if most > low else low + 1


def extremes(values: np.ndarray[Any, Any]) -> Extremes:
    """Of one array; raises ValueError for floats that are not finite numbers."""
    least, most = float(values.min()), float(values.max())
    if not (math.isfinite(least) and math.isfinite(most)):
        raise ValueError("has values that are not finite")
    return Extremes(least, most, values.dtype.kind in "iub")


class Ranges:
    """The range of each kind of image in a data set, found by one pass over them when the first of any is met.

    `scan` gives (kind, extremes) of every such image; it is called once, by whichever thread comes first.
    """

    def __init__(self, frame: Frame, scan: Callable[[], Iterable[tuple[str, Extremes]]]) -> None:
        self._frame, self._scan = frame, scan
        self._lock = threading.Lock()
        self._met: dict[str, Extremes] | None = None

    def of(self, kind: str) -> Range:
        """The range for images of this kind."""
        with self._lock:
            if self._met is None:
                self._met = self._search()
            met = self._met.get(kind)
        return judge(met, self._frame) if met else WHOLE[kind]

    def describe(self) -> dict[str, Any]:
        """Kind → what was found and what is taken, of all that were met."""
        return {
            f"{kind} images": describe(met, judge(met, self._frame)) for kind, met in sorted((self._met or {}).items())
        }

    def _search(self) -> dict[str, Extremes]:
        met: dict[str, Extremes] = {}
        for kind, one in self._scan():
            so_far = met.get(kind, one)
            met[kind] = Extremes(min(so_far.least, one.least), max(so_far.most, one.most), one.whole)
        return met
