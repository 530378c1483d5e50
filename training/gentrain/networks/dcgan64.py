"""The pair of the 64×64 tutorials, made consistent: a generator from 4×4×128, kernels of 4.

The discriminator published beside it is for 28×28×3, which does not fit what the generator makes; this one halves the
image as often as the generator doubles it. `generator_width` is the 128, `discriminator_width` the other's first 64.
"""

from __future__ import annotations

import math
from typing import Any

from keras import layers

from gentrain.data.sizes import Size
from gentrain.networks.parts import Enter, Initializers, Norm, stages
from gentrain.settings import Settings


def generate(x: Any, size: Size, channels: int, s: Settings, init: Initializers, norm: Norm, enter: Enter) -> Any:
    """Latents (N, any) → images (N, H, W, channels) before the tanh."""
    start, doublings = stages(size)
    width = s.generator_width
    x = layers.Dense(math.prod(start) * width, use_bias=False, kernel_initializer=init())(x)
    x = layers.LeakyReLU(0.2)(norm(x))
    x = enter(layers.Reshape((*start, width))(x))
    for stage in range(doublings - 1):
        filters = max(1, width // 2 ** max(0, stage - 1))
        x = layers.Conv2DTranspose(filters, 4, 2, padding="same", use_bias=False, kernel_initializer=init())(x)
        x = enter(layers.LeakyReLU(0.2)(norm(x)))
    return layers.Conv2DTranspose(channels, 4, 2, padding="same", kernel_initializer=init())(x)


def discriminate(x: Any, size: Size, s: Settings, init: Initializers) -> Any:
    """Images (N, H, W, channels) → features (N, any)."""
    _, halvings = stages(size)
    for stage in range(halvings):
        width = s.discriminator_width * min(2**stage, 2)
        x = layers.Conv2D(width, 4, 2, padding="same", kernel_initializer=init())(x)
        x = layers.LeakyReLU(0.2)(x)
    x = layers.Flatten()(x)
    return layers.Dropout(s.dropout, seed=init.next_seed())(x)
