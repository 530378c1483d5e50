"""Hinge: what is scored beyond ±1 on the right side no longer teaches D.

Source: "Geometric GAN", arXiv 1705.02894; with spectral norm in "Spectral Normalization for GANs", arXiv 1802.05957.
"""

from __future__ import annotations

import tensorflow as tf


def discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """max(0, 1 − D(x)) + max(0, 1 + D(G(z))) for logits (N, 1); (N, 1)."""
    return tf.nn.relu(1.0 - real) + tf.nn.relu(1.0 + fake)


def generator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """−D(G(z)); (N, 1)."""
    return -fake
