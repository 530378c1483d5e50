"""How much a drawing differs from its picture, as a projection sees it: in pixels, and in features of a frozen net.

Pixels alone are content with a blur. In colour, from 32 pixels on, the features are those of a net that has learned
from ImageNet what pictures show, each place of a map scaled to length 1, as in "The Unreasonable Effectiveness of Deep
Features as a Perceptual Metric", arXiv 1801.03924. Of other pictures they are those of the run's own feature net, if it
has one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from gentrain.metrics import feature_files
from gentrain.networks import efficientnet, projected

SMALLEST = 32
NET, TAPS = "lite0", ("stride4", "stride8", "stride16")

WEIGHT, OWN_WEIGHT = 0.2, 0.05
"""Of the features beside the pixels: of the pretrained net, of the run's own."""

Features = Callable[[Any], Sequence[Any]]


class Likeness:
    """Images (N, H, W, C) in [-1, 1] beside targets → how much each differs, (N,)."""

    def __init__(self, shape: tuple[int, int, int], run: Path | None) -> None:
        """Find the features that fit images of this shape; `run` may have a feature net of its own."""
        self.weight, self.net = 0.0, "pixels"
        self.features: Features = _nothing
        if shape[2] == 3 and min(shape[:2]) >= SMALLEST and efficientnet.has_weights(NET):
            self.weight, self.net = WEIGHT, f"pixels and efficientnet-{NET}"
            self.features = _pretrained()
        elif run is not None and (own := _own(run / feature_files.MODEL)):
            self.weight, self.net, self.features = OWN_WEIGHT, f"pixels and {feature_files.MODEL}", own

    def seen(self, targets: Any) -> Sequence[Any]:
        """The targets' features, which are computed once."""
        return self.features(targets)

    def __call__(self, images: Any, targets: Any, seen: Sequence[Any]) -> Any:
        """The mean squared error of pixels, and of features so much as they weigh."""
        error = tf.reduce_mean(tf.square(images - targets), axis=[1, 2, 3])
        for mine, theirs in zip(self.features(images), seen, strict=True):
            squared = tf.square(mine - theirs)
            error += self.weight / len(seen) * tf.reduce_sum(tf.reshape(squared, [tf.shape(squared)[0], -1]), axis=1)
        return error


def _nothing(images: Any) -> Sequence[Any]:
    return ()


def _pretrained() -> Features:
    whole = efficientnet.build(NET)
    net = keras.Model(whole.input, [whole.output[tap] for tap in TAPS])

    def features(images: Any) -> Sequence[Any]:
        size = tuple(images.shape[1:3])
        if (seen := projected.seen_size(size)) != size:
            images = tf.image.resize(images, seen)
        # Each map's squares are summed by `Likeness`, so that a map of many places counts as one of few.
        return [tf.math.l2_normalize(x, -1) / float(x.shape[1] * x.shape[2]) ** 0.5 for x in net(images)]

    return features


def _own(file: Path) -> Features | None:
    """Of a run's net; None where there is none, or a damaged one."""
    try:
        net = keras.models.load_model(file, compile=False)
    except Exception:  # zipfile, h5py, json and Keras each raise their own; pixels tell enough
        return None
    return lambda images: [tf.math.l2_normalize(net((images + 1.0) / 2.0, training=False), -1)]
