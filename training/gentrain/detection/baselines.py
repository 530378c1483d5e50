"""What a detector has to beat: a linear classifier of pixel statistics, and the discriminator that a run has kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gentrain.detection import disturb
from gentrain.detection.pictures import Pictures

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Judge = Callable[[Pixels], np.ndarray[Any, Any]]
"""Uint8 (N, H, W, C) → numbers (N,), higher for more real."""

BINS = 16  # of brightness, and of differences between neighbours
RIDGE = 1.0


def pixel_statistics(pictures: Pictures, seed: int = 0) -> Judge:
    """Least squares on brightness, differences of neighbours and spectrum, of what the detector learns from."""
    rng = np.random.default_rng([seed, 1])
    fakes = [pictures.fake_beside(part, part.training, rng) for part in pictures.seen]
    sets = [pictures.real_beside(pictures.seen, pictures.real.training, rng), np.concatenate(fakes)]
    x = np.concatenate([_statistics(disturb.at_random(images, rng)) for images in sets])
    y = np.repeat([1.0, -1.0], [len(images) for images in sets])
    weight = np.repeat([1 / len(images) for images in sets], [len(images) for images in sets]) * len(x) / 2
    mean, deviation = x.mean(axis=0), x.std(axis=0) + 1e-6
    z = np.c_[(x - mean) / deviation, np.ones(len(x))]
    found = np.linalg.solve((z * weight[:, None]).T @ z + RIDGE * np.eye(z.shape[1]), z.T @ (y * weight))
    return lambda images: np.c_[(_statistics(images) - mean) / deviation, np.ones(len(images))] @ found


def _statistics(images: Pixels) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Numbers (N, any) of uint8 (N, H, W, C)."""
    grey = images.astype(np.float64).mean(axis=3)
    across, down = np.abs(np.diff(grey, axis=2)), np.abs(np.diff(grey, axis=1))
    counts = [_histogram(values.reshape(len(images), -1)) for values in (grey, across, down)]
    return np.concatenate([*counts, _spectrum(grey)], axis=1)


def _histogram(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    bins = np.minimum(values * BINS / 256, BINS - 1).astype(np.int64) + BINS * np.arange(len(values))[:, None]
    return np.bincount(bins.ravel(), minlength=BINS * len(values)).reshape(-1, BINS) / values.shape[1]


def _spectrum(grey: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The logarithm of the mean power at each distance from zero frequency."""
    side = grey.shape[1]
    power = np.abs(np.fft.fft2(grey)) ** 2
    frequency = np.fft.fftfreq(side) * side
    ring = np.minimum(np.rint(np.hypot(frequency[:, None], frequency[None])), side // 2).astype(np.int64).ravel()
    sums = np.stack([np.bincount(ring, each.ravel(), side // 2 + 1) for each in power])
    return np.log1p(sums / np.bincount(ring, minlength=side // 2 + 1))


def discriminator(file: Path, shape: tuple[int, int, int]) -> Judge | None:
    """A run's own; None where it takes other pictures than these, or more than pictures."""
    import keras

    try:
        model = keras.models.load_model(file, compile=False)
    except Exception:  # zipfile, h5py, json and Keras each raise their own; the figure is left out
        return None
    if len(model.inputs) != 1 or tuple(model.inputs[0].shape[1:]) != shape:
        return None

    def judge(images: Pixels) -> np.ndarray[Any, Any]:
        parts = [np.asarray(model(part.astype(np.float32) / 127.5 - 1.0, training=False)) for part in _cut(images)]
        return np.concatenate(parts).reshape(len(images), -1).mean(axis=1)

    return judge


def _cut(images: Pixels) -> list[Pixels]:
    return [images[start : start + 256] for start in range(0, len(images), 256)]
