"""Which house drew an emoji: a small net that learns from pictures that no training of a style sees. It tells Google's
from Twitter's, which differ in palette and shading, where the classifier of `gentrain evaluate` errs in a quarter.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

EPOCHS, BATCH, RATE = 30, 64, 3e-3
WIDTHS = (32, 64, 96)
SHIFT = 2

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


class HouseJudge:
    """Features float32 (N, 64) of pictures, scaled to a mean variance of 1, and the house that each looks like.

    Attributes:
        accuracy: of pictures that it has not learned from, the mean over houses.
    """

    def __init__(self, net: Any, learned: Pixels, others: Mapping[str, Pixels]) -> None:
        """`others`: by the houses' names, in their order, pictures to count how often it is right."""
        self.net, self.scale = net, 1.0
        self.scale = 1.0 / float(np.sqrt(self.features(learned).var(axis=0).mean()))
        right = [(self.classes(images) == house).mean() for house, images in enumerate(others.values())]
        self.accuracy = float(np.mean(right))

    def features(self, images: Pixels) -> Any:
        """Of pictures uint8 (N, 64, 64, 3)."""
        return self._of(images)[0] * self.scale

    def classes(self, images: Pixels) -> Any:
        """The houses, int64 (N,)."""
        return self._of(images)[1].argmax(axis=1)

    def _of(self, images: Pixels) -> Any:
        parts = [self.net(images[at : at + 100].astype(np.float32)) for at in range(0, len(images), 100)]
        return [np.concatenate([np.asarray(part[output]) for part in parts]) for output in range(2)]


def prepare(place: Path, learned: Mapping[str, Pixels], others: Mapping[str, Pixels]) -> HouseJudge:
    """The net from its file, or trained now, two minutes of processor time, and written there."""
    import keras

    images = np.concatenate(list(learned.values()))
    if place.exists():
        net = keras.models.load_model(place, compile=False)
    else:
        labels = np.repeat(np.arange(len(learned)), [len(each) for each in learned.values()])
        net = _trained(images, labels)
        net.save(place)
    return HouseJudge(net, images, others)


def build(classes: int) -> Any:
    """Float32 (N, 64, 64, 3) from 0 to 255 → features (N, 64) and logits (N, classes); convolutions in bfloat16."""
    import keras
    from keras import layers

    def conv(x: Any, width: int, **options: Any) -> Any:
        return layers.Conv2D(width, 3, padding="same", dtype="mixed_bfloat16", **options)(x)

    x = images = keras.Input((64, 64, 3))
    x = layers.Rescaling(1 / 127.5, -1.0)(x)
    for width in WIDTHS:
        x = layers.BatchNormalization(momentum=0.9, dtype="mixed_bfloat16")(conv(x, width, use_bias=False))
        x = layers.MaxPooling2D(dtype="mixed_bfloat16")(layers.ReLU(dtype="mixed_bfloat16")(x))
    features = layers.GlobalAveragePooling2D()(conv(x, 64, activation="relu"))
    return keras.Model(images, [features, layers.Dense(classes)(layers.Dropout(0.2)(features))])


def _trained(images: Pixels, labels: Any) -> Any:
    """Adam with a falling rate; pictures are mirrored and moved by up to two pixels."""
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    net, rng, steps = build(int(labels.max()) + 1), np.random.default_rng(0), len(images) // BATCH
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, steps * EPOCHS))
    optimizer.build(net.trainable_variables)

    @tf.function  # type: ignore[untyped-decorator]
    def step(pictures: Any, houses: Any) -> None:
        with tf.GradientTape() as tape:
            logits = net(pictures, training=True)[1]
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(houses, logits))
        variables = net.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    for _ in range(EPOCHS):
        moved = np.where(rng.random(len(images))[:, None, None, None] < 0.5, images[:, :, ::-1], images)
        moved = np.roll(moved, tuple(rng.integers(-SHIFT, SHIFT + 1, 2)), (1, 2)).astype(np.float32)
        order = rng.permutation(len(images))[: steps * BATCH].reshape(steps, BATCH)
        for chosen in order:
            step(tf.constant(moved[chosen]), tf.constant(labels[chosen]))
    return net
