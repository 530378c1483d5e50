"""Clips in a training step: frames behind each other as channels, so that what is done to pictures is done to clips.

A flip, a shift, a distance or a penalty on a slope then sees one picture of many channels, and is drawn once a clip.
"""

from __future__ import annotations

import tensorflow as tf


def as_channels(images: tf.Tensor) -> tf.Tensor:
    """Clips (N, T, H, W, C) → (N, H, W, T C); pictures (N, H, W, C) stay as they are."""
    if images.shape.rank == 4:
        return images
    _, frames, height, width, channels = images.shape
    return tf.reshape(tf.transpose(images, (0, 2, 3, 1, 4)), (-1, height, width, frames * channels))


def beside(images: tf.Tensor, frames: int) -> tf.Tensor:
    """Frames as channels (N, H, W, T C) → beside each other, (N, H, W T, C): to a change of colours one picture."""
    _, height, width, channels = images.shape
    return tf.reshape(images, (-1, height, width * max(frames, 1), channels // max(frames, 1)))


def as_clips(images: tf.Tensor, frames: int) -> tf.Tensor:
    """The same back; with 0 frames pictures stay as they are."""
    if not frames:
        return images
    _, height, width, channels = images.shape
    return tf.transpose(tf.reshape(images, (-1, height, width, frames, channels // frames)), (0, 3, 1, 2, 4))
