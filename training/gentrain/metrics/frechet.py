"""Fréchet distance: two sets of features, each taken for a Gaussian, and how far one is from the other.

Source: "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", arXiv 1706.08500.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def measure(real: Array, generated: Array) -> dict[str, float]:
    """`frechet` of features (N, F) and (M, F); see `gentrain.metrics.compare`."""
    return {"frechet": distance(real, generated)}


def distance(first: Array, second: Array) -> float:
    """|m₁ − m₂|² + tr(S₁ + S₂ − 2 (S₁ S₂)^½) of features (N, F) and (M, F), computed in float64.

    N and M are at least 2 and may be smaller than F: the trace of the root comes from the eigenvalues of the
    symmetric S₁^½ S₂ S₁^½, which needs no inverse and stays real where `sqrtm` of the product does not.
    """
    mean_1, covariance_1 = _gaussian(first)
    mean_2, covariance_2 = _gaussian(second)
    values, vectors = np.linalg.eigh(covariance_1)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    shared = np.linalg.eigvalsh(root @ covariance_2 @ root)
    overlap = np.sqrt(np.clip(shared, 0, None)).sum()
    apart = np.square(mean_1 - mean_2).sum() + np.trace(covariance_1) + np.trace(covariance_2) - 2 * overlap
    return max(float(apart), 0.0)


def _gaussian(features: Array) -> tuple[Array, Array]:
    features = np.asarray(features, np.float64)
    return features.mean(axis=0), np.atleast_2d(np.cov(features, rowvar=False))
