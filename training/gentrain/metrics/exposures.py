"""Clips as pictures that show how they move: three frames behind each other as red, green and blue.

What stands still is grey, and what moves leaves coloured edges, as in photographs taken through a Harris shutter. So
all that is measured of pictures is measured of clips, copies among them. Two baselines go with it: the same frames in
another order, and the first one held.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from gentrain.metrics.features import Images

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset

GREY = np.array([0.299, 0.587, 0.114], np.float32)
PIECE = 500


def exposed(images: Images) -> Images:
    """Clips uint8 (N, T, H, W, C) → uint8 (N, H, W, 3); pictures (N, H, W, C) stay as they are.

    The frames are that in the middle, and one an eighth of the clip before and behind it.
    """
    if images.ndim == 4:
        return images
    count = images.shape[1]
    apart = max(1, count // 8)
    first = min(max(count // 2 - apart, 0), max(count - 1 - 2 * apart, 0))
    numbers = np.minimum(first + apart * np.arange(3), count - 1)
    parts = [_grey(images[at : at + PIECE, numbers]) for at in range(0, len(images), PIECE)]
    return np.ascontiguousarray(np.moveaxis(np.concatenate(parts), 1, -1))


def of(dataset: Dataset) -> Dataset:
    """The data set with such pictures in the place of clips."""
    return dataclasses.replace(dataset, images=exposed(dataset.images), known_fingerprint=None)


def shuffled(clips: Images) -> Images:
    """Each clip's frames in another order."""
    random = np.random.default_rng(0)
    return np.stack([clip[random.permutation(len(clip))] for clip in clips])


def held(clips: Images) -> Images:
    """The first frame of each, repeated."""
    return np.repeat(clips[:, :1], clips.shape[1], axis=1)


def _grey(frames: Images) -> Images:
    """Uint8 (…, 1 or 3) → (…)."""
    return frames[..., 0] if frames.shape[-1] == 1 else np.rint(frames @ GREY).astype(np.uint8)
