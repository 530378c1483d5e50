"""Latents that draw a picture best: downhill from several starts, in pixels and features, all pictures at once.

The starts are what the run's encoder says, and the nearest of many samples; of a generator with classes these are of
several classes, and the best start tells the picture's. Latents are kept about as long as a Gaussian's, since a
generator draws anything only near those, and since sliders and morphs go on from there. The idea: "Precise Recovery of
Latent Vectors from Generative Adversarial Networks", arXiv 1702.04782, and StyleGAN2's projector.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gentrain.editing import encoder as encoders
from gentrain.editing.drawing import Drawing
from gentrain.editing.likeness import Likeness
from gentrain.errors import TrainError

RATE = 0.1
LENGTH = 0.02
"""Weight of the squared distance of latents' mean square from 1, where it is above 1."""

SAMPLES = 2048
"""Samples among which the nearest are looked for."""

BATCH = 64
"""Pictures and starts that go through the generator together."""

Show = Callable[[int], None]
"""Called with the number of pictures that are done since it was last called."""


@dataclass(frozen=True, eq=False)
class Projection:
    """What was found for each picture.

    Attributes:
        latents: float32 (N, Z).
        labels: int32 (N,) of a generator with classes, else None.
        images: float32 (N, H, W, C) in [-1, 1], which the generator draws of them.
        psnr: float64 (N,), decibels between pixels.
    """

    latents: Any
    labels: Any
    images: Any
    psnr: Any


