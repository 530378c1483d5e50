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

    N and M are at least 2 and may be smaller than F.
    """
    (mean_1, first), (mean_2, second) = _centred(first), _centred(second)
    apart = np.square(mean_1 - mean_2).sum() + np.square(first).sum() + np.square(second).sum()
    return max(float(apart - 2 * _overlap(first, second)), 0.0)


def _centred(features: Array) -> tuple[Array, Array]:
    """The mean (F,), and rows X with XᵀX for the covariance."""
    features = np.asarray(features, np.float64)
    mean = features.mean(axis=0)
    return mean, (features - mean) / np.sqrt(len(features) - 1)


def _overlap(first: Array, second: Array) -> float:
    """tr((XᵀX YᵀY)^½), which is the sum of the singular values of X Yᵀ: with few rows that is small.

    With many, the trace comes from the eigenvalues of the symmetric S₁^½ S₂ S₁^½, which needs no inverse and stays real
    where `sqrtm` of the product does not.
    """
    if min(len(first), len(second)) < first.shape[1]:
        few, many = sorted((first, second), key=len)
        across = few @ many.T
        squares = np.linalg.eigvalsh(across @ across.T)
    else:
        values, vectors = np.linalg.eigh(first.T @ first)
        root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
        squares = np.linalg.eigvalsh(root @ (second.T @ second) @ root)
    return float(np.sqrt(np.clip(squares, 0, None)).sum())
