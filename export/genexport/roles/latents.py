"""From seeds to latents in the graph, as every room of genline draws them (contract 3)."""

from __future__ import annotations

import tensorflow as tf


def latents_of_seeds(seeds: tf.Tensor, latent_size: int) -> tf.Tensor:
    """int64 (N,) → float32 (N, latent_size): Philox 4x32-10 and Box–Muller, by TensorFlow's own op. N may be 0."""

    def draw(seed: tf.Tensor) -> tf.Tensor:
        return tf.raw_ops.StatelessRandomNormalV2(
            shape=[latent_size], key=tf.bitcast(seed[None], tf.uint64), counter=tf.zeros([2], tf.uint64), alg=1
        )

    return tf.map_fn(draw, seeds, fn_output_signature=tf.TensorSpec([latent_size], tf.float32))
