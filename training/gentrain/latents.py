"""From a seed to latents, as every room of genline draws them (contract 3): samples here are `genclient`'s images."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf


def latents_of_seeds(seeds: Iterable[int], latent_size: int) -> tf.Tensor:
    """Float32 (N, latent_size) for int64 seeds: Philox 4x32-10 and Box–Muller, by TensorFlow's own op."""
    return tf.stack(
        [
            tf.raw_ops.StatelessRandomNormalV2(
                shape=[latent_size], key=tf.bitcast([tf.constant(seed, tf.int64)], tf.uint64), counter=[0, 0], alg=1
            )
            for seed in seeds
        ]
    )
