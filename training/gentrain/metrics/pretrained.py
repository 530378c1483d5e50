"""EfficientNet-Lite0, trained on ImageNet: features that distinguish pictures in colour by what they show and how.

What it distinguishes from real pictures a person does too: outlines that have melted, blotches, holes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from gentrain.metrics.features import Features, Images, hash_of
from gentrain.networks import efficientnet

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset

NET = "lite0"
SIDES = (64, 224)
"""Smaller images are enlarged to the first, larger ones reduced to the second, which the net was trained with; of
rectangles the shorter side counts."""

SCALE = np.float32(1 / 3)
"""Makes the features about as large as InceptionV3's, for which the kernel distance was defined."""

SMALLEST = 24
"""Images smaller than this are not what it knows, however much they are enlarged."""


def knows(dataset: Dataset) -> bool:
    """Whether images are large enough for this net, and its weights are there; it knows photographs in colour best."""
    return min(dataset.images.shape[1:3]) >= SMALLEST and efficientnet.has_weights(NET)


class PretrainedNet:
    """Features float32 (N, 1280), the means over the last feature maps; of grey images as of coloured ones."""

    accuracy: float | None = None
    note = ""

    def __init__(self, net_name: str = NET) -> None:
        """Raises TrainError: the package with the weights is not installed, or damaged."""
        self.name = f"efficientnet-{net_name}"
        net = efficientnet.build(net_name)
        self.hash = hash_of(net.get_weights())
        self._pooled = net
        self._features = tf.function(self._forward, reduce_retracing=True)

    def __call__(self, images: Images) -> Features:
        """See `FeatureNet`."""
        return np.asarray(self._features(tf.constant(images))) * SCALE

    def classes(self, features: Features) -> None:
        """See `FeatureNet`."""

    def model(self) -> None:
        """See `FeatureNet`: too large to be kept beside every run."""

    def _forward(self, images: tf.Tensor) -> tf.Tensor:
        x = tf.cast(images, tf.float32)
        if x.shape[-1] == 1:
            x = tf.repeat(x, 3, axis=-1)
        shorter = min(images.shape[1:3])
        side = min(max(shorter, SIDES[0]), SIDES[1])
        if side != shorter:
            size = [round(length * side / shorter) for length in images.shape[1:3]]
            x = tf.image.resize(x, size, method="bilinear", antialias=True)
        return self._pooled(x / 127.5 - 1.0, training=False)["pooled"]
