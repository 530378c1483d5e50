"""From a generator's output to pixels: uint8 images (N, H, W, C). Not for files of pictures: grid.py."""

from __future__ import annotations

import io
import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genclient.errors import ClientError

if TYPE_CHECKING:
    from PIL import Image

MAX_PIXELS = 2**28
"""Pixels in one response of PNG pictures, whose few bytes can claim any size."""

DEFLATE_RATIO = 1032
"""What a byte of a PNG picture can unpack to, at most (zlib.net/feldspar.html)."""

Range = tuple[float, float]
UNIT: Range = (0.0, 1.0)
SIGNED: Range = (-1.0, 1.0)
BYTES: Range = (0.0, 255.0)

_CHANNELS = (1, 2, 3, 4)


def to_pixels(images: NDArray[Any], name: str, value_range: Range = UNIT) -> NDArray[np.uint8]:
    """uint8 images (N, H, W, C) of floats in `value_range`, rounded to the nearest of 0…255.

    Values outside are clipped, and uint8 stays. Channels may come first, (N, C, H, W), where they cannot be last;
    (N, H, W) is grey.

    Raises:
        ClientError: the shape is none of these, the dtype neither float nor uint8, or a value is not finite.
    """
    images = channels_last(images, name)
    if images.dtype == np.uint8:
        return images
    low, high = value_range
    limits(images, name)
    with np.errstate(over="ignore"):  # what float32 cannot hold is clipped like the rest
        scaled = np.subtract(images, np.float32(low), dtype=np.float32)
        scaled *= np.float32(255 / (high - low))
    np.rint(scaled, out=scaled)
    np.clip(scaled, 0, 255, out=scaled)
    return scaled.astype(np.uint8)


def channels_last(images: NDArray[Any], name: str) -> NDArray[Any]:
    """Images as (N, H, W, C), whichever way they came.

    Raises:
        ClientError: they are not images by their shape, or neither float nor uint8.
    """
    if images.ndim == 3 and images.size:
        images = images[..., None]
    if images.ndim != 4 or not images.size:
        raise ClientError(f"{name}: found shape {images.shape}, expected (N, H, W, C) with no size 0")
    if images.dtype != np.uint8 and images.dtype.kind != "f":
        raise ClientError(f"{name}: found dtype {images.dtype}, expected floats in [0, 1] or uint8")
    if images.shape[1] in (1, 3, 4) and images.shape[3] not in _CHANNELS:
        return np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    return images


def limits(images: NDArray[Any], name: str) -> tuple[float, float]:
    """The lowest and the highest value of an array of floats; NaN and infinities come through here too.

    Raises:
        ClientError: not all are finite.
    """
    low, high = float(images.min()), float(images.max())
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ClientError(f"{name}: found values that are not finite numbers, expected floats in [0, 1]")
    return low, high


def range_of(low: float, high: float) -> Range:
    """The range that images with these limits are in, with room for what a network gives beyond 0 and 1."""
    if low < -0.1:
        return SIGNED if low >= -1.1 and high <= 1.1 else UNIT
    return BYTES if high > 2 else UNIT


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
    for content, picture in zip(pictures, opened, strict=True):
        if picture.width * picture.height // 8 > DEFLATE_RATIO * len(content):
            raise ClientError(f"{name}: found a picture of {picture.size} pixels in {len(content)} bytes, too few")
    try:
        images = np.stack([np.asarray(picture) for picture in opened])
    except Exception as error:
        raise ClientError(f"{name}: a PNG picture is damaged: {error}") from None
    return images if images.ndim == 4 else images[..., None]


def _open(content: Any, name: str) -> Image.Image:
    """A picture of which only the head has been read."""
    from PIL import Image

    if isinstance(content, bytes) and content[12:16] == b"IHDR" and len(content) >= 24:
        width, height = struct.unpack(">II", content[16:24])
        # Pillow only warns of sizes from here to twice that.
        if width * height > (Image.MAX_IMAGE_PIXELS or MAX_PIXELS):
            raise ClientError(f"{name}: found a picture of a size that is refused: {width} × {height} pixels")
    try:
        picture = Image.open(io.BytesIO(content), formats=["PNG"])
    except Exception:  # which ones a damaged file raises is not bounded
        raise ClientError(f"{name}: found an element that is no PNG picture") from None
    if picture.mode not in ("L", "RGB", "RGBA"):
        raise ClientError(f"{name}: found a PNG picture of mode {picture.mode}, expected L, RGB or RGBA")
    return picture
