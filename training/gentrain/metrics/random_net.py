"""A fixed net that nobody trained, for images without labels: random filters at four scales, their means and spreads.

Its weights come from NumPy's generator with a fixed seed, so it is the same net on every machine. It knows nothing of
what the images show, and yet distances in it grow steadily with blur, noise and other damage, texture above all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import tensorflow as tf

from gentrain.metrics.features import Features, Images, features_of, hash_of

if TYPE_CHECKING:
    from gentrain.dataset import Dataset

SEED = 20_170_626
SCALES = (16, 32, 40, 40)
"""Filters at the full size, at a half, a quarter and an eighth of it: 256 features."""


CALIBRATED_ON = 2000
"""Real images that settle the one shift and the one scale of all features."""


class RandomNet:
    """Features float32 (N, 256), moved and scaled as a whole so that those of the data set have mean 0 and, on average,
    variance 1: the kernel distance wants numbers of that size. Images of one channel are taken for grey ones of three.
    """

    name = "random"
    accuracy: float | None = None

    def __init__(self, dataset: Dataset, note: str = "") -> None:
        self.note = note
        self.mean, self.scale = np.float32(0), np.float32(1)
        rng = np.random.Generator(np.random.PCG64(SEED))
        inputs = (3, *SCALES)
        self.kernels = [
            (rng.standard_normal((3, 3, i, o)) * np.sqrt(2 / (9 * i))).astype(np.float32)
            for i, o in zip(inputs, SCALES, strict=False)
        ]
        self.hash = hash_of(self.kernels)
        self._features = tf.function(self._forward, reduce_retracing=True)
        rows = rng.permutation(len(dataset.images))[:CALIBRATED_ON]
        found = features_of(self, dataset.images, rows)
        self.mean, self.scale = found.mean(axis=0), 1 / np.sqrt(found.var(axis=0).mean() + np.float32(1e-12))

    def __call__(self, images: Images) -> Features:
        """See `FeatureNet`."""
        return (np.asarray(self._features(tf.constant(images))) - self.mean) * self.scale

    def classes(self, features: Features) -> None:
        """See `FeatureNet`."""

    def _forward(self, images: tf.Tensor) -> tf.Tensor:
        x = tf.cast(images, tf.float32) / 127.5 - 1.0
        if x.shape[-1] == 1:
            x = tf.repeat(x, 3, axis=-1)
        pooled = []
        for number, kernel in enumerate(self.kernels):
            if number:
                x = tf.nn.avg_pool2d(x, 2, 2, "SAME")
            x = tf.nn.leaky_relu(tf.nn.conv2d(x, kernel, 1, "SAME"), 0.2)
            mean, variance = tf.nn.moments(x, axes=[1, 2])
            pooled += [mean, tf.sqrt(variance + 1e-6)]
        return tf.concat(pooled, axis=1)
