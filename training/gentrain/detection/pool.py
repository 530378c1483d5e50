"""What is learned from: the statistics of pictures that were drawn, coded alike and disturbed, some more at each step.

Statistics do not learn, so they are taken once of a picture and learned from many times.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from gentrain.detection import disturb, statistics
from gentrain.detection.pictures import Pictures

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Numbers = np.ndarray[Any, np.dtype[np.float32]]

FIRST = 512  # real pictures, and as many generated ones, before the first step
MORE = 8  # of each at every step
MOST = 20_000  # of each that are kept: then the oldest go
HALF = 128  # of a batch
LABELS = np.repeat(np.array([[1], [0]], np.float32), HALF, axis=0)


class Pool:
    """All of it follows from the seed and the step."""

    def __init__(self, pictures: Pictures, seed: int) -> None:
        height, _, channels = pictures.shape
        self.statistics = statistics.of_images(height, channels)
        self._of = tf.function(self.statistics)
        self.at_once = statistics.at_once(self.statistics)
        self.drawn = 0
        self._pictures, self._seed = pictures, seed
        self._real, self._fake = (np.empty((MOST, *self.statistics.output_shape[1:]), np.float32) for _ in range(2))

    def begin(self) -> Numbers:
        """Draw the first; all there are (N, any), by which their scale is known."""
        self._draw(FIRST, 0)
        return np.concatenate([self._real[:FIRST], self._fake[:FIRST]])

    def batch(self, step: int) -> tuple[Numbers, Numbers]:
        """A few new ones and many others: statistics (2 HALF, any) and `LABELS`."""
        rng = self._draw(MORE, step)
        full = min(self.drawn // 2, MOST)
        real, fake = (kept[rng.integers(full, size=HALF)] for kept in (self._real, self._fake))
        return np.concatenate([real, fake]), LABELS

    def _draw(self, count: int, step: int) -> np.random.Generator:
        rng = np.random.default_rng([self._seed, step])
        images = floats(_disturbed(self._pictures, count, step, rng))
        starts = range(0, len(images), self.at_once)
        numbers = np.concatenate([self._of(images[start : start + self.at_once]) for start in starts])
        places = (self.drawn // 2 + np.arange(count)) % MOST
        self._real[places], self._fake[places] = numbers[:count], numbers[count:]
        self.drawn += 2 * count
        return rng


def _disturbed(pictures: Pictures, count: int, step: int, rng: np.random.Generator) -> Pixels:
    """So many real pictures and as many generated ones, of all generators alike; coded alike, disturbed at random."""
    real, fakes = pictures.real.training, list[Pixels]()
    for number, part in enumerate(pictures.seen):
        share = (count + (number + step) % len(pictures.seen)) // len(pictures.seen)
        fakes.append(pictures.fake_beside(part, part.training[rng.integers(len(part.training), size=share)], rng))
    drawn = [pictures.real_beside(pictures.seen, real[rng.integers(len(real), size=count)], rng), *fakes]
    return disturb.at_random(np.concatenate(drawn), rng)


def floats(images: Pixels) -> Numbers:
    """Uint8 as the detector takes them, in [-1, 1]."""
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)
