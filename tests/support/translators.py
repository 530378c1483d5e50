"""Models from pictures to pictures: a run with hints and held-out pairs, and models as others build them."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
from keras import layers

SIDE = 16
PREPROCESSING = {"crop": "center", "background": "#00ff00", "resize": "lanczos"}


def squares(count: int, side: int = SIDE, seed: int = 0) -> np.ndarray:
    """Pictures that are no noise: squares of a quarter of a side, uint8 (N, side, side, 3)."""
    colours = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return colours.repeat(side // 4, axis=1).repeat(side // 4, axis=2)


def dots(count: int) -> np.ndarray:
    """Hints, uint8 (N, SIDE, SIDE, 4): i mod 3 pixels that have a colour."""
    hints = np.zeros((count, SIDE, SIDE, 4), np.uint8)
    for i in range(count):
        for k in range(i % 3):
            hints[i, 3 + 5 * k, 4 + i % 9] = (200, 10 * k, i, 255)
    return hints


def u_net(inputs: list, width: int = 8):
    """Down, up, and what was beside: with BatchNormalization whose averages are no longer those that it began with."""
    averages = {"moving_mean_initializer": keras.initializers.RandomNormal(0.0, 0.1, seed=1)}

    def normal(x):
        return layers.LeakyReLU(0.2)(layers.BatchNormalization(**averages)(x))

    kernel = keras.initializers.GlorotUniform(seed=2)
    x = layers.Concatenate()(inputs) if len(inputs) > 1 else inputs[0]
    skip = normal(layers.Conv2D(width, 3, padding="same", kernel_initializer=kernel)(x))
    x = normal(layers.Conv2D(2 * width, 4, 2, padding="same", kernel_initializer=kernel)(skip))
    x = normal(layers.Conv2DTranspose(width, 4, 2, padding="same", kernel_initializer=kernel)(x))
    x = layers.Dropout(0.5)(layers.Concatenate()([x, skip]))
    return layers.Conv2D(3, 3, padding="same", activation="tanh", kernel_initializer=kernel)(x)


def write_run(folder: Path) -> Path:
    """A run whose generator takes a picture and hints, with a discriminator of patches and 96 pairs held out."""
    folder.mkdir(parents=True)
    keras.utils.set_random_seed(1)
    image, hints = keras.Input((SIDE, SIDE, 3), name="image"), keras.Input((SIDE, SIDE, 4), name="hints")
    keras.Model([image, hints], u_net([image, hints])).save(folder / "generator.keras")
    images = keras.Input((SIDE, SIDE, 3), name="images")
    patches = layers.Conv2D(1, 4, 4)(layers.Concatenate()([images, image]))
    keras.Model([images, image], patches).save(folder / "discriminator.keras")

    def tensor(name: str, role: str, channels: int) -> dict:
        shape = [None, SIDE, SIDE, channels]
        about = {"name": name, "role": role, "dtype": "float32", "shape": shape, "range": [-1, 1]}
        return about if role == "hints" else {**about, "preprocessing": PREPROCESSING}

    inputs, outputs = [tensor("image", "image", 3), tensor("hints", "hints", 4)], [tensor("images", "images", 3)]
    described = {"version": 1, "task": "image-to-image", "inputs": inputs, "outputs": outputs}
    (folder / "interface.json").write_text(json.dumps(described))
    pairs = {"image": squares(96), "hints": dots(96), "images": 255 - squares(96)}
    np.savez_compressed(folder / "examples.npz", **pairs)
    return folder
