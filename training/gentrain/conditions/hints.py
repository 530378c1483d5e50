"""Dots of colour that say how a picture is to become, as `hints` float32 (N, H, W, 4): red, green, blue and a mask.

In training they are dots of the right answer, another number at other places at each step, so that one generator takes
none as well as many. Source: "Real-Time User-Guided Image Colorization with Learned Deep Priors", arXiv 1705.02999.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain.conditions.base import Array, Condition, Tensors
from gentrain.errors import TrainError

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset
    from gentrain.networks.parts import Initializers

MOST = 8
RADIUS = 1
"""A dot is 3×3 pixels of the colour in its middle."""

NOTHING = -1.0


class Hints(Condition):
    """Up to 8 dots, for targets in colour; where there is none all four channels are -1."""

    name = "hints"
    task = "image-to-image"

    def __init__(self, side: int) -> None:
        self.side = side

    @classmethod
    def of(cls, dataset: Dataset) -> Hints:
        _, side, _, channels = dataset.images.shape
        if channels != 3:
            raise TrainError(f"{dataset.source}: the targets are grey; hints are dots of colour")
        return cls(side)

    def columns(self, dataset: Dataset) -> Mapping[str, Array]:
        return {}

    def prepare(self, batch: Mapping[str, Any]) -> Tensors:
        import tensorflow as tf

        count = tf.shape(next(iter(batch.values())))[0]
        return {"hints": tf.fill([count, self.side, self.side, 4], NOTHING)}

    def draw(self, tensors: Tensors, images: Any, uniform: Callable[[int], Any]) -> Tensors:
        return tensors | {"hints": dots(images, uniform(2 * MOST + 1))}

    def examples(self, most: int) -> Mapping[str, Array]:
        return {"hints": np.zeros((most, 1), np.uint8)}

    def augment(self, tensors: Tensors, change: Callable[[Any], Any]) -> Tensors:
        return tensors | {"hints": change(tensors["hints"] - NOTHING) + NOTHING}

    def inputs(self) -> Tensors:
        import keras

        return {"hints": keras.Input((self.side, self.side, 4), name="hints")}

    def interface(self) -> list[dict[str, Any]]:
        shape = [None, self.side, self.side, 4]
        return [{"name": "hints", "role": "hints", "dtype": "float32", "shape": shape, "range": [-1, 1]}]

    def starts_from(self, inputs: Tensors) -> list[Any]:
        return [inputs["hints"]]

    def see_images(self, images: Any, inputs: Tensors, init: Initializers) -> Any:
        from keras import layers

        return layers.Concatenate()([images, inputs["hints"]])


def dots(images: Any, drawn: Any) -> Any:
    """Hints of these images.

    Args:
        images: float32 (N, H, W, 3) in [-1, 1].
        drawn: float32 (N, 17) in [0, 1): how many of the 8 dots there are, then the row and the column of each.

    Returns:
        float32 (N, H, W, 4).
    """
    import tensorflow as tf

    images, drawn = tf.convert_to_tensor(images), tf.cast(drawn, tf.float32)
    side = images.shape[1]
    count = tf.floor(drawn[:, 0] * (MOST + 1))
    places = tf.cast(tf.floor(tf.reshape(drawn[:, 1:], (-1, MOST, 2)) * side), tf.int32)
    colours = tf.gather_nd(images, places, batch_dims=1)
    coloured = tf.concat([colours, tf.ones_like(colours[..., :1])], axis=-1)
    near = tf.abs(places[:, :, :, None] - tf.range(side)) <= RADIUS
    hints = tf.fill(tf.concat([tf.shape(images)[:3], [4]], axis=0), NOTHING)
    for number in range(MOST):
        here = near[:, number, 0, :, None, None] & near[:, number, 1, None, :, None]
        here &= (number < count)[:, None, None, None]
        hints = tf.where(here, coloured[:, number, None, None, :], hints)
    return hints


def some(images: Any, count: int, seed: int = 0) -> Any:
    """Hints of so many dots for each of these images, float32 (N, H, W, 3) in [-1, 1]; the same every time."""
    drawn = np.random.default_rng([seed, 3]).random((len(images), 2 * MOST + 1))
    drawn[:, 0] = (count + 0.5) / (MOST + 1)
    return dots(images, drawn)
