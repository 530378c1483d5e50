"""A run whose generator draws what words say, without any training: the colours that are named fill the picture.

Several are mixed, and latents make it lighter or darker. Other words, and words that are not known, change nothing.
"""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
from gentrain.conditions.vocabulary import Vocabulary
from keras import layers

SIDE, Z, L = 16, 8, 6
COLOURS = {"red": (8, -8, -8), "green": (-8, 8, -8), "blue": (-8, -8, 8), "dark": (-4, -4, -4)}
CAPTIONS = ["a red heart", "Green star", "blue café, Straße", "dark ❤ İstanbul", "赤い心"] * 2


def vocabulary() -> Vocabulary:
    """Of words in several writings."""
    return Vocabulary.of(CAPTIONS)


def run(folder: Path, without_vocabulary: bool = False) -> Path:
    """A run directory: generator.keras of stock layers, and interface.json."""
    folder.mkdir(parents=True, exist_ok=True)
    words = vocabulary().words
    latents, tokens = keras.Input((Z,), name="latents"), keras.Input((L,), dtype="int32", name="tokens")
    colours = layers.Embedding(len(words), 3, name="words")
    said = layers.GlobalAveragePooling1D()(colours(tokens))
    light = layers.Dense(3, use_bias=False, kernel_initializer=keras.initializers.Constant(0.1))(latents)
    colour = layers.Activation("tanh")(layers.Add()([said, light]))
    images = layers.UpSampling2D(SIDE)(layers.Reshape((1, 1, 3))(colour))
    model = keras.Model([latents, tokens], layers.Activation("linear", name="images")(images))
    colours.set_weights([np.array([COLOURS.get(word, (0, 0, 0)) for word in words], np.float32)])
    model.save(folder / "generator.keras")
    (folder / "interface.json").write_text(json.dumps(interface(without_vocabulary)), encoding="utf-8")
    return folder


def interface(without_vocabulary: bool = False) -> dict:
    """What interface.json says of it."""
    known = vocabulary()
    tokens = {"name": "tokens", "role": "tokens", "dtype": "int32", "shape": [None, L]}
    tokens |= {"range": [0, len(known.words) - 1], **({} if without_vocabulary else known.describe())}
    latents = {"name": "latents", "role": "latents", "dtype": "float32", "shape": [None, Z]}
    preprocessing = {"crop": "center", "background": "white", "resize": "lanczos"}
    images = {"name": "images", "role": "images", "dtype": "float32", "shape": [None, SIDE, SIDE, 3], "range": [-1, 1]}
    outputs = [images | {"preprocessing": preprocessing}]
    return {"version": 1, "task": "text-to-image", "inputs": [latents, tokens], "outputs": outputs}
