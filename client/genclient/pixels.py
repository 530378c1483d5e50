"""From what a generator answers to pixels: uint8 images (N, H, W, C). Not for files of pictures: sheets.py."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genclient.errors import ClientError

MAX_PIXELS = 2**28
"""Pixels in one reply of PNG pictures, whose few bytes can claim any size."""


def to_pixels(images: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """uint8 images of floats in [0, 1], rounded to the nearest of 0…255; values outside are clipped; uint8 stays.

    Raises:
        ClientError: the shape is not (N, H, W, C), the dtype neither float nor uint8, or a value is not finite.
    """
    if images.ndim != 4 or not images.size:
        raise ClientError(f"{name}: found shape {images.shape}, expected (N, H, W, C) with no size 0")
    if images.dtype == np.uint8:
        return images
    if images.dtype.kind != "f":
        raise ClientError(f"{name}: found dtype {images.dtype}, expected floats in [0, 1] or uint8")
    if not np.isfinite(images).all():
        raise ClientError(f"{name}: found values that are not finite numbers, expected floats in [0, 1]")
    scaled = np.clip(images, 0, 1).astype(np.float32) * np.float32(255)
    rounded: NDArray[np.uint8] = np.rint(scaled).astype(np.uint8)
    return rounded


def decode_pngs(pictures: NDArray[Any], name: str) -> NDArray[np.uint8]:
    """uint8 images of an array of PNG files, grey, RGB or RGBA.

    Raises:
        ClientError: an element is no such file, sizes differ, or together they exceed MAX_PIXELS.
    """
    if pictures.ndim != 1 or not len(pictures):
        raise ClientError(f"{name}: found shape {pictures.shape}, expected (N,) with N above 0")
    opened = [_open(picture, name) for picture in pictures]
    kinds = {(picture.size, picture.mode) for picture in opened}
    if len(kinds) > 1:
        raise ClientError(f"{name}: found pictures of different kinds {sorted(kinds)}, expected one")
    if sum(picture.width * picture.height for picture in opened) > MAX_PIXELS:
        raise ClientError(f"{name}: found {len(opened)} pictures of {opened[0].size} pixels, more than {MAX_PIXELS}")
    try:
        images = np.stack([np.asarray(picture) for picture in opened])
    except (OSError, ValueError, SyntaxError) as error:
        raise ClientError(f"{name}: a PNG picture is damaged: {error}") from None
    return images if images.ndim == 4 else images[..., None]


def _open(content: Any, name: str) -> Image.Image:
    """A picture of which only the head has been read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            picture = Image.open(io.BytesIO(content), formats=["PNG"])
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise ClientError(f"{name}: found a picture of a size that is refused: {error}") from None
    except (OSError, ValueError, TypeError, SyntaxError):
        raise ClientError(f"{name}: found an element that is no PNG picture") from None
    if picture.mode not in ("L", "RGB", "RGBA"):
        raise ClientError(f"{name}: found a PNG picture of mode {picture.mode}, expected L, RGB or RGBA")
    return picture
