"""Binary cross-entropy from logits, with the generator's loss that does not saturate.

Source: "Generative Adversarial Nets", arXiv 1406.2661.
"""

from __future__ import annotations

import tensorflow as tf


def discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """−log σ(D(x)) − log(1 − σ(D(G(z)))) for logits (N, 1); (N, 1)."""
    return tf.nn.softplus(-real) + tf.nn.softplus(fake)


def generator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """−log σ(D(G(z))); (N, 1)."""
    return tf.nn.softplus(-fake)
