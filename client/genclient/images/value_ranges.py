"""Which numbers are black and white in pictures of 32 bits or floats. Training judges it over all of its images.

One such picture does not show it, so a user has to say it: two numbers, or a file in which training wrote them down.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient.errors import ClientError, UsageError

INTEGERS, FLOATS = "32-bit", "floating point"
"""Kinds of pictures, as dataset.json calls them."""

ValueRanges = Mapping[str, tuple[float, float]]
"""By kind, what becomes 0 and what becomes 255."""

_FILES = ("dataset.json", "manifest.json")
_EXPECTED = "two numbers such as 0:4095, or the dataset.json of a run"


def parse_value_range(text: str) -> ValueRanges:
    """Value ranges as `LOW:HIGH`, or by a run's dataset.json, a version's manifest.json, or the folder of either.

    Raises:
        UsageError: it is neither, or the file says nothing of such pictures.
        ClientError: the file cannot be read.
    """
    low, colon, high = text.partition(":")
    try:
        return both(float(low), float(high)) if colon else _of_file(text)
    except ValueError:
        if colon and not Path(text).exists():
            raise UsageError(f"--value-range: found {text!r}, expected {_EXPECTED}") from None
        return _of_file(text)


def both(low: float, high: float) -> ValueRanges:
    """One range for pictures of both kinds.

    Raises:
        UsageError: it is none.
    """
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(f"--value-range: found {low:g}:{high:g}, expected the lower number first")
    return {INTEGERS: (low, high), FLOATS: (low, high)}


def of_pair(pair: tuple[float, float] | None) -> ValueRanges | None:
    """The argument `value_range` of the library's calls.

    Raises:
        UsageError: it is no range.
    """
    if pair is None:
        return None
    try:
        low, high = map(float, pair)
    except (TypeError, ValueError):
        raise UsageError(f"value_range: found {pair!r:.60}, expected two numbers such as (0, 4095)") from None
    return both(low, high)


def to_uint8(values: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Numbers of any kind, rounded and clipped to 0…255, as training does it."""
    scaled = (values.astype(np.float64) - low) * (255.0 / (high - low))
    return np.rint(np.clip(scaled, 0, 255)).astype(np.uint8)


def _of_file(path: str) -> ValueRanges:
    file = Path(path)
    if file.is_dir():
        file = next((file / name for name in _FILES if (file / name).is_file()), file / _FILES[0])
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        ranges = {kind: taken for kind, taken in _taken(content) if kind in (INTEGERS, FLOATS)}
    except OSError as error:
        raise ClientError(f"--value-range: cannot read {file}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(f"--value-range: found {file}, expected {_EXPECTED}") from None
    if not ranges:
        raise UsageError(f"--value-range: found no range of 32-bit or floating point images in {file}")
    for low, high in ranges.values():
        both(low, high)
    return ranges


def _taken(content: Any) -> Iterator[tuple[str, tuple[float, float]]]:
    """Kinds and ranges in any of the files."""
    interface = content.get("interface", content)
    tensors = [*interface.get("inputs", ()), *interface.get("outputs", ())]
    for place in (content, *(tensor.get("preprocessing") or {} for tensor in tensors)):
        for kind, ranges in (place.get("value_ranges") or {}).items():
            low, high = map(float, ranges["taken"])
            yield kind.removesuffix(" images"), (low, high)
