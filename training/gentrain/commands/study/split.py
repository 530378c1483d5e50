"""Who sees which image: a fixed test set that nothing trains on, and for each seed a draw of so many a class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gentrain.commands.study.options import ALL, Size
from gentrain.data.dataset import Dataset
from gentrain.errors import TrainError

Indices = np.ndarray[Any, np.dtype[np.int64]]

SPLIT_SEED = 20
TEST_PART = 5  # a fifth of a class is held out …
MOST_TEST = 1000  # … and no more than this
FEWEST = 10  # images a class that a study can work with


@dataclass(frozen=True, eq=False)
class Split:
    """Indices into the data set: `test` is held out, `pools` holds the rest of each class."""

    test: Indices
    pools: tuple[Indices, ...]

    @property
    def fewest(self) -> int:
        """Images in the smallest pool: the largest n that can be drawn from every class."""
        return min(len(pool) for pool in self.pools)

    def images_a_class(self, size: Size) -> int:
        """How many `size` is: for `ALL` the mean, rounded."""
        return size if isinstance(size, int) else round(sum(map(len, self.pools)) / len(self.pools))

    def draw(self, size: Size, seed: int) -> Indices:
        """`size` images of every class, none of them from the test set; a larger draw of a seed holds its smaller."""
        chosen = []
        for label, pool in enumerate(self.pools):
            order = np.random.default_rng([seed, label]).permutation(pool)
            chosen.append(order if size == ALL else order[: int(size)])
        return np.sort(np.concatenate(chosen))


def hold_out(dataset: Dataset) -> Split:
    """Hold out a fifth of every class, at most 1,000: the same images for the same data, whatever a study's seeds.

    Of copies one takes part, or what is held out would have been learned.

    Raises:
        TrainError: no classes, only one, or one with fewer than `FEWEST` images.
    """
    counts = check(dataset)
    labels = np.asarray(dataset.labels)[dataset.distinct]
    different = np.bincount(labels, minlength=len(counts))
    name, fewest = dataset.class_names[int(different.argmin())], int(different.min())
    if fewest < FEWEST:
        raise TrainError(
            f"{dataset.source}: class {name} has {fewest} images; to hold a fifth out takes {FEWEST} or more"
        )
    test, pools = [], []
    for label in range(len(counts)):
        members = dataset.distinct[labels == label]
        order = np.random.default_rng([SPLIT_SEED, label]).permutation(members)
        held = min(MOST_TEST, len(members) // TEST_PART)
        test.append(order[:held])
        pools.append(order[held:])
    return Split(np.sort(np.concatenate(test)), tuple(pools))


def check(dataset: Dataset) -> dict[str, int]:
    """Class → number of images; raises TrainError for no classes, only one, or one of a single image."""
    counts = dataset.class_counts()
    if dataset.labels is None or not counts:
        raise TrainError(f"{dataset.source}: no classes; this needs images with labels, as in a folder a class")
    if len(counts) < 2:
        raise TrainError(f"{dataset.source}: one class, {next(iter(counts))}; this needs at least two")
    if few := [name for name, count in counts.items() if count < 2]:
        raise TrainError(f"{dataset.source}: class {few[0]} has {counts[few[0]]} images; two are the least")
    return counts


def possible(sizes: Sequence[Size], split: Split) -> tuple[tuple[Size, ...], list[str]]:
    """The sizes that can be drawn, and a note on each that was dropped."""
    kept: list[Size] = []
    notes = []
    for size in sizes:
        if size == ALL or int(size) <= split.fewest:
            kept.append(size)
        else:
            notes.append(f"n = {size} left out: the smallest class has {split.fewest} images that are not held out")
    equal = all(len(pool) == split.fewest for pool in split.pools)
    if ALL in kept and equal and split.fewest in kept:
        kept.remove(split.fewest)  # the same images
    return tuple(kept), notes
