"""Nets of keras.applications from a weights file that the user has: InceptionV3 for distances like published ones.

Nothing is ever downloaded. The files are those that keras.applications names "…_notop.h5" or "…_no_top.h5".
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gentrain.errors import TrainError
from gentrain.metrics.features import Features, Images, hash_of


@dataclass(frozen=True)
class Application:
    """Where a net is in keras.applications, the side of its images, and the name of its weights' file."""

    module: str
    model: str
    side: int
    file: str


APPLICATIONS = {
    "inception": Application(
        "inception_v3", "InceptionV3", 299, "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
    ),
    "resnet50": Application("resnet50", "ResNet50", 224, "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"),
    "mobilenet-v2": Application(
        "mobilenet_v2", "MobileNetV2", 224, "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
    ),
    "convnext-tiny": Application("convnext", "ConvNeXtTiny", 224, "convnext_tiny_notop.h5"),
}


class ApplicationNet:
    """Features float32 (N, F) of images resized to the net's own size without antialiasing, as the first FID code did.

    F is 2048 for InceptionV3.
    """

    accuracy: float | None = None
    note = ""

    def __init__(self, name: str, weights: Path) -> None:
        """Raises TrainError: the file is missing or holds no such weights."""
        self.name, self.about = name, APPLICATIONS[name]
        if not weights.is_file():
            raise TrainError(f"{weights}: no such weights file; expected {self.about.file} of keras.applications")
        policy = keras.config.dtype_policy()  # a training under way may have set another one
        keras.config.set_dtype_policy("float32")
        side = (self.about.side, self.about.side, 3)
        try:
            make = getattr(keras.applications, self.about.model)
            self.network = make(include_top=False, weights=None, input_shape=side, pooling="avg")
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # Keras warns of parts that a file lacks, and loads the rest
                self.network.load_weights(weights)
        except Exception as error:  # h5py, zipfile and Keras each raise their own
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise TrainError(
                f"{weights}: no weights of {self.about.model} ({reason[:120]}); expected {self.about.file} of "
                "keras.applications"
            ) from error
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

    def _forward(self, images: tf.Tensor) -> Any:
        x = tf.cast(images, tf.float32)
        if x.shape[-1] == 1:
            x = tf.repeat(x, 3, axis=-1)
        x = tf.image.resize(x, (self.about.side, self.about.side), method="bilinear")
        module = getattr(keras.applications, self.about.module)
        return self.network(module.preprocess_input(x), training=False)
