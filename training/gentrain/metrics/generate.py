"""Images of a Keras generator for measuring: the seeds of contract 3, as pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from gentrain.errors import TrainError
from gentrain.latents import latents_of_seeds
from gentrain.metrics.features import Images
from gentrain.sheets import to_pixels

BATCH = 256


def is_conditional(generator: Any) -> bool:
    """Whether a generator takes `labels` beside latents."""
    return any(tensor.name == "labels" for tensor in generator.inputs)


def generate(
    generator: Any, count: int, first_seed: int = 0, labels: np.ndarray[Any, np.dtype[np.int32]] | None = None
) -> Images:
    """Images uint8 (count, H, W, C) of the seeds from `first_seed` on, with int32 labels (count,) where it takes them.

    Raises:
        TrainError: it has other inputs than latents (N, Z) and labels, or its images are not numbers.
    """
    latents = [tensor for tensor in generator.inputs if tensor.name != "labels"]
    if len(latents) != 1 or len(latents[0].shape) != 2 or not latents[0].shape[1]:
        inputs = ", ".join(f"{tensor.name} {tuple(tensor.shape)}" for tensor in generator.inputs)
        raise TrainError(f"generator has inputs {inputs}; expected latents (N, Z), and labels (N,) where conditional")
    parts = []
    for start in range(0, count, BATCH):
        seeds = np.arange(first_seed + start, first_seed + min(start + BATCH, count), dtype=np.int64)
        inputs = [
            labels[start : start + BATCH] if tensor.name == "labels" else _latents(tf.constant(seeds), tensor.shape[1])
            for tensor in generator.inputs
        ]
        images = np.asarray(generator(inputs if len(inputs) > 1 else inputs[0], training=False), np.float32)
        if not np.isfinite(images).all():
            raise TrainError(f"generator gives values that are no numbers, for one of the seeds from {seeds[0]} on")
        parts.append(to_pixels(images))
    return np.concatenate(parts)


@tf.function(reduce_retracing=True)
def _latents(seeds: tf.Tensor, latent_size: int) -> tf.Tensor:
    """`gentrain.latents.latents_of_seeds` as a loop inside TensorFlow, which is some thirty times faster."""
    return tf.map_fn(lambda seed: latents_of_seeds([seed], latent_size)[0], seeds, fn_output_signature=tf.float32)
