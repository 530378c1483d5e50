"""Distances between all rows of two sets, which neighbours are found by."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def squared_distances(first: Array, second: Array) -> Array:
    """(N, F) and (M, F) → (N, M) of the same type, never below 0; rows near the origin lose least to rounding."""
    squares = first @ second.T
    squares *= -2
    squares += np.square(first).sum(axis=1)[:, None]
    squares += np.square(second).sum(axis=1)[None, :]
    return np.maximum(squares, 0, out=squares)
