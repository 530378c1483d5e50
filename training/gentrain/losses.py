"""What the two networks play for. A loss here sees logits and gradients only, no model and no optimiser."""

from __future__ import annotations

import tensorflow as tf


def rpgan_discriminator(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """Relativistic pairing loss, softplus(−(D(x) − D(G(z)))), for logits (N, 1); a scalar.

    Source: "The GAN is dead; long live the GAN! A Modern Baseline GAN", arXiv 2501.05441.
    """
    return tf.reduce_mean(tf.nn.softplus(fake_logits - real_logits))


def rpgan_generator(real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
    """The generator's side of the same: softplus(−(D(G(z)) − D(x))); a scalar."""
    return tf.reduce_mean(tf.nn.softplus(real_logits - fake_logits))


def gradient_penalty(input_gradients: tf.Tensor) -> tf.Tensor:
    """R1 on real images or R2 on fakes: the squared length of D's gradient at each image (N, H, W, C), averaged.

    Source: "Which Training Methods for GANs do actually Converge?", arXiv 1801.04406.
    """
    return tf.reduce_mean(tf.reduce_sum(tf.square(input_gradients), axis=[1, 2, 3]))
