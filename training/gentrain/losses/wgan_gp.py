"""Wasserstein: the difference of mean scores, with D's slope held at 1 between real and fake images.

Source: "Improved Training of Wasserstein GANs", arXiv 1704.00028. Its own penalty takes the place of R1 and R2.
"""

from __future__ import annotations

import tensorflow as tf

PENALTY_WEIGHT = 10.0


def discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """D(G(z)) − D(x) for logits (N, 1); (N, 1)."""
    return fake - real


def generator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """−D(G(z)); (N, 1)."""
    return -fake


def gradient_penalty(input_gradients: tf.Tensor) -> tf.Tensor:
    """(‖∇D‖ − 1)² for gradients (N, H, W, C) at points between real and fake images; (N,)."""
    # The root of 0 has no slope of its own.
    length = tf.sqrt(tf.reduce_sum(tf.square(input_gradients), axis=[1, 2, 3]) + 1e-12)
    return tf.square(length - 1.0)
