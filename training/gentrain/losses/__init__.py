"""What the two networks play for: a loss is one module with `discriminator` and `generator`, and one line in `LOSSES`
(its name also stands in settings.CHOICES). It sees logits and gradients only, one value an image, no model.
"""

from __future__ import annotations

from types import ModuleType

import tensorflow as tf

from gentrain.losses import bce, hinge, lsgan, rpgan, wgan_gp

LOSSES: dict[str, ModuleType] = {
    "rpgan": rpgan,
    "bce": bce,
    "lsgan": lsgan,
    "hinge": hinge,
    "wgan-gp": wgan_gp,
}


def gradient_penalty(input_gradients: tf.Tensor) -> tf.Tensor:
    """R1 on real images or R2 on fakes: the squared length of D's gradient at each image (N, H, W, C); (N,).

    Source: "Which Training Methods for GANs do actually Converge?", arXiv 1801.04406.
    """
    return tf.reduce_sum(tf.square(input_gradients), axis=[1, 2, 3])
