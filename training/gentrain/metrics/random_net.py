"""A fixed, untrained net, for images without labels: random filters at four scales, their means and spreads.

Its weights come from NumPy's generator with a fixed seed, so it is the same net on every machine. It knows nothing of
what the images show, and yet distances in it grow steadily with blur, noise and other damage, texture above all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from gentrain.metrics.features import Features, Images, features_of, hash_of

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset

SEED = 20_170_626
SCALES = (16, 32, 40, 40)
"""Filters at the full size, at a half, a quarter and an eighth of it: 256 features."""


CALIBRATED_ON = 2000
"""Real images that settle the one shift and the one scale of all features."""


class RandomNet:
    """Features float32 (N, 256), moved and scaled as a whole so that those of the data set have mean 0 and, on average,
    variance 1: the kernel distance needs numbers of that size. Images of one channel are taken for grey ones of three.
    """

    name = "random"
    accuracy: float | None = None

    def __init__(self, dataset: Dataset, note: str = "") -> None:
        self.note = note
        self.mean, self.scale = np.float32(0), np.float32(1)
        rng = np.random.Generator(np.random.PCG64(SEED))
        inputs = (3, *SCALES)
        kernels = [
            (rng.standard_normal((3, 3, i, o)) * np.sqrt(2 / (9 * i))).astype(np.float32)
            for i, o in zip(inputs, SCALES, strict=False)
        ]
        self.hash = hash_of(kernels)
        self.filters = build(dataset.images.shape[-1], kernels)
        self._features = tf.function(lambda images: self.filters(images, training=False), reduce_retracing=True)
        indices = rng.permutation(len(dataset.images))[:CALIBRATED_ON]
        features = features_of(self, dataset.images, indices)
        self.mean, self.scale = features.mean(axis=0), 1 / np.sqrt(features.var(axis=0).mean() + np.float32(1e-12))

    def __call__(self, images: Images) -> Features:
        """See `FeatureNet`."""
        return (np.asarray(self._features(tf.constant(images, tf.float32))) - self.mean) * self.scale

    def classes(self, features: Features) -> None:
        """See `FeatureNet`."""

    def model(self) -> Any:
        """See `FeatureNet`."""
        images = keras.Input(self.filters.input_shape[1:], name="images", dtype="float32")
        x = layers.Rescaling(255.0, name="pixels", dtype="float32")(images)
        x = layers.Rescaling(float(self.scale), (-self.mean * self.scale).tolist(), name="calibrated", dtype="float32")(
            self.filters(x)
        )
        return keras.Model(images, x, name="random")


def build(channels: int, kernels: list[np.ndarray[Any, Any]]) -> Any:
    """Float (N, any, any, channels) from 0 to 255 → features (N, 256), not calibrated yet."""
    x = images = keras.Input((None, None, channels), name="pixels", dtype="float32")
    x = layers.Rescaling(1 / 127.5, -1.0, name="rescaling", dtype="float32")(x)
    if channels == 1:
        x = layers.Concatenate(name="grey", dtype="float32")([x, x, x])
    pooled = []
    for number, kernel in enumerate(kernels):
        # Names of its own, so that a GAN's layers are numbered alike whether or not this net was built before them.
        def named(kind: str, number: int = number) -> dict[str, str]:
            return {"name": f"{kind}_{number}", "dtype": "float32"}

        if number:
            x = layers.AveragePooling2D(2, padding="same", **named("half"))(x)
        # Zeros, since Keras' default would draw from the global state of a training under way.
        options = {"padding": "same", "use_bias": False, "kernel_initializer": "zeros"}
        filters = layers.Conv2D(kernel.shape[-1], 3, **options, **named("filters"))
        x = layers.LeakyReLU(0.2, **named("leaky"))(filters(x))
        filters.set_weights([kernel])
        spread = keras.ops.sqrt(keras.ops.var(x, axis=(1, 2)) + 1e-6)
        pooled += [layers.GlobalAveragePooling2D(**named("mean"))(x), spread]
    return keras.Model(images, layers.Concatenate(name="features", dtype="float32")(pooled), name="filters")
