"""A condition from outside gentrain: a blurred picture, which the generator adds to what it draws.

`import blurred` registers it; a run with it is `gentrain fit --set conditions=blurred`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from gentrain.conditions import Condition, register
from gentrain.losses.auxiliary import L1


@register
class Blurred(Condition):
    """`blurred` float32 (N, H, W, C) in [-1, 1]: each training image, its pixels averaged with their neighbours."""

    name = "blurred"
    task = "image-to-image"
    auxiliary = (L1(0.1),)

    def __init__(self, pictures: np.ndarray[Any, Any]) -> None:
        self.pictures = pictures

    @classmethod
    def of(cls, dataset: Any) -> Blurred:
        shifted = [np.roll(dataset.images, (y, x), axis=(1, 2)) for y in (-1, 0, 1) for x in (-1, 0, 1)]
        return cls(np.mean(shifted, axis=0).astype(np.uint8))

    def columns(self, dataset: Any) -> Mapping[str, np.ndarray[Any, Any]]:
        return {"blurred": self.pictures}

    def prepare(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        return {"blurred": tf.cast(batch["blurred"], tf.float32) / 127.5 - 1.0}

    def examples(self, most: int) -> Mapping[str, np.ndarray[Any, Any]]:
        return {"blurred": self.pictures[: min(most, 6)]}

    def augment(self, tensors: dict[str, Any], change: Callable[[Any], Any]) -> dict[str, Any]:
        return tensors | {"blurred": change(tensors["blurred"])}

    def inputs(self) -> dict[str, Any]:
        return {"blurred": keras.Input(self.pictures.shape[1:], name="blurred")}

    def interface(self) -> list[dict[str, Any]]:
        shape = [None, *self.pictures.shape[1:]]
        return [{"name": "blurred", "role": "image", "dtype": "float32", "shape": shape, "range": [-1, 1]}]

    def enter_images(self, images: Any, inputs: dict[str, Any], init: Any) -> Any:
        return keras.layers.Add()([images, inputs["blurred"]])

    def see_images(self, images: Any, inputs: dict[str, Any], init: Any) -> Any:
        return keras.layers.Concatenate()([images, inputs["blurred"]])
