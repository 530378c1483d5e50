"""Which examples a call is for: seeds, however many, or latents that are given as arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genclient.errors import UsageError
from genclient.latents.seeds import seed_array


@dataclass(frozen=True)
class Numbers:
    """Numbers of the examples of a call, such as seeds, and those from one place to another: int64 (N,)."""

    count: int
    at: Callable[[int, int], NDArray[np.int64]]


def seed_numbers(seeds: Sequence[int] | NDArray[Any]) -> Numbers:
    """Given seeds.

    Raises:
        UsageError: they are none.
    """
    array = seed_array(seeds)
    return Numbers(len(array), lambda start, stop: array[start:stop])


def counted_seeds(first: int, n: int | None) -> Numbers:
    """`n` seeds from `first` on, however many; None: as many as there are.

    Raises:
        UsageError: `n` is below 1, or a seed leaves int64.
    """
    count = 2**63 - first if n is None else n
    if count < 1:
        raise UsageError(f"n: found {n}, expected 1 or more")
    if first < -(2**63) or first + count > 2**63:
        raise UsageError(f"seed: {count} seeds from {first} leave int64, expected {-(2**63)} to {2**63 - 1}")
    return Numbers(count, lambda start, stop: np.arange(start, stop, dtype=np.int64) + np.int64(first))


def latents_array(latents: ArrayLike) -> NDArray[np.float32]:
    """Given latents as float32 (N, Z).

    Raises:
        UsageError: they are not finite numbers (N, Z), or none.
    """
    try:
        array = np.asarray(latents)
    except ValueError:  # of rows of several lengths
        raise UsageError("latents: found rows of several lengths, expected numbers (N, Z)") from None
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":
        raise UsageError(f"latents: found {array.dtype} {array.shape}, expected numbers (N, Z) with N and Z above 0")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        raise UsageError("latents: found values that are not finite in float32, expected finite numbers")
    return array
