"""Precision, recall, density and coverage: is a generated image near real ones, and is a real one near generated ones.

Near is within the distance to the k-th nearest neighbour of the same kind. Sources: "Improved Precision and Recall
Metric for Assessing Generative Models", arXiv 1904.06991, and "Reliable Fidelity and Diversity Metrics for Generative
Models", arXiv 2002.09797 with its code, clovaai/generative-evaluation-prdc.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gentrain.metrics.distances import squared_distances

Array = np.ndarray[Any, Any]

NEAREST = 5
"""k of both papers."""

LARGEST = 5000
"""Rows used of each set: time grows with the square."""

BLOCK = 500
"""Rows compared at once, which bounds memory to BLOCK × LARGEST float64."""

COINCIDE = 1e-10
"""Squared distance, relative to the features' size, below which two rows are one point: rounding makes as much."""


def measure(real: Array, generated: Array, k: int = NEAREST) -> dict[str, float]:
    """`precision`, `recall`, `density` and `coverage` of features (N, F) and (M, F), at least 2 rows each.

    Of larger sets the first `LARGEST` rows count; k is at most one less than the rows of the smaller set. A point that
    coincides with another is near it, even among so many duplicates that the k-th nearest is at distance 0.
    """
    real, generated = _centred(real[:LARGEST], generated[:LARGEST])
    k = min(k, len(real) - 1, len(generated) - 1)
    tolerance = COINCIDE * float(np.square(real).sum(axis=1).mean() + np.square(generated).sum(axis=1).mean())
    real_radii, generated_radii = _radii(real, k), _radii(generated, k)
    near_real = 0  # pairs in which the generated image is within the real one's radius
    looks_real = np.zeros(len(generated), bool)
    recalled, covered = (np.zeros(len(real), bool) for _ in range(2))
    for start in range(0, len(real), BLOCK):
        part = slice(start, start + BLOCK)
        squares = squared_distances(real[part], generated)
        coincide = squares <= tolerance
        within_real = (squares < real_radii[part, None]) | coincide
        looks_real |= within_real.any(axis=0)
        near_real += int(within_real.sum())
        covered[part] = within_real.any(axis=1)
        recalled[part] = ((squares < generated_radii[None, :]) | coincide).any(axis=1)
    return {
        "precision": float(looks_real.mean()),
        "recall": float(recalled.mean()),
        "density": near_real / (k * len(generated)),
        "coverage": float(covered.mean()),
    }


def _centred(real: Array, generated: Array) -> tuple[Array, Array]:
    """Both as float64 with the real ones' mean taken away, which keeps the rounding of distances small."""
    mean = np.asarray(real, np.float64).mean(axis=0)
    return real - mean, generated - mean


def _radii(rows: Array, k: int) -> Array:
    """The squared distance of every row to its k-th nearest other row."""
    radii = np.empty(len(rows))
    for start in range(0, len(rows), BLOCK):
        squares = squared_distances(rows[start : start + BLOCK], rows)
        squares[np.arange(len(squares)), np.arange(start, start + len(squares))] = 0
        radii[start : start + BLOCK] = np.partition(squares, k, axis=1)[:, k]
    return radii
