"""Images of a Keras generator for measuring: the seeds of contract 3, as pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from gentrain.errors import TrainError
from gentrain.images import to_pixels
from gentrain.metrics.features import Images, Show
from gentrain.networks.latents import latents_of_seeds

BATCH = 256


def generate(
    generator: Any,
    count: int,
    first_seed: int = 0,
    given: Mapping[str, Any] | None = None,
    show: Show | None = None,
) -> Images:
    """Images uint8 (count, H, W, C) of the seeds from `first_seed` on.

    Args:
        generator: latents float32 (N, Z), and the inputs of its conditions, → float32 in [-1, 1].
        count: how many.
        first_seed: of the first; see contract 3.
        given: tensors (count, …) of the other inputs, by name; see `gentrain.conditions`.
        show: called with how many images were made.

    Raises:
        TrainError: it has other inputs than latents (N, Z) and what is given, or its images are not numbers.

    Example:
    ```python
    generator = keras.models.load_model("runs/digits/generator.keras", compile=False)
    images = generate(generator, 16, first_seed=100)  # uint8 (16, 28, 28, 1), the seeds 100 to 115
    ```
    """
    latent_size = _latent_size(generator, given or {})
    parts = []
    for start in range(0, count, BATCH):
        seeds = np.arange(first_seed + start, first_seed + min(start + BATCH, count), dtype=np.int64)
        latents = latents_of_seeds(seeds, latent_size) if latent_size else None
        inputs = _in_order(generator, latents, given, slice(start, start + BATCH)) if given else latents
        images = np.asarray(generator(inputs, training=False), np.float32)
        if not np.isfinite(images).all():
            raise TrainError(f"generator gives values that are no numbers, for one of the seeds from {seeds[0]} on")
        parts.append(to_pixels(images))
        if show:
            show(len(images))
    return np.concatenate(parts)


def _latent_size(generator: Any, given: Mapping[str, Any]) -> int:
    latents = [tuple(tensor.shape) for tensor in generator.inputs if tensor.name not in given]
    if not latents and given:
        return 0  # of pictures alone
    if len(latents) != 1 or len(latents[0]) != 2 or not latents[0][1]:
        inputs = ", ".join(f"{tensor.name} {tuple(tensor.shape)}" for tensor in generator.inputs)
        raise TrainError(
            f"generator has the inputs {inputs}; expected latents (N, Z) beside {', '.join(given) or 'nothing'}"
        )
    return int(latents[0][1])


def _in_order(generator: Any, latents: Any, given: Mapping[str, Any], rows: slice) -> list[Any]:
    # Keras takes tensors in a list, and nothing else.
    return [
        tf.convert_to_tensor(given[tensor.name][rows]) if tensor.name in given else latents
        for tensor in generator.inputs
    ]
