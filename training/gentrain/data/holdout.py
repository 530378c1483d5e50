"""Images that a run is never trained on: what its generator is compared with, to recognise one that copies.

A generator that has memorised its images pleases every metric that compares it with those very images. How near
real images come that it has never seen says what is near.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset
    from gentrain.settings import Settings

Indices = np.ndarray[Any, np.dtype[np.int64]]

PART = 1 / 10
ENOUGH = (200, 2000)
"""Images that measure well, and those beyond which no more are needed."""

MOST = 1 / 3
"""Of the images: the rest is to be learned from."""

SMALL = 400
"""Of smaller data sets a tenth is held out, which is enough to recognise copies and no more."""

FEWEST = 200
"""Smaller data sets are trained on whole: every image counts there."""

ENOUGH_TO_COMPARE = 50
"""Fewer are no distribution; they only serve to recognise copies."""

SMALLEST_CLASS = 20
"""Of smaller classes nothing is held out."""


def count(images: int, s: Settings) -> int:
    """How many of so many images are held out: as many as `held_out` says, or what fits."""
    if s.held_out >= 0:
        return min(s.held_out, images // 2)
    if "unpaired" in s.conditions.split(","):  # a result cannot be a copy of what was trained on
        return min(max(round(PART * images), 2), ENOUGH[0], images // 2)
    if s.frames:  # each is many pictures
        return min(max(round(PART * images), 2), ENOUGH[1], images // 2)
    if images < FEWEST:  # but a translation is judged, and shown, by what it has not seen
        return max(1, round(PART * images)) if "image" in s.conditions.split(",") else 0
    part = round(PART * images)
    return part if images < SMALL else round(min(max(part, ENOUGH[0]), ENOUGH[1], MOST * images))


def unknown(images: int, held_out: int, enough: int) -> str:
    """In a sentence, what cannot be known of a generator that was trained on so few images; empty for others.

    Args:
        images: of the data set.
        held_out: those that were not trained on.
        enough: those that a generator can be compared with.
    """
    if held_out >= enough:
        return ""
    compared = "it is compared with the images that it was trained on, so one that copies them scores best"
    if held_out:
        return f"only {held_out} of {images} images were held out: {compared}; `memorised` says whether it copies"
    return f"none of {images} images was held out: {compared}, and `memorised` cannot be sure either"


def split(dataset: Dataset, held_out: int) -> tuple[Indices, Indices]:
    """Indices to train on and `held_out` ones that are not, fewer where classes are small; the same every time.

    Copies of what is held out are not trained on either, nor are other clips of the same file: so of a file one clip at
    most is held out, and of the files at most a third.
    """
    free = dataset.distinct
    if dataset.labels is not None:
        free = free[np.bincount(dataset.labels)[dataset.labels[free]] >= SMALLEST_CLASS]
    most = len(dataset.distinct) // 2
    if (origin := dataset.columns.get("origin")) is not None:
        first_of_each = np.unique(np.asarray(origin)[free], return_index=True)[1]
        free, most = free[first_of_each], max(1, round(MOST * len(first_of_each)))
    unseen = np.sort(np.random.default_rng(0).permutation(free)[: min(held_out, most)])
    seen = np.ones(len(dataset.images), bool)
    seen[dataset.alike(unseen)] = False
    return np.flatnonzero(seen), unseen


def halves(unseen: Indices) -> tuple[Indices, Indices]:
    """Every other one of these, and the rest: the best snapshot is chosen by the first and reported on the second.

    So that no snapshot is praised for what it was chosen by. Of fewer than twice `ENOUGH_TO_COMPARE` both are all.
    """
    return (unseen, unseen) if len(unseen) < 2 * ENOUGH_TO_COMPARE else (unseen[::2], unseen[1::2])


def split_inputs(dataset: Dataset, held_out: int) -> tuple[Indices, Indices]:
    """The same of a data set's `inputs`, which are indexed on their own: as many, but most are trained on."""
    assert dataset.inputs is not None
    return split(dataset.inputs, min(held_out, max(1, round(MOST * len(dataset.inputs.images)))))
