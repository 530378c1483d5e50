"""From pictures to pictures: a U-Net with skip connections, and a discriminator of patches.

Convolutions halve the picture down to 4–7 pixels, a dense layer sees all of it, and transposed convolutions double it
again, each with the features of its size from the way down beside it. The last doubling is a bilinear one after a
convolution at half size: a transposed one leaves a grid on flat areas. BatchNorm has moving averages, so that a picture
depends on nothing beside it, and all layers are those that TFLite runs on XNNPACK.

Sources: "U-Net", arXiv 1505.04597, and "Image-to-Image Translation with Conditional Adversarial Networks", arXiv
1611.07004.
"""

from __future__ import annotations

import math
from typing import Any

from keras import layers

from gentrain.data.sizes import Size
from gentrain.networks.parts import Enter, Initializers, Norm, stages
from gentrain.settings import Settings

BOTTLENECK = 256
LATENTS = 64
WIDEST = 4  # times the width at full size
PATCH_HALVINGS = 3


def translate(x: Any, latents: Any, channels: int, s: Settings, init: Initializers, norm: Norm, enter: Enter) -> Any:
    """Pictures (N, H, W, any), latents (N, any) or None → images (N, H, W, channels) before the tanh."""
    x = features(x, latents, s, init, norm, enter)
    return layers.Conv2D(channels, 3, padding="same", kernel_initializer=init())(x)


def features(x: Any, latents: Any, s: Settings, init: Initializers, norm: Norm, enter: Enter) -> Any:
    """The same, up to the last features at full size."""
    width = s.generator_width
    start, halvings = stages(x.shape[1:3])

    def block(x: Any) -> Any:
        return layers.ReLU()(norm(x))

    def filters(stage: int) -> int:
        return width * min(2**stage, WIDEST)

    options = {"padding": "same", "use_bias": False}
    x = block(layers.Conv2D(width, 3, kernel_initializer=init(), **options)(x))
    skips = [x]
    for stage in range(1, halvings + 1):
        x = block(layers.Conv2D(filters(stage), 4, 2, kernel_initializer=init(), **options)(x))
        skips.append(x)
    x = layers.Flatten()(x)
    x = block(layers.Dense(BOTTLENECK, use_bias=False, kernel_initializer=init())(x))
    if latents is not None:
        drawn = block(layers.Dense(LATENTS, use_bias=False, kernel_initializer=init())(latents))
        x = layers.Concatenate()([x, drawn])
    deepest = filters(halvings)
    x = block(layers.Dense(math.prod(start) * deepest, use_bias=False, kernel_initializer=init())(x))
    x = layers.Reshape((*start, deepest))(x)
    for stage in range(halvings, 0, -1):
        x = enter(layers.Concatenate()([x, skips[stage]]))
        if stage > 1:
            x = layers.Conv2DTranspose(filters(stage - 1), 4, 2, kernel_initializer=init(), **options)(x)
        else:
            x = layers.Conv2D(width, 3, kernel_initializer=init(), **options)(x)
            x = layers.UpSampling2D(interpolation="bilinear")(x)
        x = block(x)
    return enter(layers.Concatenate()([x, skips[0]]))


def discriminate(x: Any, size: Size, s: Settings, init: Initializers) -> Any:
    """Images with what they were made of (N, H, W, any) → features of patches (N, h, w, F)."""
    _, halvings = stages(size)
    for stage in range(min(PATCH_HALVINGS, halvings)):
        width = s.discriminator_width * min(2**stage, WIDEST)
        x = layers.Conv2D(width, 4, 2, padding="same", kernel_initializer=init())(x)
        x = layers.LeakyReLU(0.2)(x)
    return x
