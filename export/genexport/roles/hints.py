"""`hints` (N, H, W, 4): colours at some places of a picture, as red, green, blue and a mask. PNG files with opacity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import tensorflow as tf

from genexport.roles.image import FILES, Image
from genexport.roles.latents import latents_of_seeds
from genexport.roles.preprocess import Frame, decoded
from genexport.roles.role import Feed
from genexport.roles.tensor import Tensor

MOST = 8
"""Example i has i mod 9 dots of colour."""

GRID = 16
"""Each dot is a cell of a grid of so many a side."""


class Hints(Image):
    """What a user says of the colours: opaque where there is a hint, black and transparent elsewhere."""

    name = "hints"
    files = "hints_bytes"
    option = " --input hints=hints.png"

    def feed(self, tensor: Tensor, signature: str) -> Feed:
        if signature not in FILES:
            return super().feed(tensor, signature)
        frame = replace(Frame.of_tensor(tensor), nearest=True)
        return Feed(self.files, tf.string, (), lambda files: _masked(decoded(files, frame)))

    def examples(self, tensor: Tensor, count: int, first: int) -> tf.Tensor:
        """Dots of the colours of an example picture, always the same, none to eight."""
        height, width, _ = Frame.of_tensor(tensor).shape
        seeds = tf.range(first, first + count, dtype=tf.int64)
        order = tf.argsort(tf.argsort(latents_of_seeds(seeds, GRID * GRID)))
        chosen = tf.cast(order < tf.cast(seeds % (MOST + 1), tf.int32)[:, None], tf.float32)
        mask = tf.image.resize(tf.reshape(chosen, (count, GRID, GRID, 1)), (height, width), "nearest")
        return _masked(tf.concat([super().examples(tensor, count, first)[..., :3], mask], axis=-1))

    def words(self, shape: tuple[int | None, ...], manifest: Mapping[str, Any]) -> str:
        return "hints of colour"


def _masked(values: tf.Tensor) -> tf.Tensor:
    """A mask of 0 and 1, and black where nothing is given, whatever colour a file has where it is transparent."""
    mask = tf.round(values[..., 3:])
    return tf.concat([values[..., :3] * mask, mask], axis=-1)
