"""What several networks are built from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

from gentrain.data.sizes import Size, both

Enter = Callable[[Any], Any]
"""Feature maps (N, h, w, C), or what the first is made of, → the same with what the conditions add there."""


class Initializers:
    """One initializer after another, each with a seed of its own, all following from one."""

    def __init__(self, seed: int) -> None:
        self.seed, self.count = seed, 0

    def __call__(self) -> Any:
        """Glorot's uniform, for kernels."""
        return keras.initializers.GlorotUniform(seed=self.next_seed())

    def normal(self, stddev: float = 1.0) -> Any:
        """For embeddings."""
        return keras.initializers.RandomNormal(stddev=stddev, seed=self.next_seed())

    def next_seed(self) -> int:
        """A new seed."""
        self.count += 1
        return self.seed * 1000 + self.count


class Norm:
    """BatchNorm as all generators here use it; with several devices its statistics are those of the whole batch."""

    def __init__(self, synchronized: bool) -> None:
        self.synchronized = synchronized

    def __call__(self, x: Any) -> Any:
        return layers.BatchNormalization(momentum=0.9, synchronized=self.synchronized)(x)


def stages(size: Size, smallest: int = 4) -> tuple[tuple[int, int], int]:
    """(height, width) of the first feature map, and how often both double up to `size`.

    They halve together as long as both are even and the shorter stays `smallest` pixels or more.

    >>> stages(64), stages((64, 96)), stages((24, 32))
    (((4, 4), 4), ((4, 6), 4), ((6, 8), 2))
    """
    (height, width), doublings = both(size), 0
    while height % 2 == 0 and width % 2 == 0 and min(height, width) >= 2 * smallest:
        height, width, doublings = height // 2, width // 2, doublings + 1
    return (height, width), doublings
