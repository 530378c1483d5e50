"""InceptionV3 from a weights file that the user has, for Fréchet distances that can be set beside published ones.

Nothing is ever downloaded. The file is the one that keras.applications names "…_notop.h5".
"""

from __future__ import annotations

import warnings
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from gentrain.errors import TrainError
from gentrain.metrics.features import Features, Images, hash_of

SIDE = 299
FORMAT = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5 of keras.applications"


class InceptionNet:
    """Features float32 (N, 2048) of images resized to 299×299 without antialiasing, as the first FID code did."""

    name = "inception"
    accuracy: float | None = None
    note = ""

    def __init__(self, weights: Path) -> None:
        """Raises TrainError: the file is missing or holds no such weights."""
        if not weights.is_file():
            raise TrainError(f"{weights}: no such weights file; expected {FORMAT}")
        policy = keras.config.dtype_policy()  # a training under way may have set another one
        keras.config.set_dtype_policy("float32")
        try:
            self.network = keras.applications.InceptionV3(
                include_top=False, weights=None, input_shape=(SIDE, SIDE, 3), pooling="avg"
            )
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Keras warns of parts that a file lacks, and loads the rest
                self.network.load_weights(weights)
        except Exception as error:  # h5py, zipfile and Keras each raise their own
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise TrainError(f"{weights}: no weights of InceptionV3 ({reason[:120]}); expected {FORMAT}") from error
        finally:
            keras.config.set_dtype_policy(policy)
        self.hash = hash_of(self.network.get_weights())
        self._features = tf.function(self._forward, reduce_retracing=True)

    def __call__(self, images: Images) -> Features:
        """See `FeatureNet`."""
        return np.asarray(self._features(tf.constant(images)))

    def classes(self, features: Features) -> None:
        """See `FeatureNet`."""

    def model(self) -> None:
        """See `FeatureNet`: too large to be kept beside every run."""

    def _forward(self, images: tf.Tensor) -> tf.Tensor:
        x = tf.cast(images, tf.float32)
        if x.shape[-1] == 1:
            x = tf.repeat(x, 3, axis=-1)
        x = tf.image.resize(x, (SIDE, SIDE), method="bilinear")
        return self.network(x / 127.5 - 1.0, training=False)
