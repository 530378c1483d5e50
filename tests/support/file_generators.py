"""Small generators of 8×8 pixels whose files are looked at."""

from __future__ import annotations

from pathlib import Path

import keras
from genexport.generator.load import Generator, load
from keras import layers

Z = 8


def kernel(stddev: float = 0.3, seed: int = 1) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=stddev, seed=seed)


def start(latents, channels: int = 8, stddev: float = 0.3):
    return layers.Reshape((8, 8, channels))(layers.Dense(64 * channels, kernel_initializer=kernel(stddev))(latents))


def end(x):
    return layers.Conv2D(3, 3, padding="same", activation="tanh", kernel_initializer=kernel(), name="last")(x)


def loaded(outputs, latents, folder: Path, *imports: Path) -> Generator:
    keras.Model(latents, outputs).save(folder / "model.keras")
    return load(folder / "model.keras", imports=[str(file) for file in imports])


def conditional(folder: Path, groups: int | None = None) -> Generator:
    """Two classes; with `groups` a GroupNormalization."""
    latents, labels = keras.Input((Z,)), keras.Input((), dtype="int32")
    light = layers.Embedding(2, 1, embeddings_initializer=keras.initializers.Constant([[0.0], [0.3334]]))(labels)
    x = layers.Conv2DTranspose(8, 4, 2, padding="same", kernel_initializer=kernel(), name="grow")(start(latents))
    x = layers.GroupNormalization(groups)(x) if groups else x
    x = layers.Add()([layers.Rescaling(0.01)(end(x)), layers.Reshape((1, 1, 1))(light)])
    return loaded(x, [latents, labels], folder)
