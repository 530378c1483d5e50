"""From pictures to pictures where nobody has the right answer: down to a quarter of the size, residual blocks, and up.

There are no skip connections but one at full size: what is drawn is to change, and where it is stays. The last doubling
is bilinear after a convolution at half size, since a transposed one leaves a grid on flat areas. BatchNorm has moving
averages, and all layers are those that TFLite runs on XNNPACK. The discriminator is the U-Net's, of patches, with a
convolution at full size before it: what palettes and shades differ by is seen in single pixels.

Layers called `encoded_0`, `encoded_1` … are what a contrast of patches looks at: see contrast.py.

Sources: "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", arXiv 1603.08155, and "Contrastive
Learning for Unpaired Image-to-Image Translation", arXiv 2007.15651.
"""

from __future__ import annotations

from typing import Any

from keras import layers

from gentrain.data.sizes import Size
from gentrain.networks import unet
from gentrain.networks.parts import Enter, Initializers, Norm
from gentrain.settings import Settings

HALVINGS = 2
BLOCKS = 4
COMPARED = 2  # the contrast looks no further than this block
WIDEST = 3  # times the width at full size


def discriminate(x: Any, size: Size, s: Settings, init: Initializers) -> Any:
    """Images (N, H, W, any) → features of patches (N, h, w, F)."""
    x = layers.Conv2D(s.discriminator_width // 2, 3, padding="same", kernel_initializer=init())(x)
    return unet.discriminate(layers.LeakyReLU(0.2)(x), size, s, init)


def translate(x: Any, latents: Any, channels: int, s: Settings, init: Initializers, norm: Norm, enter: Enter) -> Any:
    """Pictures (N, H, W, any), latents (N, any) or None → images (N, H, W, channels) before the tanh."""
    width = s.generator_width

    def conv(x: Any, filters: int, size: int, strides: int = 1) -> Any:
        options = {"padding": "same", "use_bias": False, "kernel_initializer": init()}
        return norm(layers.Conv2D(filters, size, strides, **options)(x))

    def relu(x: Any, tap: int | None = None) -> Any:
        return layers.ReLU(name=None if tap is None else f"encoded_{tap}")(x)

    x = full = relu(conv(x, width, 5), 0)
    for halving in range(1, HALVINGS + 1):
        x = relu(conv(x, width * min(halving + 1, WIDEST), 3, 2), halving)
    deepest = x.shape[-1]
    for block in range(1, BLOCKS + 1):
        y = conv(relu(conv(x, deepest, 3)), deepest, 3)
        x = layers.Add(name=f"encoded_{HALVINGS + 1}" if block == COMPARED else None)([x, y])
    if latents is not None:
        drawn = layers.Dense(deepest, use_bias=False, kernel_initializer=init())(latents)
        x = layers.Add()([x, layers.Reshape((1, 1, deepest))(drawn)])
    x = enter(x)
    for halving in range(HALVINGS, 0, -1):
        x = layers.UpSampling2D(interpolation="bilinear")(conv(x, width * halving, 3))
        x = enter(relu(x))
    x = layers.Concatenate()([x, full])
    x = relu(conv(x, width, 3))
    return layers.Conv2D(channels, 3, padding="same", kernel_initializer=init())(x)
