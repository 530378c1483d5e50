"""The generator and the discriminator, of stock Keras layers alone, for any side that halves down to 4–7 pixels.

Two dense layers bend the Gaussian of the latents towards the shapes of the images, as in StyleGAN's mapping network
(arXiv 1812.04948): on digits that brings more than the same time in convolutions. Those keep one width, since at
these sizes width in the early stages costs more time than it brings; the stage at full size, which costs most, has a
third of it. Up-sampling is a transposed convolution with kernel 4 and stride 2, and BatchNorm stands where TFLite can
fold it into its neighbour (after Dense before the Reshape): any other norm costs ten times the error in int8.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

MAPPING_LAYERS = 2
MAPPING_WIDTH = 128


def build_generator(side: int, channels: int, latent_size: int, width: int, seed: int) -> Any:
    """`latents` float32 (N, latent_size) → `images` float32 (N, side, side, channels) in [-1, 1]."""
    start, doublings = _stages(side)
    init = _Initializers(seed)
    x = latents = keras.Input((latent_size,), name="latents")
    for _ in range(MAPPING_LAYERS):
        x = layers.Dense(MAPPING_WIDTH, use_bias=False, kernel_initializer=init())(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    x = layers.Dense(start * start * 2 * width, use_bias=False, kernel_initializer=init())(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    x = layers.ReLU()(x)
    x = layers.Reshape((start, start, 2 * width))(x)
    for stage in range(1, doublings + 1):
        filters = width if stage < doublings else max(1, width // 3)
        x = layers.Conv2DTranspose(filters, 4, 2, padding="same", use_bias=False, kernel_initializer=init())(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.ReLU()(x)
    images = layers.Conv2D(channels, 3, padding="same", activation="tanh", kernel_initializer=init(), name="images")(x)
    return keras.Model(latents, images, name="generator")


def build_discriminator(side: int, channels: int, width: int, seed: int) -> Any:
    """`images` float32 (N, side, side, channels) in [-1, 1] → `logits` float32 (N, 1): higher is more real.

    No norm: batch statistics would mix real and fake images.
    """
    _, halvings = _stages(side)
    init = _Initializers(seed)
    x = images = keras.Input((side, side, channels), name="images")
    for stage in range(halvings + 1):
        x = layers.Conv2D(width * min(2**stage, 2), 4, 2, padding="same", kernel_initializer=init())(x)
        x = layers.LeakyReLU(0.2)(x)
    x = layers.Flatten()(x)
    logits = layers.Dense(1, kernel_initializer=init(), name="logits")(x)
    return keras.Model(images, logits, name="discriminator")


class _Initializers:
    """One Glorot initializer after another, each with a seed of its own, all following from one."""

    def __init__(self, seed: int) -> None:
        self.seed, self.count = seed, 0

    def __call__(self) -> Any:
        self.count += 1
        return keras.initializers.GlorotUniform(seed=self.seed * 1000 + self.count)


def _stages(side: int) -> tuple[int, int]:
    """The side of the first feature map, 4 to 7 pixels or what is left of an odd size, and how often it doubles."""
    doublings = 0
    while side % 2 == 0 and side >= 8:
        side, doublings = side // 2, doublings + 1
    return side, doublings
