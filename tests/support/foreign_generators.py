"""Generators by other hands, as the tests of what genexport takes build them."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
from keras import layers

LATENTS = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
LABELS = np.array([0, 1, 1], np.int32)


def save(model: keras.Model, folder: Path) -> Path:
    file = folder / "model.keras"
    model.save(file)
    return file


def kernel(seed: int = 1) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=1.0, seed=seed)


def drawn(x, channels: int = 3, activation: str | None = "tanh", side: tuple[int, int] = (4, 4)):
    """The usual tail of a generator."""
    x = layers.Dense(side[0] * side[1] * 4, kernel_initializer=kernel())(x)
    x = layers.Reshape((*side, 4))(x)
    return layers.Conv2DTranspose(channels, 4, 2, padding="same", activation=activation, kernel_initializer=kernel(2))(
        x
    )


def in_unit_range(images, low: float = -1.0, high: float = 1.0) -> np.ndarray:
    return np.clip((np.asarray(images, np.float32) - low) / (high - low), 0, 1)


def sigmoid_generator() -> keras.Model:
    """As many tutorials have it: Sequential, an input without a name of ours, pixels in [0, 1]."""
    inputs = keras.Input((6,))
    model = keras.Model(inputs, drawn(inputs, activation="sigmoid"))
    return keras.Sequential([keras.Input((6,)), *model.layers[1:]])
