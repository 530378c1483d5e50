"""A pair for pictures from words, of stock Keras layers alone, for any size that halves down to 4–7 pixels.

As genline.py, but for where its weights are. How a thing looks that a word means has to be kept somewhere: most of the
generator's weights are where maps are small and cost little time. The discriminator is genline.py's: one twice as wide
at its end lost its balance in the first kimg.
"""

from __future__ import annotations

from typing import Any

from keras import layers

from gentrain.data.sizes import Size
from gentrain.networks.genline import discriminate, first_map
from gentrain.networks.parts import Enter, Initializers, Norm, stages
from gentrain.settings import Settings

__all__ = ["discriminate", "generate"]

MAPPING_WIDTH = 512


def generate(x: Any, size: Size, channels: int, s: Settings, init: Initializers, norm: Norm, enter: Enter) -> Any:
    """Latents (N, any) → images (N, H, W, channels) before the tanh."""
    start, doublings = stages(size)
    width = s.generator_width
    x = first_map(x, start, 4 * width, MAPPING_WIDTH, init, norm, enter)
    for stage in range(1, doublings + 1):
        filters = max(1, width // 2) if stage == doublings else max(width, 4 * width // 2**stage)
        if stage == doublings:
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer=init())(x)
            x = layers.UpSampling2D(interpolation="bilinear")(x)
        else:
            x = layers.Conv2DTranspose(filters, 4, 2, padding="same", use_bias=False, kernel_initializer=init())(x)
        x = enter(layers.ReLU()(norm(x)))
    return layers.Conv2D(channels, 3, padding="same", kernel_initializer=init())(x)
