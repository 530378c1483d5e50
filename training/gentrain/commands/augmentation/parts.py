"""Which images the generator and the classifiers learn from, and which ones they are tested on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain.commands.study import split
from gentrain.data import holdout
from gentrain.data.dataset import Dataset, Frame
from gentrain.errors import TrainError

if TYPE_CHECKING:
    from gentrain.commands.subject import Subject

FEWEST_TESTED = 20
"""Held-out images of a run that say anything."""

FEW_OF_A_CLASS = 10
"""With fewer tested, a class's accuracy is a matter of luck; a note says so."""

Read = Callable[[str, Frame], Dataset]


@dataclass(frozen=True, eq=False)
class Parts:
    """`real` is learned from, `test` is not; `unseen` are indices of the data that were held out of it, if any."""

    real: Dataset
    test: Dataset
    unseen: split.Indices | None

    @property
    def few(self) -> str:
        """A note on classes with few images to test on; empty where there are none."""
        few = [f"{name} ({count})" for name, count in self.test.class_counts().items() if count < FEW_OF_A_CLASS]
        return f"few images to test on: {', '.join(few[:8])}; --test SOURCE takes others" if few else ""


def divide(dataset: Dataset, subject: Subject | None, test: Dataset | None) -> Parts:
    """A fifth of every class is held out, or what a run held out, or nothing where there are other images to test on.

    Args:
        dataset: images with classes.
        subject: a run that was trained on them.
        test: other images, prepared in the same way.

    Raises:
        TrainError: no classes, only one, too few images of one, or the test's classes are others.
    """
    split.check(dataset)
    unseen = None if subject is None else subject.unseen(dataset)
    if test is not None:
        real = dataset.distinct if unseen is None else np.setdiff1d(dataset.distinct, unseen)
        return Parts(pick(dataset, real), _without_copies(_relabelled(test, dataset), dataset), unseen)
    if subject is None:
        parts = split.hold_out(dataset)
        return Parts(pick(dataset, np.sort(np.concatenate(parts.pools))), pick(dataset, parts.test), parts.test)
    if unseen is None or len(unseen) < FEWEST_TESTED:
        raise TrainError(f"{subject.run}: held out too few images to test on; --test SOURCE takes others")
    tested = holdout.halves(unseen)[1]  # by the others its best snapshot may have been chosen
    return Parts(pick(dataset, np.setdiff1d(dataset.distinct, unseen)), pick(dataset, tested), unseen)


def pick(dataset: Dataset, indices: split.Indices) -> Dataset:
    """These images and their labels."""
    assert dataset.labels is not None
    labels = np.asarray(dataset.labels)[indices]
    return Dataset(dataset.source, np.asarray(dataset.images[indices]), labels, dataset.class_names)


def levelled(real: Dataset) -> Dataset:
    """The same with images of rarer classes repeated until all have as many, so that a generator sees each as often."""
    assert real.labels is not None
    members = [np.flatnonzero(real.labels == label) for label in range(len(real.class_names))]
    most = max(map(len, members))
    return pick(real, np.concatenate([np.resize(rows, most) for rows in members]))


def _relabelled(test: Dataset, dataset: Dataset) -> Dataset:
    """The test's images with the labels that their classes have in the data."""
    unknown = sorted(set(test.class_names) - set(dataset.class_names))
    if test.labels is None or unknown:
        found = f"class {unknown[0]} is none of {dataset.source}'s" if unknown else "no classes"
        raise TrainError(f"--test {test.source}: {found}; the same classes are needed, by their names")
    numbers = np.array([dataset.class_names.index(name) for name in test.class_names], np.int32)
    return Dataset(test.source, test.images, numbers[np.asarray(test.labels)], dataset.class_names)


def _without_copies(test: Dataset, dataset: Dataset) -> Dataset:
    """The test's images that are not among the data as well, pixel by pixel."""
    known = {np.asarray(image).tobytes() for image in dataset.images}
    new = np.array([np.asarray(image).tobytes() not in known for image in test.images], bool)
    if not new.any():
        raise TrainError(f"--test {test.source}: all its images are among {dataset.source}; take others")
    return pick(test, np.flatnonzero(new))


def describe(dataset: Dataset) -> dict[str, Any]:
    """What the manifest says of the data."""
    names = ("source", "count", "image_shape", "class_names", "class_counts", "fingerprint")
    described = dataset.describe()
    return {name: described[name] for name in names}
