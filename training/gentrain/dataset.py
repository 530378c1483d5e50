"""Decoded images in memory, and the endless, repeatable stream of batches that training draws from them.

Sources make a `Dataset`; nothing here opens a file.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    import tensorflow as tf

SMALLEST_SIDE = 8


@dataclass(frozen=True)
class Frame:
    """How images are wanted.

    `resolution` is the longest side in pixels: images that are all square and of one size up to it stay as they are,
    others are cropped to the centre square and resized to it. `channels` is 1, 3, or 0 for what the images have.
    """

    resolution: int
    channels: int = 0

    def side(self, sizes: set[tuple[int, int]]) -> int:
        """The side in pixels for images of these (width, height)s; a multiple of 4, so that networks can halve it."""
        if len(sizes) == 1:
            (width, height) = next(iter(sizes))
            if width == height and SMALLEST_SIDE <= width <= self.resolution and width % 4 == 0:
                return width
        return self.resolution


@dataclass(frozen=True)
class Skipped:
    """A file that was passed over, and why."""

    file: str
    reason: str


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images uint8 (N, H, W, C) and, where they have classes, labels int32 (N,), indices into `class_names`."""

    source: str
    images: np.ndarray[Any, np.dtype[np.uint8]]
    labels: np.ndarray[Any, np.dtype[np.int32]] | None = None
    class_names: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = field(default=())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over shape, pixels, labels and class names: equal fingerprints train alike."""
        digest = hashlib.sha256(repr((self.images.shape, self.class_names)).encode("utf-8", "surrogateescape"))
        digest.update(np.ascontiguousarray(self.images).data)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()

    def class_counts(self) -> dict[str, int]:
        """Class name → number of images; empty without classes."""
        if self.labels is None:
            return {}
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        return {name: int(count) for name, count in zip(self.class_names, counts, strict=True)}

    def describe(self) -> dict[str, Any]:
        """What dataset.json holds."""
        return {
            "source": self.source,
            "count": len(self.images),
            "image_shape": list(self.images.shape[1:]),
            "class_names": list(self.class_names),
            "class_counts": self.class_counts(),
            "fingerprint": self.fingerprint,
            "skipped": [{"file": s.file, "reason": s.reason} for s in self.skipped],
            "notes": list(self.notes),
        }


def to_square(image: Image.Image, side: int, channels: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Crop to the centre square and resize with antialiasing to uint8 (side, side, channels)."""
    image = image.convert("RGB" if channels == 3 else "L")
    if image.size != (side, side):
        edge = min(image.size)
        left, top = (image.width - edge) // 2, (image.height - edge) // 2
        box = (left, top, left + edge, top + edge)
        image = image.resize((side, side), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    return np.asarray(image, np.uint8).reshape(side, side, channels)


def batches(images: np.ndarray[Any, np.dtype[np.uint8]], rows: int, seed: int, first_batch: int) -> tf.data.Dataset:
    """An endless stream of uint8 (rows, H, W, C), from batch `first_batch` on.

    Every image comes once an epoch, each epoch in another order. Order follows from (seed, position) alone, with
    no state to save: the RandomIndexShuffle op is a bijection of indices that is computed index by index.
    """
    import tensorflow as tf

    count = len(images)
    pixels = tf.constant(images)

    def draw(batch: tf.Tensor) -> tf.Tensor:
        position = batch * rows + tf.range(rows, dtype=tf.int64)
        epoch = position // count
        keys = tf.stack([tf.fill([rows], tf.constant(seed, tf.int64)), epoch, tf.zeros_like(epoch)], axis=1)
        last = tf.fill([rows], tf.constant(count - 1, tf.int64))
        order = tf.raw_ops.RandomIndexShuffle(index=position % count, seed=keys, max_index=last)
        return tf.gather(pixels, order)

    stream = tf.data.Dataset.range(first_batch, np.iinfo(np.int64).max // max(rows, 1))
    return stream.map(draw, num_parallel_calls=1, deterministic=True).prefetch(8)
