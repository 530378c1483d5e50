"""Training: half of every batch real, the other half from all generators alike, most of them disturbed on their way.

Then calibration on pictures that were held out, half of them disturbed too, for the temperature that makes scores
probabilities. The threshold is the lowest of those for pictures as they are and for each kind of disturbance.
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
from gentrain.detection.pool import Pool, floats

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Logits = np.ndarray[Any, np.dtype[np.float32]]
Show = Callable[[int, float], None]
"""Called after each step with its number, from 1 on, and the loss."""

STEPS = 3000
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-4
EMA = 0.99
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
    pool = Pool(pictures, seed)
    head = networks.head(pool.begin(), seed)
    log: list[dict[str, Any]] = []
    rate = keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=WEIGHT_DECAY, use_ema=True, ema_momentum=EMA)
    learn = _step(head, optimizer)
    begun = time.monotonic()
    for step in range(1, steps + 1):
        loss = float(learn(*pool.batch(step)))
        show(step, loss)
        if step % LOGGED == 0 or step == steps:
            seconds = round(time.monotonic() - begun, 2)
            log.append({"step": step, "images": pool.drawn, "seconds": seconds, "loss": round(loss, 5)})
    optimizer.finalize_variable_values(head.trainable_variables)  # the moving averages of the weights
    return _calibrated(networks.whole(pool.statistics, head), pool.at_once, pictures, log)


def _calibrated(network: Any, at_once: int, pictures: Pictures, log: Sequence[dict[str, Any]]) -> Detector:
    def logits(images: Pixels) -> Logits:
        starts = range(0, len(images), at_once)
        parts = [network(floats(images[start : start + at_once]), training=False) for start in starts]
        return np.concatenate([np.asarray(part) for part in parts])[:, 0]

    rng = np.random.default_rng(0)
    fakes = [pictures.fake_beside(part, part.calibration, rng) for part in pictures.seen]
    fake = np.concatenate([logits(disturb.at_random(images, rng)) for images in fakes])
    real = pictures.real_beside(pictures.seen, pictures.real.calibration, rng)
    temperature = scores.temperature(logits(disturb.at_random(real, rng)), fake)
    changed = [real, *(disturb.by(real, kind, rng) for kind in disturb.KINDS)]
    threshold, interval = min(scores.threshold(scores.sigmoid(logits(images) / temperature)) for images in changed)
    return Detector(_with_scores(network, temperature), logits, temperature, threshold, interval, tuple(log))


def _with_scores(network: Any, temperature: float) -> Any:
    x = layers.Rescaling(1 / temperature, name="temperature")(network.output)
    x = layers.Activation("sigmoid", name="sigmoid")(x)
    return keras.Model(network.input, layers.Reshape((), name="scores")(x), name="detector")


def _step(head: Any, optimizer: Any) -> Any:
    """One step of the optimiser on statistics (N, any) and labels float32 (N, 1), 1 for real; gives the loss."""

    @tf.function  # type: ignore[untyped-decorator]
    def step(numbers: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = head(numbers, training=True)
            loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, logits))
        weights = head.trainable_variables
        optimizer.apply(tape.gradient(loss, weights), weights)
        return loss

    return step
