"""GAN losses: an adversarial loss is one module here with `discriminator` and `generator`, and its name in
settings.CHOICES. It sees logits and gradients only, one value an image, no model.

rpgan.py, bce.py, lsgan.py, hinge.py, wgan_gp.py   the adversarial losses
auxiliary.py                                       losses beside the adversarial one, which conditions bring along
features.py                                        one of them, for a second discriminator, on features
frames.py                                          another, for one on single frames of clips
nce.py                                             another, which keeps the content of pictures without a right answer
captions.py                                        two more, of pictures from words
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import tensorflow as tf

from gentrain.settings import CHOICES

LOSSES: dict[str, ModuleType] = {
    name: import_module(f"gentrain.losses.{name.replace('-', '_')}") for name in CHOICES["loss"]
}


def gradient_penalty(input_gradients: tf.Tensor) -> tf.Tensor:
    """R1 on real images or R2 on fakes: the squared length of D's gradient at each image (N, H, W, C); (N,).

    Source: "Which Training Methods for GANs do actually Converge?", arXiv 1801.04406.
    """
    return tf.reduce_sum(tf.square(input_gradients), axis=[1, 2, 3])
