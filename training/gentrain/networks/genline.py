"""genline's own pair, of stock Keras layers alone, for any size that halves down to 4–7 pixels.

Two dense layers bend the Gaussian of the latents towards the shapes of the images, as in StyleGAN's mapping network
(arXiv 1812.04948): on digits that brings more than the same time in convolutions. Those keep one width, since at
these sizes width in the early stages costs more time than it brings; the stage at full size, which costs most, has a
third of it. Up-sampling is a transposed convolution with kernel 4 and stride 2, but in colour the last one is a
convolution at half size and bilinear: a transposed one leaves a grid on flat areas, of which line drawings have none.
BatchNorm stands where TFLite can fold it into its neighbour (after Dense before the Reshape): any other norm costs ten
times the error in int8.
"""

from __future__ import annotations

import math
from typing import Any

from keras import layers

from gentrain.data.sizes import Size
from gentrain.networks.parts import Enter, Initializers, Norm, stages
from gentrain.settings import Settings

MAPPING_LAYERS = 2
MAPPING_WIDTH = 128


def generate(x: Any, size: Size, channels: int, s: Settings, init: Initializers, norm: Norm, enter: Enter) -> Any:
    """Latents (N, any) → images (N, H, W, channels) before the tanh."""
    start, doublings = stages(size)
    width = s.generator_width
    x = first_map(x, start, 2 * width, MAPPING_WIDTH, init, norm, enter)
    for stage in range(1, doublings + 1):
        last = stage == doublings
        filters = max(1, width // 3) if last else width
        if last and channels > 1:
            x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_initializer=init())(x)
            x = layers.UpSampling2D(interpolation="bilinear")(x)
        else:
            x = layers.Conv2DTranspose(filters, 4, 2, padding="same", use_bias=False, kernel_initializer=init())(x)
        x = enter(layers.ReLU()(norm(x)))
    return layers.Conv2D(channels, 3, padding="same", kernel_initializer=init())(x)


def first_map(
    x: Any, size: tuple[int, int], width: int, mapping: int, init: Initializers, norm: Norm, enter: Enter
) -> Any:
    """Latents (N, any), bent by dense layers of `mapping` numbers → the smallest feature map (N, *size, width)."""
    for _ in range(MAPPING_LAYERS):
        x = layers.Dense(mapping, use_bias=False, kernel_initializer=init())(x)
        x = layers.ReLU()(norm(x))
    x = enter(x)
    x = layers.Dense(math.prod(size) * width, use_bias=False, kernel_initializer=init())(x)
    x = layers.ReLU()(norm(x))
    return enter(layers.Reshape((*size, width))(x))


def discriminate(x: Any, size: Size, s: Settings, init: Initializers) -> Any:
    """Images (N, H, W, channels) → features (N, any). No norm: its statistics would mix real and fake images."""
    _, halvings = stages(size)
    for stage in range(halvings + 1):
        width = s.discriminator_width * min(2**stage, 2)
        x = layers.Conv2D(width, 4, 2, padding="same", kernel_initializer=init())(x)
        x = layers.LeakyReLU(0.2)(x)
    return layers.Flatten()(x)
