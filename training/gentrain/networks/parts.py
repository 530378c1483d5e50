"""What several networks are built from."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers

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


def stages(side: int, smallest: int = 4) -> tuple[int, int]:
    """The side of the first feature map, `smallest` pixels or little more, and how often it doubles up to `side`."""
    doublings = 0
    while side % 2 == 0 and side >= 2 * smallest:
        side, doublings = side // 2, doublings + 1
    return side, doublings
