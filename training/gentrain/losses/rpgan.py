"""Relativistic pairing: D is to score each real image above the fake beside it, G the other way round.

Source: "The GAN is dead; long live the GAN! A Modern Baseline GAN", arXiv 2501.05441.
"""

from __future__ import annotations

import tensorflow as tf


def discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """softplus(−(D(x) − D(G(z)))) for logits (N, 1); (N, 1)."""
    return tf.nn.softplus(fake - real)


def generator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """softplus(−(D(G(z)) − D(x))); (N, 1)."""
    return tf.nn.softplus(real - fake)
