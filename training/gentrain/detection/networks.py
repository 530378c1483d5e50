"""The detector: `images` (N, H, W, C) in [-1, 1] → one logit, higher is more real; stock layers, no BatchNorm."""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from gentrain.networks.parts import Initializers

WIDTH = 16
LARGEST_WIDTH = 64
SMALLEST_MAP = 7
DROPOUT = 0.3


def build(side: int, channels: int, seed: int) -> Any:
    """A small CNN from scratch: the first layers see every pixel, since traces of a generator are fine."""
    init = Initializers(seed)
    images = keras.Input((side, side, channels), name="images")
    x, width, here = _conv(images, WIDTH, 2 if side > 64 else 1, init), WIDTH, side // 2 if side > 64 else side
    while here > SMALLEST_MAP:
        width, here = min(2 * width, LARGEST_WIDTH), -(-here // 2)
        x = _conv(_conv(x, width, 2, init), width, 1, init)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dropout(DROPOUT, seed=init.next_seed())(x)
    return keras.Model(images, layers.Dense(1, kernel_initializer=init(), name="logits")(x), name="detector")


def _conv(x: Any, width: int, strides: int, init: Initializers) -> Any:
    kernel = keras.initializers.HeNormal(seed=init.next_seed())
    return layers.LeakyReLU(0.2)(layers.Conv2D(width, 3, strides, padding="same", kernel_initializer=kernel)(x))
