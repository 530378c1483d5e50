"""From a seed to latents, as every room of genline draws them (contract 3): samples here are `genclient`'s images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf


def latents_of_seeds(seeds: Sequence[int] | np.ndarray[Any, Any], latent_size: int) -> tf.Tensor:
    """Float32 (N, latent_size) for int64 seeds: Philox 4x32-10 and Box–Muller, by TensorFlow's own op.

    Example:
    ```python
    generator(latents_of_seeds(range(16), 32))  # float32 (16, H, W, C) in [-1, 1]
    ```
    """
    return _latents(tf.constant(np.asarray(seeds, np.int64)), latent_size)


# In a graph the op is called some thirty times as often in a second.
@tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]
def _latents(seeds: tf.Tensor, latent_size: int) -> tf.Tensor:
    def draw(seed: tf.Tensor) -> tf.Tensor:
        key, counter = tf.bitcast(seed[None], tf.uint64), tf.zeros([2], tf.uint64)
        return tf.raw_ops.StatelessRandomNormalV2(shape=[latent_size], key=key, counter=counter, alg=1)

    return tf.map_fn(draw, seeds, fn_output_signature=tf.float32)
