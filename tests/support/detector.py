"""A run with a detector that nobody trained: the redder the upper left quarter of a picture, the more real it is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

SIDE = 16
THRESHOLD, FALSE_ALARMS, INTERVAL = 0.3, 0.05, (0.03, 0.08)
STEEPNESS = 4.0


def run(folder: Path, **changed: Any) -> Path:
    """A run directory: detector.keras of stock layers, interface.json, examples.npz.

    Args:
        folder: where to.
        changed: of the output in interface.json; None takes an entry out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images = keras.Input((SIDE, SIDE, 3), name="images")
    corner = layers.Cropping2D(((0, SIDE // 2), (0, SIDE // 2)))(images)
    colour = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 1, use_bias=False, name="colours")(corner))
    score = layers.Dense(1, "sigmoid", use_bias=False, name="redness")(colour)
    model = keras.Model(images, layers.Reshape((), name="scores")(score))
    model.get_layer("colours").set_weights([np.eye(3, dtype=np.float32)[None, None]])
    model.get_layer("redness").set_weights([np.array([[STEEPNESS / 2], [0], [-STEEPNESS / 2]], np.float32)])
    model.save(folder / "detector.keras")
    (folder / "interface.json").write_text(json.dumps(interface(**changed)), encoding="utf-8")
    np.savez_compressed(folder / "examples.npz", images=examples())
    return folder


def interface(**changed: Any) -> dict[str, Any]:
    """What interface.json says of it."""
    preprocessing = {"crop": "center", "background": "white", "resize": "lanczos"}
    images = {"name": "images", "role": "image", "dtype": "float32", "shape": [None, SIDE, SIDE, 3], "range": [-1, 1]}
    scores = {"name": "scores", "role": "scores", "dtype": "float32", "shape": [None], "range": [0, 1]}
    scores |= {"threshold": THRESHOLD, "false_alarms": FALSE_ALARMS, "false_alarms_interval": list(INTERVAL), **changed}
    outputs = [{key: value for key, value in scores.items() if value is not None}]
    return {
        "version": 1,
        "task": "fake-detection",
        "inputs": [images | {"preprocessing": preprocessing}],
        "outputs": outputs,
    }


def examples(count: int = 48) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Pictures of one colour each, some of them red and some blue, with noise: uint8 (N, H, W, C)."""
    rng = np.random.default_rng(5)
    colours = rng.integers(0, 256, (count, 1, 1, 3))
    return np.clip(colours + rng.integers(-20, 21, (count, SIDE, SIDE, 3)), 0, 255).astype(np.uint8)


def scores(images: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """What it has to say of pictures (N, H, W, C), uint8: float32 (N,)."""
    corner = images[:, : SIDE // 2, : SIDE // 2].mean(axis=(1, 2)) / 255
    return (1 / (1 + np.exp(-STEEPNESS * (corner[:, 0] - corner[:, 2])))).astype(np.float32)
