"""Dots of colour that say how a picture is to become, as `hints` float32 (N, H, W, 4): red, green, blue and a mask.

In training they are dots of the right answer where the input does not show it already, another number at other places
at each step, so that one generator takes none as well as many. Source: "Real-Time User-Guided Image Colorization with
Learned Deep Priors", arXiv 1705.02999.
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

NO_HINT = -1.0

ALIKE = 0.2
"""Colours that differ by less in each channel, of 2, count as one."""

ANYWHERE = 1 / 16
"""The part of the dots that may lie on any pixel: that something stays white can be a hint too."""


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
        return {"hints": tf.fill([count, self.side, self.side, 4], NO_HINT)}

    def draw(self, tensors: Tensors, images: Any, uniform: Callable[[int], Any]) -> Tensors:
        return tensors | {"hints": dots(images, uniform(MOST + 1), tensors.get("image"))}

    def examples(self, most: int) -> Mapping[str, Array]:
        return {"hints": np.zeros((most, 1), np.uint8)}

    def augment(self, tensors: Tensors, change: Callable[[Any], Any]) -> Tensors:
        return tensors | {"hints": change(tensors["hints"] - NO_HINT) + NO_HINT}

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


def dots(images: Any, drawn: Any, inputs: Any = None) -> Any:
    """Hints of these images: each dot at one of the pixels that no hint covers yet.

    So areas get dots in proportion to their size, and a second dot goes to another colour, as a user would put it;
    once all colours are covered, dots go to any place that the inputs do not show.

    Args:
        images: float32 (N, H, W, 3) in [-1, 1].
        drawn: float32 (N, 9) in [0, 1): how many of the 8 dots there are, then where each is.
        inputs: what the generator is given beside the dots, float32 (N, H, W, C) in [-1, 1]; None for nothing.

    Returns:
        float32 (N, H, W, 4).
    """
    import tensorflow as tf

    images, drawn = tf.convert_to_tensor(images), tf.cast(drawn, tf.float32)
    side = images.shape[1]
    count = tf.floor(drawn[:, 0] * (MOST + 1))
    unseen = tf.ones_like(images[..., 0], tf.bool) if inputs is None else _differ(images, inputs)
    unhinted = unseen
    hints = tf.fill(tf.concat([tf.shape(images)[:3], [4]], axis=0), NO_HINT)
    for number in range(MOST):
        all_hinted = ~tf.reduce_any(unhinted, axis=[1, 2], keepdims=True)
        place = _place(unhinted | (all_hinted & unseen), drawn[:, number + 1])
        colour = tf.gather_nd(images, place, batch_dims=1)[:, None, None, :]
        near = tf.abs(place[:, :, None] - tf.range(side)) <= RADIUS
        here = near[:, 0, :, None, None] & near[:, 1, None, :, None] & (number < count)[:, None, None, None]
        hints = tf.where(here, tf.concat([colour, tf.ones_like(colour[..., :1])], axis=-1), hints)
        unhinted &= _apart(images, colour)
    return hints


def some(images: Any, count: int, inputs: Any = None, seed: int = 0) -> Any:
    """Hints of so many dots for each of these images, see `dots`; the same every time."""
    drawn = np.random.default_rng([seed, 3]).random((len(images), MOST + 1))
    drawn[:, 0] = (count + 0.5) / (MOST + 1)
    return dots(images, drawn, inputs)


def _differ(images: Any, inputs: Any) -> Any:
    """Where a dot of 3×3 pixels lies wholly on what the inputs (N, H, W, 1, 3 or 4) do not show; bool (N, H, W)."""
    import tensorflow as tf

    apart = tf.cast(_apart(images, inputs[..., :3]), tf.float32)[..., None]
    return -tf.nn.max_pool2d(-apart, 2 * RADIUS + 1, 1, "SAME")[..., 0] > 0.5


def _apart(images: Any, others: Any) -> Any:
    """Where one colour is plainly not the other; bool (N, H, W)."""
    import tensorflow as tf

    return tf.reduce_max(tf.abs(images - tf.cast(others, images.dtype)), axis=-1) > ALIKE


def _place(preferred: Any, drawn: Any) -> Any:
    """Row and column (N, 2) of a pixel of each picture: mostly one of the `preferred` (N, H, W), now and then any."""
    import tensorflow as tf

    side, pixels = preferred.shape[2], preferred.shape[1] * preferred.shape[2]
    chosen = tf.cast(tf.reshape(preferred, (-1, pixels)), tf.float32)
    many = tf.maximum(tf.reduce_sum(chosen, axis=1, keepdims=True), 1.0)
    reached = tf.cumsum((1.0 - ANYWHERE) * chosen + ANYWHERE * many / pixels, axis=1)
    number = tf.reduce_sum(tf.cast(reached <= drawn[:, None] * reached[:, -1:], tf.int32), axis=1)
    number = tf.minimum(number, pixels - 1)  # where rounding says the very end
    return tf.stack([number // side, number % side], axis=1)
