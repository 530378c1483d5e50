"""An encoder of a generator: pictures → the latents (and the class) that draw them, at once.

It learns from the generator's own samples, as many as it likes, with the right answer for each, and from as many
pictures that the generator was trained on, since real ones are not quite what it draws ("In-Domain GAN Inversion for
Real Image Editing", arXiv 2004.00049). What counts is the picture that the generator draws of its answer: there are
often several latents of nearly the same picture, and the mean of them draws none. An error of the latents themselves
counts a little at first, which shows the way, and their length, since shorter latents draw plainer pictures.
The idea: "Generative Visual Manipulation on the Natural Image Manifold", arXiv 1609.03552.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from gentrain.editing.drawing import Drawing
from gentrain.errors import TrainError
from gentrain.files import replacing, write_json
from gentrain.networks.parts import stages

FILE, ABOUT = "encoder.keras", "encoder.json"
WIDTH, DENSE = 64, 256
BATCH = 64
RATE = 2e-3
LATENTS, LENGTH, CLASS = 0.1, 0.1, 0.1
"""Weights of the error of latents, which falls to 0, of their length, and of the class, beside that of the picture."""

TESTED = 256

SHOWN_EVERY = 20

Show = Callable[[int, int, float], None]
"""Called now and then with the samples that it has seen, how many there will be, and the error of pictures."""


def build(shape: tuple[int, int, int], latent_size: int, classes: int) -> tuple[Any, Any]:
    """`image` float32 (N, H, W, C) in [-1, 1] → `latents` float32 (N, Z), and `labels` int32 (N,) where there are any.

    Returns:
        The encoder, and the same network with `logits` (N, classes) in the place of labels, which learns. All layers
        are Keras' own.
    """
    image = keras.Input(shape, name="image")
    x = image
    for stage in range(stages(shape[:2])[1] + 1):
        x = layers.Conv2D(WIDTH * min(2**stage, 2), 4, 2, padding="same", use_bias=False)(x)
        x = layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Dense(DENSE, use_bias=False)(layers.Flatten()(x))
    x = layers.LeakyReLU(0.2)(layers.BatchNormalization(momentum=0.9)(x))
    latents = layers.Dense(latent_size, name="latents")(x)
    if not classes:
        model = keras.Model(image, {"latents": latents}, name="encoder")
        return model, model
    logits = layers.Dense(classes, name="logits")(x)
    labels = keras.ops.cast(keras.ops.argmax(logits, axis=-1), "int32")
    return (
        keras.Model(image, {"latents": latents, "labels": labels}, name="encoder"),
        keras.Model(image, {"latents": latents, "logits": logits}, name="learning"),
    )


class Pictures(NamedTuple):
    """Pictures uint8 (N, H, W, C), the class int32 (N,) of each where known, and which of them to learn from."""

    images: Any
    labels: Any
    chosen: Any


def train(drawing: Drawing, kimg: float, seed: int, show: Show, real: Pictures | None = None) -> Any:
    """An encoder of this generator, after so many thousand pictures: samples, and as many real ones if there are any.

    Raises:
        TrainError: the generator has classes, and nobody knows how many; or its numbers are none.
    """
    if drawing.classes < 0:
        raise TrainError(f"{drawing.file}: takes classes, but does not say how many; an encoder needs to know")
    keras.utils.set_random_seed(seed)
    encoder, learning = build(drawing.shape, drawing.latent_size, drawing.classes)
    optimizer = keras.optimizers.Adam(RATE, beta_2=0.99)
    optimizer.build(learning.trainable_variables)

    random, samples = np.random.default_rng(seed), BATCH // 2 if real else BATCH

    @tf.function(autograph=False)  # type: ignore[untyped-decorator]
    def step(pixels: Any, classes: Any, left: Any) -> Any:
        latents, labels = _draw(drawing, samples)
        images = tf.concat([drawing(latents, labels), tf.cast(pixels, tf.float32) / 127.5 - 1.0], 0)
        labels = None if labels is None else tf.concat([labels, classes], 0)
        with tf.GradientTape() as tape:
            found = learning(images, training=True)
            error = tf.reduce_mean(tf.square(drawing(found["latents"], labels) - images))
            loss = error + left * LATENTS * tf.reduce_mean(tf.square(found["latents"][:samples] - latents))
            loss += LENGTH * tf.square(tf.reduce_mean(tf.square(found["latents"])) - 1.0)
            if drawing.classes:
                loss += CLASS * tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, found["logits"]))
        variables = learning.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return error

    steps = max(1, round(1000 * kimg / BATCH))
    for number in range(steps):
        optimizer.learning_rate.assign(RATE * (1.01 - number / steps))
        left = tf.constant(1 - number / steps, tf.float32)
        error = step(*_some(drawing, real, BATCH - samples, random), left)
        if number % SHOWN_EVERY == 0 or number == steps - 1:
            if not np.isfinite(error):
                raise TrainError(f"{drawing.file}: the encoder's error is no number; is the generator whole?")
            show((number + 1) * BATCH, steps * BATCH, float(error))
    return encoder


def _draw(drawing: Drawing, count: int) -> tuple[Any, Any]:
    latents = tf.random.normal([count, drawing.latent_size])
    labels = tf.random.uniform([count], maxval=drawing.classes, dtype=tf.int32) if drawing.classes else None
    return latents, labels


def _some(drawing: Drawing, real: Pictures | None, count: int, random: np.random.Generator) -> tuple[Any, Any]:
    """Real pictures uint8 (count, H, W, C), and their classes int32 (count,); none of either where there are none."""
    if real is None:
        return tf.zeros([0, *drawing.shape], tf.uint8), tf.zeros([0], tf.int32)
    chosen = np.sort(random.choice(real.chosen, count))  # they may lie on a disk
    labels = np.zeros(count) if real.labels is None else real.labels[chosen]
    return tf.constant(real.images[chosen]), tf.constant(labels, tf.int32)


def redrawn(encoder: Any, drawing: Drawing, images: Any) -> tuple[Any, Any, Any]:
    """What an encoder and its generator make of pictures float32 (N, H, W, C) in [-1, 1].

    Returns:
        Latents float32 (N, Z), labels int32 (N,) or None, and the images that are drawn of them.
    """
    found = encoder(tf.constant(images), training=False)
    latents, labels = found["latents"], found.get("labels")
    return latents, labels, drawing(latents, labels)


def measure(encoder: Any, drawing: Drawing) -> dict[str, float]:
    """How near samples come to themselves, in dB: `psnr` by the encoder, `floor` where each is the mean of all."""
    random = np.random.default_rng(1)
    latents = tf.constant(random.standard_normal((TESTED, drawing.latent_size)), tf.float32)
    labels = tf.constant(random.integers(0, drawing.classes, TESTED), tf.int32) if drawing.classes else None
    images = drawing(latents, labels)
    _, found, again = redrawn(encoder, drawing, images)
    scores = {"psnr": psnr(images, again), "floor": psnr(images, tf.reduce_mean(images, 0, keepdims=True))}
    if labels is not None:
        scores["class_kept"] = float(np.mean(np.asarray(found) == np.asarray(labels)))
    return {name: round(value, 3) for name, value in scores.items()}


def psnr(images: Any, others: Any) -> float:
    """The peak signal-to-noise ratio of images in [-1, 1], in dB, the mean over all of them."""
    errors = tf.reduce_mean(tf.square(images - tf.clip_by_value(others, -1.0, 1.0)), axis=[1, 2, 3])
    return float(np.mean(10 * np.log10(4.0 / np.maximum(errors, 1e-10))))


def save(encoder: Any, drawing: Drawing, about: dict[str, Any]) -> Path:
    """Write both files into the run; encoder.json says of which generator it is, by the SHA-256 of its file.

    An encoder that is there without the other file, after a kill, or beside that of another generator, is not
    published.
    """
    assert drawing.run is not None
    path = drawing.run / FILE
    with replacing(path) as temporary:
        encoder.save(temporary)
    generator = drawing.file.relative_to(drawing.run).as_posix()
    write_json(drawing.run / ABOUT, {"generator": generator, "generator_sha256": sha256(drawing.file), **about})
    return path


def load(drawing: Drawing) -> Any | None:
    """The encoder of a run's generator; None where there is none, or it is of another state of the generator."""
    import json

    if drawing.run is None:
        return None
    try:
        about = json.loads((drawing.run / ABOUT).read_text(encoding="utf-8"))
        if about["generator_sha256"] != sha256(drawing.file):
            return None
        return keras.models.load_model(drawing.run / FILE, compile=False)
    except Exception:  # a projection goes on without
        return None


def sha256(path: Path) -> str:
    """Of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
