"""A run with a generator and its encoder that nobody trained, for what is published of them and what is asked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import keras
from keras import layers

Z, SIDE, CLASSES = 4, 8, 3


def run_of(folder: Path) -> Path:
    """A conditional generator and its encoder, neither of which has learnt anything."""
    folder.mkdir()
    keras.utils.set_random_seed(5)
    latents, labels = keras.Input((Z,), name="latents"), keras.Input((), dtype="int32", name="labels")
    x = layers.Concatenate()([latents, layers.Embedding(CLASSES, 2)(labels)])
    x = layers.Reshape((4, 4, 2))(layers.Dense(32, activation="relu")(x))
    x = layers.Conv2DTranspose(1, 4, 2, padding="same", activation="tanh")(x)
    keras.Model([latents, labels], x).save(folder / "generator.keras")
    image = keras.Input((SIDE, SIDE, 1), name="image")
    y = layers.Flatten()(layers.Conv2D(8, 4, 2, padding="same", activation="relu")(image))
    guess = keras.ops.cast(keras.ops.argmax(layers.Dense(CLASSES)(y), axis=-1), "int32")
    keras.Model(image, {"latents": layers.Dense(Z)(y), "labels": guess}).save(folder / "encoder.keras")
    told(folder)
    return folder


def told(run: Path, **changes: object) -> None:
    sha256 = hashlib.sha256((run / "generator.keras").read_bytes()).hexdigest()
    about = {"generator": "generator.keras", "generator_sha256": sha256, "psnr": 20.5, "floor": 15.0, **changes}
    (run / "encoder.json").write_text(json.dumps(about))
