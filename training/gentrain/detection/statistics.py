"""Statistics of pixels, as layers without anything to learn: how brightness and differences of neighbours are spread.

A generator hardly ever gives exact black, white or flat ground, and its steps between neighbours are spread otherwise
than those of real pictures. Shares of pixels keep such traces where a network that learns from pixels looks at shapes.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
from keras import layers

STEPS = (0.5, 1.5, 2.5, 4.5, 8.5, 16.5, 32.5, 64.5, 128.5)
"""Of 255: where the bins of differences end, on both sides of zero."""

LEVELS = (*STEPS[:-1], 96.5, 128.5, 160.5, 192.5, 224.5, 240.5, 248.5, 252.5, 253.5, 254.5)
"""Where those of brightness end: narrow near black and white."""

OUTSIDE = 1e4
RARE = 100.0  # a share of a hundredth counts half as much as all
LARGE = 128  # from this side on every second pixel is enough
MOST_BYTES = 1 << 26  # of the largest maps of a batch

Kernel = np.ndarray[Any, np.dtype[np.float32]]


def statistics(images: Any) -> Any:
    """Numbers (N, any) of images (N, H, W, C) in [-1, 1]: shares of pixels in bins, and the same with rare ones larger.

    At the full size and at half of it: brightness and, of colours, what differs from green; their first and second
    differences across and down, and the difference to the mean of the surroundings.
    """
    halved = layers.AveragePooling2D(2)(images)
    shares = layers.Concatenate()([_shares(images), _shares(halved)])
    return layers.Concatenate()([shares, layers.Activation("softsign")(layers.Rescaling(RARE)(shares))])


def _shares(images: Any) -> Any:
    kernel, brightness = _filters(images.shape[-1])
    bias = np.zeros(kernel.shape[-1])
    bias[brightness] = 127.5
    strides = 2 if images.shape[1] > LARGE else 1
    x = _fixed(layers.Conv2D(kernel.shape[-1], 3, strides), images, [127.5 * kernel, bias])
    ends = np.array([[-OUTSIDE, *(-step for step in reversed(STEPS)), *STEPS, OUTSIDE]] * kernel.shape[-1])
    ends[brightness] = [-OUTSIDE, *LEVELS, OUTSIDE]
    above = layers.DepthwiseConv2D(1, depth_multiplier=ends.shape[1])
    x = _fixed(above, x, [np.ones((1, 1, *ends.shape)), 0.5 - ends.ravel()])
    x = layers.GlobalAveragePooling2D()(layers.ReLU(max_value=1.0)(x))  # the share of pixels above each end
    x = layers.Reshape((ends.size, 1))(x)
    return layers.Flatten()(layers.Subtract()([layers.Cropping1D((0, 1))(x), layers.Cropping1D((1, 0))(x)]))


def _fixed(layer: Any, x: Any, weights: list[Any]) -> Any:
    layer.trainable = False
    layer.build(x.shape)
    layer.set_weights(weights)
    return layer(x)


def _filters(channels: int) -> tuple[Kernel, int]:
    """Kernels (3, 3, C, M) whose outputs are in levels, and which of them is brightness."""
    planes = np.full((1, channels), 1 / channels)
    if channels == 3:
        planes = np.concatenate([planes, [[1, -1, 0], [0, -1, 1]]])
    places = np.zeros((6, 3, 3))
    places[:, 1, 1] = 1, -1, -1, -2, -2, 1
    places[1, 1, 2] = places[2, 2, 1] = 1
    places[3, 1, [0, 2]] = places[4, [0, 2], 1] = 1
    places[5] -= 1 / 9
    kernel = np.einsum("fyx,pc->yxcpf", places, planes)
    return kernel.reshape(3, 3, channels, -1).astype(np.float32), 0


def standardised(x: Any, examples: Any) -> Any:
    """The numbers with mean 0 and deviation 1 over these examples (M, any).

    By numbers that float16 holds: a file of those would shift what hardly varies by half its deviation.
    """
    mean = examples.mean(axis=0).astype(np.float16)
    scale = (1 / np.sqrt(examples.var(axis=0) + 1e-6)).astype(np.float16)
    return layers.Rescaling(scale.tolist())(layers.Rescaling(1.0, (-mean).tolist())(x))


def of_images(side: int, channels: int) -> Any:
    """`statistics` as a model."""
    images = keras.Input((side, side, channels), name="images")
    return keras.Model(images, statistics(images))


def at_once(model: Any) -> int:
    """Images that this model should be given together: a map of each bin is some megabytes for one in colour."""
    largest = max(math.prod(layer.output.shape[1:]) for layer in model.layers)
    return max(1, MOST_BYTES // (4 * largest))
