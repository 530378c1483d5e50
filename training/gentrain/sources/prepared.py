"""Inputs of a translation made of the images themselves, where there are no pairs: what is to be undone is done here.

An outline is to become a picture again, a grey picture one in colour, a blurred one sharp, a small one large, and one
with a hole whole. Everything follows from the pixels and the image's number, so it is the same every time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from gentrain.data.dataset import Append, Contents, Frame, Pixels, Show, Source
from gentrain.errors import TrainError

BLUR = 1 / 32  # the radius, of the side
SHRUNK = 4  # times smaller
HOLE = (1 / 4, 1 / 2)  # the least and the greatest side of the hole, of the side
HOLE_GREY = 128
FAINTEST, STRONGEST = 24.0, 120.0  # slopes that leave no line and a black one, in grey levels

SEED = 20_261_128


def with_inputs(source: Source, kind: str) -> Source:
    """The same source, whose images bring along an input called `image`, made of each by this preparation.

    Args:
        source: any source of images.
        kind: a name of `PREPARATIONS`.
    """
    prepare = PREPARATIONS[kind]

    def decode(frame: Frame, append: Append, show: Show) -> Contents:
        done = 0

        def both(images: Pixels, /, **beside: Pixels) -> None:
            nonlocal done
            if "image" in beside:
                raise TrainError(f"{source.name}: brings its own inputs; --from makes them of images without")
            if kind == "grey" and images.shape[-1] == 1:
                raise TrainError(f"{source.name}: the images are grey already; --from grey needs colour")
            append(images, image=prepare(images, done), **beside)
            done += len(images)

        contents = source.decode(frame, both, show)
        return replace(contents, notes=(f"inputs: {kind}, made of each of {done} images", *contents.notes))

    return Source(source.name, source.identity, decode)


def outline(images: Pixels, first: int = 0) -> Pixels:
    """Dark lines on white where colours change: uint8 (N, H, W, any) → (N, H, W, 1)."""
    padded = np.pad(images.astype(np.float32), ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    down = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    across = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    slope = np.hypot(down[:, :, 2:] - down[:, :, :-2], across[:, 2:] - across[:, :-2]).max(axis=3, keepdims=True) / 4
    line = np.clip((slope - FAINTEST) / (STRONGEST - FAINTEST), 0, 1)
    return np.rint(255 * (1 - line)).astype(np.uint8)


def grey(images: Pixels, first: int = 0) -> Pixels:
    """Without colour: uint8 (N, H, W, 3) → (N, H, W, 1)."""
    return _each(images, lambda image: image.convert("L"))


def blur(images: Pixels, first: int = 0) -> Pixels:
    """Out of focus, as by a Gaussian of a 32nd of the side."""
    filtered = ImageFilter.GaussianBlur(images.shape[1] * BLUR)
    return _each(images, lambda image: image.filter(filtered))


def small(images: Pixels, first: int = 0) -> Pixels:
    """A quarter of the size, and enlarged again."""

    def shrunk(image: Image.Image) -> Image.Image:
        size = image.size
        return image.reduce(SHRUNK).resize(size, Image.Resampling.BICUBIC)

    return _each(images, shrunk)


def mask(images: Pixels, first: int = 0) -> Pixels:
    """With a grey hole, whose place follows from the number of the image."""
    found, side = images.copy(), images.shape[1]
    least, most = (max(1, round(part * side)) for part in HOLE)
    for number, image in enumerate(found, first):
        height, width, top, left = np.random.default_rng([SEED, number]).random(4)
        height, width = (least + round(part * (most - least)) for part in (height, width))
        top, left = round(top * (side - height)), round(left * (side - width))
        image[top : top + height, left : left + width] = HOLE_GREY
    return found


def _each(images: Pixels, change: Callable[[Image.Image], Image.Image]) -> Pixels:
    changed: list[np.ndarray[Any, Any]] = []
    for pixels in images:
        found = np.asarray(change(Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)), np.uint8)
        changed.append(found[..., None] if found.ndim == 2 else found)
    return np.stack(changed)


PREPARATIONS: dict[str, Callable[[Pixels, int], Pixels]] = {
    "outline": outline,
    "grey": grey,
    "blur": blur,
    "small": small,
    "mask": mask,
}
