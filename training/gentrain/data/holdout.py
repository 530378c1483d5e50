"""Images that a run is not trained on, by which a generator that copies is told from one that has learned.

A generator that has learned its images by heart pleases every measure that compares it with those very images. How near
real images come that it has never seen says what is near.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset
    from gentrain.settings import Settings

Rows = np.ndarray[Any, np.dtype[np.int64]]

PART = 1 / 20
MOST = 250
FEWEST = 200
"""Smaller data sets are trained on whole: every image counts there."""

SMALLEST_CLASS = 20
"""Of smaller classes nothing is held out."""


def count(images: int, s: Settings) -> int:
    """How many of so many images are held out: as many as `held_out` says, or what fits a run that is measured."""
    if s.held_out >= 0:
        return min(s.held_out, images // 2)
    return min(round(PART * images), MOST) if s.kimg_per_evaluation and images >= FEWEST else 0


def split(dataset: Dataset, held_out: int) -> tuple[Rows, Rows]:
    """Rows to train on and `held_out` rows that are not, fewer where classes are small; the same every time.

    Copies of what is held out are not trained on either.
    """
    rows, free = np.arange(len(dataset.images)), dataset.distinct
    if dataset.labels is not None:
        free = free[np.bincount(dataset.labels)[dataset.labels[free]] >= SMALLEST_CLASS]
    unseen = np.sort(np.random.default_rng(0).permutation(free)[: min(held_out, len(dataset.distinct) // 2)])
    return np.setdiff1d(rows, dataset.alike(unseen)), unseen
