"""Mean squared error: real images are to score 1 and fakes 0.

Source: "Least Squares Generative Adversarial Networks", arXiv 1611.04076.
"""

from __future__ import annotations

import tensorflow as tf


def discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """((D(x) − 1)² + D(G(z))²) / 2 for logits (N, 1); (N, 1)."""
    return 0.5 * (tf.square(real - 1.0) + tf.square(fake))


def generator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """(D(G(z)) − 1)² / 2; (N, 1)."""
    return 0.5 * tf.square(fake - 1.0)
