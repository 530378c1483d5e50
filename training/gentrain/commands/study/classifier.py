"""The classifier that every arm trains: the same small net, the same number of steps, seeds of its own."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

Images = np.ndarray[Any, np.dtype[np.uint8]]
Labels = np.ndarray[Any, np.dtype[np.int32]]
Order = np.ndarray[Any, np.dtype[np.int64]]

LEARNING_RATE = 1e-3  # Adam's, down to 0 along a cosine
DEGREES, SHIFT, ZOOM = 10.0, 0.1, 0.1  # classical augmentation: up to so much either way


def build(shape: tuple[int, int, int], classes: int, seed: int) -> Any:
    """`images` uint8 (N, *shape) → logits (N, classes): convolutions and pooling to 4–7 pixels, one dense layer."""
    keys = iter(range(seed * 100, seed * 100 + 100))
    x = images = keras.Input(shape, name="images")
    x = layers.Rescaling(1 / 127.5, -1)(x)
    width, side = 32, min(shape[:2])
    while True:
        x = layers.Conv2D(width, 3, padding="same", activation="relu", kernel_initializer=_initializer(next(keys)))(x)
        if side < 8:
            break
        x = layers.MaxPooling2D()(x)
        width, side = min(2 * width, 128), side // 2
    x = layers.Flatten()(x)
    x = layers.Dropout(0.4, seed=next(keys))(x)
    x = layers.Dense(128, activation="relu", kernel_initializer=_initializer(next(keys)))(x)
    return keras.Model(images, layers.Dense(classes, kernel_initializer=_initializer(next(keys)))(x), name="classifier")


def train(images: Images, labels: Labels, order: Order, classes: int, seed: int, classical: bool, flip: bool) -> Any:
    """Train a classifier.

    Args:
        images: uint8 (N, H, W, C).
        labels: int32 (N,).
        order: which images each step takes: (steps, batch) of 0 to N - 1.
        classes: how many there are.
        seed: of weights, dropout and augmentation.
        classical: whether images are shifted, turned and scaled at random.
        flip: whether that mirrors them too.
    """
    library = tf.constant(images)

    def draw(step: tf.Tensor, rows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        drawn = tf.cast(tf.gather(library, rows), tf.float32)
        if classical:
            drawn = augment(drawn, tf.stack([tf.constant(seed, tf.int64), step]), flip)
        return drawn, tf.gather(labels, rows)

    steps = len(order)
    stream = tf.data.Dataset.from_tensor_slices((np.arange(steps), order)).map(draw, num_parallel_calls=1).prefetch(4)
    model = build(tuple(images.shape[1:]), classes, seed)
    model.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    model.fit(stream, epochs=1, verbose=0, shuffle=False)
    return model


def right(model: Any, images: Images, labels: Labels) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Of which images (N,) the largest logit is their label's."""
    found = []
    for start in range(0, len(images), 500):
        logits = np.asarray(model(images[start : start + 500], training=False))
        found.append(logits.argmax(axis=1) == labels[start : start + 500])
    return np.concatenate(found)


def augment(images: tf.Tensor, seed: tf.Tensor, flip: bool) -> tf.Tensor:
    """Shift, turn and scale each of float32 (N, H, W, C) at random; what comes in at an edge repeats the edge."""
    rows, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    noise = tf.random.stateless_uniform((5, rows), seed, -1.0, 1.0)
    angle, zoom = noise[0] * DEGREES * math.pi / 180, 1 + noise[1] * ZOOM
    mirror = tf.sign(noise[4]) if flip else tf.ones((rows,))
    a, b = tf.cos(angle) * zoom, tf.sin(angle) * zoom
    # Around the centre: output pixel (x, y) takes the input's at (a·x − b·y + c, b·x + a·y + d).
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    c = middle_x - mirror * a * middle_x + b * middle_y + noise[2] * SHIFT * width
    d = middle_y - mirror * b * middle_x - a * middle_y + noise[3] * SHIFT * height
    zero = tf.zeros((rows,))
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([mirror * a, -b, c, mirror * b, a, d, zero, zero], axis=1),
        output_shape=[height, width],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def in_turn(counts: list[int], steps: int, batch: int, seed: int) -> Order:
    """Sets of so many images laid end to end: of several the same share of every batch, each shuffled when through."""
    rng = np.random.default_rng(seed)
    shares = [batch // len(counts) + (i < batch % len(counts)) for i in range(len(counts))]
    columns, start = [], 0
    for count, share in zip(counts, shares, strict=True):
        rounds = -(-steps * share // count)
        order = np.concatenate([rng.permutation(count) for _ in range(rounds)])[: steps * share]
        columns.append(start + order.reshape(steps, share))
        start += count
    return np.concatenate(columns, axis=1)


def by_class(labels: Labels, generated: Labels, steps: int, batch: int, seed: int) -> Order:
    """Real images and then generated ones: every class equally often, half of it generated where there are any."""
    chances = np.zeros(len(labels) + len(generated))
    for label in np.unique(labels):
        real, made = np.flatnonzero(labels == label), len(labels) + np.flatnonzero(generated == label)
        chances[real] = (0.5 if len(made) else 1.0) / len(real)
        chances[made] = 0.5 / max(len(made), 1)
    rng = np.random.default_rng(seed)
    return rng.choice(len(chances), (steps, batch), p=chances / chances.sum())


def _initializer(seed: int) -> Any:
    return keras.initializers.HeNormal(seed=seed)
