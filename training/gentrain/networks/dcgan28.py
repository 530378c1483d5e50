"""The pair of the 28×28 tutorials, kept as published for comparison: 7×7 → 7×7 → 14×14 → 28×28, kernels of 5.

A `generator_width` of 128 with a `discriminator_width` of 64 is TensorFlow's DCGAN tutorial (from 7×7×256); 64 starts
from 7×7×128. Source: tensorflow.org/tutorials/generative/dcgan.
"""

from __future__ import annotations

import math
from typing import Any

from keras import layers

from gentrain.data.sizes import Size, both
from gentrain.networks.parts import Enter, Initializers, Norm
from gentrain.settings import Settings


def generate(x: Any, size: Size, channels: int, s: Settings, init: Initializers, norm: Norm, enter: Enter) -> Any:
    """Latents (N, any) → images (N, H, W, channels) before the tanh; sides are multiples of 4."""
    width, (height, across) = s.generator_width, both(size)
    start = (height // 4, across // 4)
    x = layers.Dense(math.prod(start) * 2 * width, use_bias=False, kernel_initializer=init())(x)
    x = layers.LeakyReLU(0.3)(norm(x))
    x = enter(layers.Reshape((*start, 2 * width))(x))
    for filters, stride in ((width, 1), (max(1, width // 2), 2)):
        x = layers.Conv2DTranspose(filters, 5, stride, padding="same", use_bias=False, kernel_initializer=init())(x)
        x = enter(layers.LeakyReLU(0.3)(norm(x)))
    return layers.Conv2DTranspose(channels, 5, 2, padding="same", use_bias=False, kernel_initializer=init())(x)


def discriminate(x: Any, size: Size, s: Settings, init: Initializers) -> Any:
    """Images (N, H, W, channels) → features (N, any)."""
    for width in (s.discriminator_width, 2 * s.discriminator_width):
        x = layers.Conv2D(width, 5, 2, padding="same", kernel_initializer=init())(x)
        x = layers.LeakyReLU(0.3)(x)
        x = layers.Dropout(s.dropout, seed=init.next_seed())(x)
    return layers.Flatten()(x)
