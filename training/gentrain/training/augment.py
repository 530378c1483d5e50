"""DiffAugment: real and fake images are changed alike before D sees them, so that few images last longer.

Each image is changed with a probability that rises over the run: without augmentation early on D learns faster, and
below certainty the changes do not leak into what G draws. Source: "Differentiable Augmentation for Data-Efficient GAN
Training", arXiv 2006.10738; the probability is that of StyleGAN2-ADA, arXiv 2006.06676.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

Draw = Callable[[int], tf.Tensor]
"""`draw(k)` → uniform float32 (N, k) in [0, 1), other values at each call, the same ones after a restart."""

Change = Callable[[tf.Tensor], tf.Tensor]
"""Pictures (N, H, W, any) → the same shape, the same change at every call."""

SHIFT = 0.125  # of each side, either way
CUTOUT = 0.5  # the hole's, of each side


def augment(images: tf.Tensor, probability: tf.Tensor, draw: Draw) -> tf.Tensor:
    """Brightness, saturation, contrast, a shift and a hole, each in this part of the images.

    Args:
        images: float32 (N, H, W, C) in [-1, 1].
        probability: scalar from 0 to 1.
        draw: where the randomness comes from.

    Returns:
        The same shape; differentiable twice with respect to `images`.
    """
    colour, move = changes(probability, draw)
    return move(colour(images))


def changes(probability: tf.Tensor, draw: Draw) -> tuple[Change, Change]:
    """The same in two steps: the colours, which are the images' own, and what moves and cuts any pictures alike."""
    drawn = [(change, *_drawn(probability, draw, values)) for change, values in ((_colour, 3), (_shift, 2), (_hole, 2))]

    def apply(pictures: tf.Tensor, steps: Sequence[Any]) -> tf.Tensor:
        for change, chosen, values in steps:
            pictures += chosen * (change(pictures, values) - pictures)
        return pictures

    return lambda images: apply(images, drawn[:1]), lambda pictures: apply(pictures, drawn[1:])


def _drawn(probability: tf.Tensor, draw: Draw, values: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Which images are changed, float32 (N, 1, 1, 1) of 0 and 1, and by what, (N, values)."""
    chosen = tf.cast(draw(1) < probability, tf.float32)[:, :, None, None]
    return chosen, draw(values)


def _colour(images: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    brightness, saturation, contrast = tf.split(values[:, :, None, None], 3, axis=1)
    images += brightness - 0.5
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    images = grey + (images - grey) * (2.0 * saturation)
    mean = tf.reduce_mean(images, axis=[1, 2, 3], keepdims=True)
    return mean + (images - mean) * (contrast + 0.5)


def moved(images: tf.Tensor, values: tf.Tensor, part: float) -> tf.Tensor:
    """Moved by whole pixels, at most by this part of each side either way; the edge is repeated where nothing comes in.

    Args:
        images: float32 (N, H, W, any).
        values: float32 (N, 2) in [0, 1), where to.
        part: of each side.
    """
    return _moved(images, values, part, "NEAREST")


def _shift(images: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Moved by whole pixels; what comes in is grey (0)."""
    return _moved(images, values, SHIFT, "CONSTANT")


def _moved(images: tf.Tensor, values: tf.Tensor, part: float, fill_mode: str) -> tf.Tensor:
    # To the side first, then down.
    most = tf.constant([max(1, round(part * side)) for side in (images.shape[2], images.shape[1])], tf.float32)
    moves = tf.floor(values * (2 * most + 1)) - most
    one, zero = tf.ones_like(moves[:, :1]), tf.zeros_like(moves[:, :1])
    transforms = tf.concat([one, zero, moves[:, :1], zero, one, moves[:, 1:], zero, zero], axis=1)
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=transforms,
        output_shape=tf.shape(images)[1:3],
        fill_value=0.0,
        interpolation="NEAREST",
        fill_mode=fill_mode,
    )


def _hole(images: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    rows, columns = (
        tf.abs(tf.range(side, dtype=tf.float32) + 0.5 - centre * side) < CUTOUT * side / 2
        for side, centre in zip(images.shape[1:3], tf.split(values, 2, axis=1), strict=True)
    )
    hole = tf.logical_and(rows[:, :, None, None], columns[:, None, :, None])
    return tf.where(hole, tf.zeros_like(images), images)
