"""Runs whose generators make clips, without any training: of latents, and of a picture; and what commands answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
from keras import layers

Z, FRAMES, SHAPE, FPS = 8, 6, (12, 16, 3), 8
STILL_FRAMES, SIDE = 4, 16
PREPROCESSING = {"crop": "center", "background": "white", "resize": "lanczos"}


class Done(NamedTuple):
    """What a command printed, and its exit code."""

    stdout: str
    stderr: str
    exit_code: int


def of_latents(folder: Path) -> Path:
    """A run: latents (N, 8) → clips (N, 6, 12, 16, 3), 8 frames a second."""
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(1)
    height, width, _ = SHAPE
    latents = keras.Input((Z,), name="latents")
    cells = layers.Reshape((height // 4, width // 4, 8))(layers.Dense(height * width // 2)(latents))
    _clips([latents], layers.UpSampling2D(4, interpolation="bilinear")(cells), FRAMES, SHAPE).save(
        folder / "generator.keras"
    )
    inputs = [{"name": "latents", "role": "latents", "dtype": "float32", "shape": [None, Z]}]
    _describe(folder, inputs, {"shape": [None, FRAMES, *SHAPE], "frames_per_second": FPS})
    return folder


def of_pictures(folder: Path) -> Path:
    """A run: image (N, 16, 16, 3) → clips (N, 4, 16, 16, 3), and 80 examples held out; nobody says how fast."""
    folder.mkdir(parents=True, exist_ok=True)
    keras.utils.set_random_seed(2)
    image = keras.Input((SIDE, SIDE, 3), name="image")
    model = _clips([image], layers.Conv2D(8, 3, padding="same")(image), STILL_FRAMES, (SIDE, SIDE, 3))
    model.save(folder / "generator.keras")
    picture = {"dtype": "float32", "shape": [None, SIDE, SIDE, 3], "range": [-1, 1], "preprocessing": PREPROCESSING}
    inputs = [{"name": "image", "role": "image", **picture}]
    _describe(folder, inputs, {"shape": [None, STILL_FRAMES, SIDE, SIDE, 3]})
    images = pictures(80)
    truth = np.stack([np.roll(images, step, axis=2) for step in range(STILL_FRAMES)], axis=1)
    np.savez_compressed(folder / "examples.npz", image=images, clips=truth)
    return folder


def pictures(count: int, seed: int = 0) -> np.ndarray:
    """Squares of a quarter of a side, uint8 (N, 16, 16, 3)."""
    colours = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), np.uint8)
    return colours.repeat(SIDE // 4, axis=1).repeat(SIDE // 4, axis=2)


def _clips(inputs: list, x: object, frames: int, shape: tuple[int, int, int]) -> keras.Model:
    """Frames as channels, which are parted at the end."""
    x = layers.LeakyReLU(0.2)(x)
    x = layers.Conv2D(frames * shape[2], 3, padding="same", activation="tanh")(x)
    parted = layers.Reshape((shape[0], shape[1], frames, shape[2]))(x)
    return keras.Model(inputs, layers.Permute((3, 1, 2, 4), name="clips")(parted))


def _describe(folder: Path, inputs: list[dict], clips: dict) -> None:
    output = {"name": "clips", "role": "clips", "dtype": "float32", "range": [-1, 1], "preprocessing": PREPROCESSING}
    described = {"version": 1, "task": "video-generation", "inputs": inputs, "outputs": [output | clips]}
    (folder / "interface.json").write_text(json.dumps(described))
