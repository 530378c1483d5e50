"""Kernel distance (KID): the squared maximum mean discrepancy with a cubic kernel. Unbiased, so real images against
real ones give zero on average, slightly negative values included, even with few of them.

Source: "Demystifying MMD GANs", arXiv 1801.01401.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

LARGEST = 5000
"""Rows used of each set: time grows with the square."""

BLOCK = 1000
"""Rows compared at once, which bounds memory to BLOCK × LARGEST float64."""


def measure(real: Array, generated: Array) -> dict[str, float]:
    """`kernel` of features (N, F) and (M, F); see `gentrain.metrics.compare`."""
    return {"kernel": distance(real, generated)}


def distance(first: Array, second: Array) -> float:
    """Unbiased MMD² of features (N, F) and (M, F), at least 2 rows each, with k(x, y) = (x·y / F + 1)³ in float64.

    Of larger sets the first `LARGEST` rows count, all pairs of them rather than random subsets: no chance in it.
    """
    first, second = (np.asarray(rows[:LARGEST], np.float64) for rows in (first, second))
    n, m = len(first), len(second)
    within_first = (_total(first, first) - _diagonal(first)) / (n * (n - 1))
    within_second = (_total(second, second) - _diagonal(second)) / (m * (m - 1))
    return float(within_first + within_second - 2 * _total(first, second) / (n * m))


def _total(first: Array, second: Array) -> float:
    """The kernel summed over all pairs."""
    total = 0.0
    for start in range(0, len(first), BLOCK):
        block = first[start : start + BLOCK] @ second.T
        block /= first.shape[1]
        block += 1
        total += float(np.einsum("ij,ij,ij->", block, block, block))  # the sum of cubes, faster than a power
    return total


def _diagonal(rows: Array) -> float:
    """The kernel of every row with itself, summed."""
    return float(((np.square(rows).sum(axis=1) / rows.shape[1] + 1) ** 3).sum())
