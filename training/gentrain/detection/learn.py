"""Training: half of every batch real, the other half from all generators alike; half of each is disturbed on its way.

Then calibration on pictures that were held out, half of them disturbed too: the temperature that makes scores
probabilities, and the threshold.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

from gentrain.detection import disturb, networks, scores
from gentrain.detection.pictures import Pictures
from gentrain.metrics.features import BATCH

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Logits = np.ndarray[Any, np.dtype[np.float32]]
Show = Callable[[int, float], None]
"""Called after each step with its number, from 1 on, and the loss."""

HALF = 32  # of a batch
STEPS = 1200
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-4
EMA = 0.99
EXAMPLES = 16  # batches, by which statistics are brought to one scale
LOGGED = 50  # steps between lines of the log


@dataclass(frozen=True, eq=False)
class Detector:
    """`model`: images float32 (N, H, W, C) in [-1, 1] → scores (N,), the sigmoid of logits over `temperature`."""

    model: Any
    logits: Callable[[Pixels], Logits]
    temperature: float
    threshold: float
    interval: tuple[float, float]
    log: tuple[dict[str, Any], ...]

    def __call__(self, images: Pixels) -> scores.Scores:
        """Scores float64 (N,) of uint8 (N, H, W, C), higher for more real."""
        return scores.sigmoid(self.logits(images) / self.temperature)


def train(pictures: Pictures, steps: int = STEPS, seed: int = 0, show: Show = lambda step, loss: None) -> Detector:
    """Learn to tell the real pictures from the generated ones that are to be seen, and calibrate."""
    height, _, channels = pictures.shape
    examples = np.concatenate([_batch(pictures, seed, -number)[0] for number in range(EXAMPLES)])
    network = networks.build(height, channels, _floats(examples), seed)
    log: list[dict[str, Any]] = []
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY, use_ema=True, ema_momentum=EMA)
    learn = _step(network, optimizer)
    begun = time.monotonic()
    for step in range(1, steps + 1):
        loss = float(learn(*_batch(pictures, seed, step)))
        show(step, loss)
        if step % LOGGED == 0 or step == steps:
            seconds = round(time.monotonic() - begun, 2)
            log.append({"step": step, "images": 2 * HALF * step, "seconds": seconds, "loss": round(loss, 5)})
    optimizer.finalize_variable_values(network.trainable_variables)  # the moving averages of the weights
    return _calibrated(network, pictures, log)


def _calibrated(network: Any, pictures: Pictures, log: Sequence[dict[str, Any]]) -> Detector:
    def logits(images: Pixels) -> Logits:
        starts = range(0, len(images), BATCH)
        parts = [network(_floats(images[start : start + BATCH]), training=False) for start in starts]
        return np.concatenate([np.asarray(part) for part in parts])[:, 0]

    rng = np.random.default_rng(0)
    fakes = [pictures.fake_beside(part, part.calibration, rng) for part in pictures.seen]
    real = logits(disturb.at_random(pictures.real_beside(pictures.seen, pictures.real.calibration, rng), rng))
    fake = np.concatenate([logits(disturb.at_random(images, rng)) for images in fakes])
    temperature = scores.temperature(real, fake)
    threshold, interval = scores.threshold(scores.sigmoid(real / temperature))
    return Detector(_with_scores(network, temperature), logits, temperature, threshold, interval, tuple(log))


def _with_scores(network: Any, temperature: float) -> Any:
    x = layers.Rescaling(1 / temperature, name="temperature")(network.output)
    x = layers.Activation("sigmoid", name="sigmoid")(x)
    return keras.Model(network.input, layers.Reshape((), name="scores")(x), name="detector")


def _floats(images: Pixels) -> np.ndarray[Any, np.dtype[np.float32]]:
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)


def _step(network: Any, optimizer: Any) -> Any:
    """One step of the optimiser on uint8 images (N, H, W, C) and labels float32 (N, 1), 1 for real; gives the loss."""

    @tf.function  # type: ignore[untyped-decorator]
    def step(images: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = network(tf.cast(images, tf.float32) / 127.5 - 1.0, training=True)
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))
        weights = network.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    return step


def _batch(pictures: Pictures, seed: int, step: int) -> tuple[Pixels, Any]:
    """What follows from (seed, step) alone: as many real pictures as generated ones, coded alike."""
    rng = np.random.default_rng([seed, step + EXAMPLES])
    real, fakes = pictures.real.training, list[Pixels]()
    for number, part in enumerate(pictures.seen):
        share = (HALF + (number + step) % len(pictures.seen)) // len(pictures.seen)
        fakes.append(pictures.fake_beside(part, part.training[rng.integers(len(part.training), size=share)], rng))
    drawn = [pictures.real_beside(pictures.seen, real[rng.integers(len(real), size=HALF)], rng), *fakes]
    images = disturb.at_random(np.concatenate(drawn), rng)
    return images, np.repeat(np.array([[1], [0]], np.float32), HALF, axis=0)
