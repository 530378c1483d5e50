"""A small classifier trained on the data set's own labels: it looks at what distinguishes these images.

Trained once for a data set and kept in the cache. It may be trained in the middle of a GAN's training, so it draws from
no random generator but its own and leaves Keras' and TensorFlow's global state alone.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from gentrain.data import cache
from gentrain.data.sizes import Size, both
from gentrain.errors import TrainError
from gentrain.files import replacing
from gentrain.metrics.features import BATCH, Features, Images, hash_of

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset

VERSION = 2
"""Goes up when anything below changes what is learned: the cache names nets by it."""

SEED = 1
FEATURES = 64
TRAINED_ON = 50_000
HELD_OUT = 5_000
TRAINING_BATCH = 128
STEPS = 1500
EPOCHS = 25
LEARNING_RATE = 3e-3
DROPOUT = 0.2
SMALLEST_CLASS = 20

# How much of the way from guessing the commonest class to never being wrong a useful net has gone.
ABOVE_CHANCE = 0.15


class ClassifierNet:
    """The trained net: features are its penultimate activations, float32 (N, 64), scaled to a mean variance of 1."""

    name = "classifier"

    def __init__(self, model: Any, accuracy: float, note: str = "") -> None:
        self.network, self.note = model, note
        self.accuracy: float | None = accuracy
        self.hash = hash_of(model.get_weights())
        self._features = tf.function(lambda images: model(images, training=False)[0], reduce_retracing=True)

    def __call__(self, images: Images) -> Features:
        """See `FeatureNet`."""
        return np.asarray(self._features(tf.constant(images)))

    def classes(self, features: Features) -> np.ndarray[Any, np.dtype[np.int64]]:
        """See `FeatureNet`."""
        return np.asarray(self.network.get_layer("logits")(features)).argmax(axis=1)

    def model(self) -> Any:
        """See `FeatureNet`."""
        images = keras.Input(self.network.input_shape[1:], name="images", dtype="float32")
        trunk = keras.Model(self.network.input, self.network.output[0], name="trunk")
        pixels = layers.Rescaling(255.0, name="pixels", dtype="float32")(images)
        return keras.Model(images, trunk(pixels), name="classifier")


def prepare(dataset: Dataset, insist: bool = False) -> ClassifierNet | str:
    """The classifier of a data set, from the cache or trained now; or, in a sentence, why there can be none.

    Raises:
        TrainError: with `insist`, where it would have returned that sentence.
    """
    reason = _unfit(dataset)
    if not reason:
        net = _cached(dataset) or _trained(dataset)
        chance, accuracy = _chance(dataset), net.accuracy or 0.0
        if accuracy >= chance + ABOVE_CHANCE * (1 - chance):
            return net
        reason = f"a classifier of the labels reaches only {accuracy:.1%} where guessing reaches {chance:.1%}"
    if insist:
        raise TrainError(f"{dataset.source}: no classifier features: {reason}; take --features random")
    return f"{reason}, so features are a random net's"


def build(size: Size, channels: int, classes: int, seed: int = 0) -> Any:
    """uint8 or float (N, H, W, channels) from 0 to 255 → features (N, 64) and logits (N, classes)."""
    names = iter(range(100))

    def options(kind: str) -> dict[str, Any]:
        number = next(names)
        # Names of its own, so that a GAN's layers are numbered alike whether or not this net was built before them.
        return {
            "name": f"{kind}_{number}" if kind == "conv" else kind,
            "kernel_initializer": keras.initializers.HeNormal(seed=1000 * seed + number),
            "dtype": "float32",
        }

    x = images = keras.Input((*both(size), channels), name="images", dtype="float32")
    x = layers.Rescaling(1 / 127.5, -1.0, name="rescaling", dtype="float32")(x)
    halvings = max(1, math.ceil(math.log2(max(both(size)) / 8)))
    for left in reversed(range(halvings)):
        x = layers.Conv2D(64 >> min(left, 2), 3, 2, padding="same", activation="relu", **options("conv"))(x)
    x = layers.Flatten(name="flatten", dtype="float32")(x)
    features = layers.Dense(FEATURES, activation="relu", **options("features"))(x)
    logits = layers.Dense(classes, **options("logits"))(features)
    return keras.Model(images, [features, logits], name="classifier")


def _unfit(dataset: Dataset) -> str:
    if dataset.labels is None:
        return "the images have no labels"
    large = int((np.bincount(dataset.labels) >= SMALLEST_CLASS).sum())
    return "" if large >= 2 else f"{large} classes have {SMALLEST_CLASS} images or more, 2 are needed"


def _split(dataset: Dataset) -> tuple[Any, Any]:
    """Indices to train on and those held out, always the same; of copies one, or the held-out images would be known."""
    order = np.random.default_rng(SEED).permutation(dataset.distinct)
    held_out = min(len(order) // 5, HELD_OUT)
    return order[held_out : held_out + TRAINED_ON], order[:held_out]


def _chance(dataset: Dataset) -> float:
    """The accuracy on the held-out images of always naming the commonest class."""
    assert dataset.labels is not None
    _, held_out = _split(dataset)
    return float(np.bincount(dataset.labels[held_out]).max() / len(held_out))


def _place(dataset: Dataset) -> Path:
    return cache.root() / "features" / f"{dataset.fingerprint[:32]}-v{VERSION}.keras"


def _cached(dataset: Dataset) -> ClassifierNet | None:
    """The net of the cache; None where there is none, or what is there is damaged or another net."""
    place = _place(dataset)
    if not place.exists():
        return None
    try:
        model = keras.models.load_model(place, compile=False)
        return ClassifierNet(model, _accuracy(model, dataset))
    except Exception:  # zipfile, h5py, json and Keras each raise their own on a damaged file; it is trained anew
        return None


def _trained(dataset: Dataset) -> ClassifierNet:
    model = _train(dataset)
    note = ""
    try:
        with replacing(_place(dataset)) as temporary:
            model.save(temporary)
    except (TrainError, OSError) as error:
        note = f"the classifier is not kept for next time: {error}"
    return ClassifierNet(model, _accuracy(model, dataset), note)


def _accuracy(model: Any, dataset: Dataset) -> float:
    assert dataset.labels is not None
    _, indices = _split(dataset)
    batches = (indices[start : start + BATCH] for start in range(0, len(indices), BATCH))
    right = sum(
        int((np.asarray(model(dataset.images[batch], training=False)[1]).argmax(axis=1) == dataset.labels[batch]).sum())
        for batch in batches
    )
    return right / len(indices)


def _train(dataset: Dataset) -> Any:
    """Adam with a falling rate, dropout on the features, images moved by a pixel: enough not to memorise them."""
    assert dataset.labels is not None
    _, height, width, channels = dataset.images.shape
    indices, _ = _split(dataset)
    model = build((height, width), channels, int(dataset.labels.max()) + 1)
    rng = np.random.default_rng([SEED, 1])
    steps = min(STEPS, EPOCHS * math.ceil(len(indices) / TRAINING_BATCH))
    step = _compile(model, steps)
    order = np.concatenate([rng.permutation(indices) for _ in range(math.ceil(steps * TRAINING_BATCH / len(indices)))])
    for number in range(steps):
        batch = order[number * TRAINING_BATCH : (number + 1) * TRAINING_BATCH]
        images = np.roll(dataset.images[batch], tuple(rng.integers(-1, 2, 2)), (1, 2))
        step(tf.constant(images), tf.constant(dataset.labels[batch]), tf.constant(number))
    _scale(model, dataset.images[indices[:2000]])
    return model


def _compile(model: Any, steps: int) -> Any:
    """One step of training as a function of images, labels and its number."""
    trunk = keras.Model(model.input, model.get_layer("features").output, name="trunk")
    logits = model.get_layer("logits")
    optimizer = keras.optimizers.Adam(LEARNING_RATE, name="adam")
    optimizer.build(model.trainable_variables)

    @tf.function  # type: ignore[untyped-decorator]
    def step(images: tf.Tensor, labels: tf.Tensor, number: tf.Tensor) -> None:
        progress = tf.cast(number, tf.float32) / steps
        optimizer.learning_rate.assign(LEARNING_RATE * 0.5 * (1 + tf.cos(math.pi * progress)))
        with tf.GradientTape() as tape:
            features = trunk(images, training=True)
            features = tf.nn.experimental.stateless_dropout(features, DROPOUT, seed=tf.stack([SEED, number]))
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits(features))
            loss = tf.reduce_mean(losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    return step


def _scale(model: Any, images: Images) -> None:
    """Scale the features to an average variance of 1 and the logits' weights against it, which ReLU allows."""
    parts = [np.asarray(model(images[start : start + BATCH])[0]) for start in range(0, len(images), BATCH)]
    scale = 1 / math.sqrt(max(float(np.concatenate(parts).var(axis=0).mean()), 1e-12))
    features, logits = model.get_layer("features"), model.get_layer("logits")
    features.set_weights([weight * scale for weight in features.get_weights()])
    kernel, bias = logits.get_weights()
    logits.set_weights([kernel / scale, bias])
