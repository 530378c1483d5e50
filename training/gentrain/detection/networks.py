"""The detector: `images` (N, H, W, C) in [-1, 1] → one logit, higher is more real; stock layers, no BatchNorm.

Two parts whose logits are added. Statistics of brightness, of differences between neighbours and of the spectrum, which
a linear classifier judges, hold for generators that were never seen; a small CNN finds what they miss.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

from gentrain.networks.parts import Initializers

WIDTH = 16
LARGEST_WIDTH = 64
SMALLEST_MAP = 7
DROPOUT = 0.3

RINGS = 16  # of the spectrum
STEPS = np.linspace(-1, 1, 17)[:-1]  # of brightness
DIFFERENCES = np.array([0, 0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 1.0])  # where counting of differences begins
FILTERS = np.array(
    [
        [[0, 0, 0], [0, 1, -1], [0, 0, 0]],
        [[0, 0, 0], [0, 1, 0], [0, -1, 0]],
        [[0, 0, 0], [0, 1, 0], [0, 0, -1]],
        [[0, -1, 0], [-1, 4, -1], [0, -1, 0]],
    ],
    np.float32,
)
"""Differences of neighbours across, down and aslant, and of a pixel and all around it."""


def build(side: int, channels: int, seed: int, statistics: Any, linear: Any) -> Any:
    """The whole detector.

    Args:
        side: of the pictures.
        channels: 1 or 3.
        seed: of the CNN's weights.
        statistics: the model of `statistics`.
        linear: weights (F, 1) and bias (1,) that its numbers are judged by, to begin with.
    """
    init = Initializers(seed)
    images = keras.Input((side, side, channels), name="images")
    judged = layers.Dense(1, name="linear")
    by_statistics = judged(statistics(images))
    judged.set_weights(linear)
    x, width, here = _conv(images, WIDTH, 2 if side > 64 else 1, init), WIDTH, side // 2 if side > 64 else side
    while here > SMALLEST_MAP:
        width, here = min(2 * width, LARGEST_WIDTH), -(-here // 2)
        x = _conv(_conv(x, width, 2, init), width, 1, init)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(DROPOUT, seed=init.next_seed())(x)
    by_cnn = layers.Dense(1, kernel_initializer="zeros", name="cnn")(x)
    return keras.Model(images, layers.Add(name="logits")([by_statistics, by_cnn]), name="detector")


def statistics(side: int, channels: int) -> Any:
    """`images` → numbers float32 (N, F), none of them learned."""
    images = keras.Input((side, side, channels), name="images")
    grey = images
    if channels > 1:
        grey = _fixed(layers.Conv2D(1, 1, use_bias=False), images, np.full((1, 1, channels, 1), 1 / channels))
    counts = [_counted(grey, np.ones((1, len(STEPS))), -STEPS, 1 / 8)]
    both_ways = np.concatenate([FILTERS, -FILTERS]).transpose(1, 2, 0)[:, :, None]
    for channel in (grey,) if channels == 1 else (grey, images):
        kernel = np.repeat(both_ways, channel.shape[-1], axis=2) / channel.shape[-1]
        if channel is not grey:  # what red and blue have that green has not
            kernel = kernel * np.array([1, -2, 1])[None, None, :, None]
        apart = layers.ReLU()(_fixed(layers.Conv2D(len(FILTERS) * 2, 3, use_bias=False), channel, kernel))
        spread = np.kron(np.eye(len(FILTERS) * 2), np.ones((1, len(DIFFERENCES))))
        counts.append(_counted(apart, spread, -np.tile(DIFFERENCES, len(FILTERS) * 2), 0.1))
    numbers = layers.Concatenate()([*counts, _spectrum(grey, side)])
    model = keras.Model(images, numbers, name="statistics")
    model.trainable = False
    return model


def _counted(x: Any, spread: Any, offsets: Any, width: float) -> Any:
    """The part of pixels above each offset, softly: (N, H, W, C) → (N, offsets)."""
    layer = layers.Conv2D(len(offsets), 1)
    x = _fixed(layer, x, spread[None, None] / width, offsets / width)
    return layers.GlobalAveragePooling2D()(layers.ReLU(max_value=1.0)(x))


def _spectrum(grey: Any, side: int) -> Any:
    """The logarithm of the mean power in rings around frequency zero."""
    frequencies = side // 2 + 1
    angles = 2 * np.pi * np.outer(np.arange(side), np.arange(frequencies)) / side
    waves = np.concatenate([np.cos(angles), np.sin(angles)], axis=1) / side
    x = layers.Reshape((side, side))(grey)
    for _ in range(2):
        x = layers.Permute((2, 1))(_fixed(layers.Dense(2 * frequencies, use_bias=False), x, waves))
    power = layers.Flatten()(layers.Multiply()([x, x]))
    distance = np.hypot(*np.meshgrid(*[np.tile(np.arange(frequencies), 2)] * 2, indexing="ij")).ravel()
    ring = np.minimum(distance / (side / 2) * (RINGS - 1), RINGS - 1).astype(int)
    means = np.eye(RINGS)[ring]
    means = means / np.maximum(means.sum(axis=0), 1)
    x = _fixed(layers.Dense(RINGS), power, means, np.full(RINGS, 1e-7))
    return keras.ops.log(x)


def _fixed(layer: Any, x: Any, *weights: Any) -> Any:
    """The output of a layer with these weights."""
    layer.kernel_initializer = keras.initializers.Zeros()  # draws nothing from Keras' global state
    x = layer(x)
    layer.set_weights([np.asarray(weight, np.float32) for weight in weights])
    return x


def _conv(images: Any, width: int, strides: int, init: Initializers) -> Any:
    kernel = keras.initializers.HeNormal(seed=init.next_seed())
    return layers.LeakyReLU(0.2)(layers.Conv2D(width, 3, strides, padding="same", kernel_initializer=kernel)(images))
