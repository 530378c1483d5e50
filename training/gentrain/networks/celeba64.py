"""The tutorials' 64×64 pair for CelebA: 8×8×1024 → 16×16×512 → 32×32×256 → 64×64, and a discriminator of 3×3
convolutions and max-pooling. `generator_width` is the last stage's 256, `discriminator_width` the other's first 64.
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
    start, doublings = stages(size, smallest=8)
    width = s.generator_width * 2 ** max(0, doublings - 1)
    x = layers.Dense(math.prod(start) * width, use_bias=False, kernel_initializer=init())(x)
    x = layers.ReLU()(norm(x))
    x = enter(layers.Reshape((*start, width))(x))
    for stage in range(1, doublings):
        filters = width // 2**stage
        x = layers.Conv2DTranspose(filters, 4, 2, padding="same", use_bias=False, kernel_initializer=init())(x)
        x = enter(layers.ReLU()(norm(x)))
    return layers.Conv2DTranspose(channels, 4, 2 if doublings else 1, padding="same", kernel_initializer=init())(x)


def discriminate(x: Any, size: Size, s: Settings, init: Initializers) -> Any:
    """Images (N, H, W, channels) → features (N, any)."""
    _, halvings = stages(size, smallest=8)
    for stage in range(max(1, halvings)):
        x = layers.Conv2D(s.discriminator_width * 2**stage, 3, padding="same", kernel_initializer=init())(x)
        x = layers.LeakyReLU(0.2)(x)
        x = layers.MaxPooling2D(2)(x)
        x = layers.Dropout(s.dropout, seed=init.next_seed())(x)
    return layers.Flatten()(x)