class Projector:
    """Projects pictures onto one generator."""

    def __init__(self, drawing: Drawing, label: int | None = None, seed: int = 0, encoded: bool = True) -> None:
        """Take a generator, the class of all pictures if it is known, and whether its encoder may be asked.

        Raises:
            TrainError: it takes classes, and neither says how many nor is one given; or its images do not change with
                its latents.
        """
        if drawing.classes < 0 and label is None:
            raise TrainError(f"{drawing.file}: takes classes, but does not say how many; expected --label")
        self.drawing, self.label = drawing, label
        self.likeness = Likeness(drawing.shape, drawing.run)
        self.encoder = encoders.load(drawing) if encoded else None
        self._random = np.random.default_rng(seed)
        self._improve = tf.function(self._forward_and_back, autograph=False, reduce_retracing=True)
        self._samples: tuple[Any, Any, Any] | None = None
        self._try()

    def _try(self) -> None:
        """See that there is a way downhill."""
        latents = tf.zeros([2, self.drawing.latent_size]) + 0.1
        labels = tf.zeros([2], tf.int32) if self.drawing.classes else None
        try:
            with tf.GradientTape() as tape:
                tape.watch(latents)
                images = self.drawing(latents, labels)
            slope = tape.gradient(images, latents)
        except LookupError:  # an operation without a gradient
            slope = None
        if slope is None:
            raise TrainError(
                f"{self.drawing.file}: its images cannot be differentiated by its latents, as where weights or "
                "pixels are integers; expected a generator in floating point"
            )

    def project(self, targets: Any, steps: int, starts: int, show: Show = lambda _: None) -> Projection:
        """The latents that draw float32 (N, H, W, C) in [-1, 1] best, after so many steps from so many starts each."""
        parts = []
        together = max(1, BATCH // starts)
        for at in range(0, len(targets), together):
            batch = np.asarray(targets[at : at + together], np.float32)
            parts.append(self._batch(batch, steps, starts))
            show(len(batch))
        latents, labels, images = (
            None if parts[0][i] is None else np.concatenate([part[i] for part in parts]) for i in range(3)
        )
        return Projection(latents, labels, images, _psnr(np.asarray(targets), images))

    def _batch(self, targets: Any, steps: int, starts: int) -> tuple[Any, Any, Any]:
        first, labels = self._starts(targets, starts)
        count = len(first) // len(targets)
        repeated = tf.constant(np.repeat(targets, count, axis=0))
        seen = [tf.stop_gradient(features) for features in self.likeness.seen(repeated)]
        latents = tf.Variable(first)
        labels = None if labels is None else tf.constant(labels)
        optimizer = keras.optimizers.Adam(RATE, beta_2=0.99)
        optimizer.build([latents])
        for step in range(steps):
            optimizer.learning_rate.assign(RATE * min(1.0, 1.1 - step / steps))
            slope, _ = self._improve(latents, labels, repeated, seen)
            optimizer.apply([slope], [latents])
        _, error = self._improve(latents, labels, repeated, seen)
        best = np.argmin(np.reshape(error, (len(targets), count)), axis=1) + count * np.arange(len(targets))
        images = np.asarray(self.drawing(latents, labels))[best]
        return latents.numpy()[best], None if labels is None else labels.numpy()[best], images

    def _forward_and_back(self, latents: Any, labels: Any, targets: Any, seen: Any) -> tuple[Any, Any]:
        """The slope at each latents, and the difference of each image."""
        values = tf.convert_to_tensor(latents)
        with tf.GradientTape() as tape:
            tape.watch(values)
            error = self.likeness(self.drawing(values, labels), targets, seen)
            excess = tf.nn.relu(tf.reduce_mean(tf.square(values), axis=1) - 1.0)
            loss = tf.reduce_sum(error + LENGTH * tf.square(excess))
        return tape.gradient(loss, values), error

    def _starts(self, targets: Any, starts: int) -> tuple[Any, Any]:
        """Latents (N · starts, Z) and labels: those of the encoder first, then the nearest samples."""
        latents, labels = [], []
        if self.encoder is not None:
            found = self.encoder(tf.constant(targets), training=False)
            latents.append(np.asarray(found["latents"]))
            labels.append(np.asarray(found["labels"]) if "labels" in found else np.zeros(len(targets), np.int32))
        nearest = starts - len(latents)
        if nearest > 0:
            near = self._nearest(targets, nearest)
            latents += list(near[0])
            labels += list(near[1])
        each = np.stack(latents, axis=1).reshape(-1, self.drawing.latent_size).astype(np.float32)
        if not self.drawing.classes:
            return each, None
        chosen = np.stack(labels, axis=1).reshape(-1).astype(np.int32)
        return each, chosen if self.label is None else np.full_like(chosen, self.label)

    def _nearest(self, targets: Any, count: int) -> tuple[list[Any], list[Any]]:
        """The `count` samples nearest to each picture in pixels: of each class first the nearest one of it."""
        if self._samples is None:
            self._samples = self._drawn()
        latents, labels, images = self._samples
        distances = (images**2).sum(1) - 2 * targets.reshape(len(targets), -1) @ images.T
        found_latents, found_labels = [], []
        ranked = np.argsort(distances, axis=1)
        rows = np.arange(len(targets))
        taken = np.full((len(targets), count), 0)
        for row in rows:
            _, first = np.unique(labels[ranked[row]], return_index=True)
            order = np.concatenate([np.sort(first), np.setdiff1d(np.arange(len(latents)), first)])
            taken[row] = ranked[row][order[:count]]
        for column in range(count):
            found_latents.append(latents[taken[:, column]])
            found_labels.append(labels[taken[:, column]])
        return found_latents, found_labels

    def _drawn(self) -> tuple[Any, Any, Any]:
        latents = self._random.standard_normal((SAMPLES, self.drawing.latent_size)).astype(np.float32)
        labels = self._random.integers(0, max(self.drawing.classes, 1), SAMPLES).astype(np.int32)
        if self.label is not None:
            labels[:] = self.label
        images = []
        for at in range(0, SAMPLES, BATCH):
            given = tf.constant(labels[at : at + BATCH]) if self.drawing.classes else None
            drawn = np.asarray(self.drawing(tf.constant(latents[at : at + BATCH]), given))
            images.append(drawn.reshape(len(drawn), -1))
        return latents, labels, np.concatenate(images)


def _psnr(targets: Any, images: Any) -> Any:
    """Decibels for each picture, of pixels as they are written: uint8."""
    from gentrain.images import to_pixels

    errors = (to_pixels(targets).astype(np.float64) - to_pixels(images)) ** 2
    return 10 * np.log10(255.0**2 / np.maximum(errors.mean(axis=(1, 2, 3)), 1e-3))
