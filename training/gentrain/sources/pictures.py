"""From an image file, as people have them, to a square of uint8 pixels. Pillow and nothing else."""

from __future__ import annotations

import contextlib
import os
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gentrain.dataset import Frame, Pixels

GREY_MODES = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L"}
COMMON_FORMATS = ("JPEG", "PNG", "WEBP")
ALPHA_MODES = {"RGBA", "LA", "PA", "La", "RGBa"}

# A file that claims more pixels than this is a decompression bomb, not a photograph (Pillow's own limit).
LARGEST_IMAGE_PIXELS = 89_478_485

# Large JPEG files are decoded at a half, a quarter or an eighth, never below this many times the side that is wanted.
REDUCING_GAP = 3


class Header(NamedTuple):
    """What settles the frame of a data set: (width, height) in pixels, and whether the image is grey."""

    size: tuple[int, int]
    grey: bool


class Unfit(Exception):
    """Why an image is passed over, in words for the user."""


@cache
def _formats() -> tuple[str, ...]:
    Image.init()
    # Reading EPS runs Ghostscript on the file. Tried in this order, so that most files are known at once.
    return tuple(sorted(set(Image.ID) - {"EPS"}, key=lambda name: (name not in COMMON_FORMATS, name)))


@cache
def suffixes() -> frozenset[str]:
    """Lower-case endings, with the dot, of files that Pillow may read."""
    return frozenset(ending.lower() for ending, name in Image.registered_extensions().items() if name in _formats())


def _open(file: str | IO[bytes]) -> Image.Image:
    image = Image.open(file, formats=_formats())
    if image.width * image.height > LARGEST_IMAGE_PIXELS:
        raise Unfit(f"{image.width}×{image.height} pixels are too many")
    return image


def header(file: str | IO[bytes], frame: Frame) -> Header:
    """Size and colours of an image without decoding its pixels; raises nearly anything on broken files."""
    with _open(file) as image:
        mode = image.mode
        if mode == "P" and image.palette is not None and image.palette.mode == "L":
            mode = "L"
        grey = mode in GREY_MODES
        if grey and len(set(frame.background_rgb)) > 1:
            grey = not (mode in ALPHA_MODES or "transparency" in image.info)
        return Header(image.size, grey)


def square(file: str | IO[bytes], frame: Frame, side: int, channels: int) -> Pixels:
    """The first frame of an image as uint8 (side, side, channels): upright, opaque, cropped, antialiased.

    Grey, RGB, palette, CMYK and 16-bit images are taken; embedded colour profiles are not applied. Raises nearly
    anything on broken files; `reason` puts it into words.
    """
    with _open(file) as opened:
        opened.draft(None, (REDUCING_GAP * side, REDUCING_GAP * side))
        opened.load()
        image: Image.Image = opened
        with contextlib.suppress(Exception):  # a broken note on how the camera was held spoils no pixels
            image = ImageOps.exif_transpose(opened)
        return to_square(_flat(image, frame.background_rgb), side, channels, frame.crop)


def to_square(image: Image.Image, side: int, channels: int, crop: str = "center") -> Pixels:
    """Crop to the centre square (or not at all) and resize with antialiasing to uint8 (side, side, channels)."""
    image = image.convert("RGB" if channels == 3 else "L")
    if image.size != (side, side):
        edge = min(image.size)
        left, top = (image.width - edge) // 2, (image.height - edge) // 2
        box = (left, top, left + edge, top + edge) if crop == "center" else None
        image = image.resize((side, side), Image.Resampling.LANCZOS, box=box, reducing_gap=float(REDUCING_GAP))
    return np.asarray(image, np.uint8).reshape(side, side, channels)


def _flat(image: Image.Image, background: tuple[int, int, int]) -> Image.Image:
    """Without transparency, 8 bits a channel."""
    if image.mode.startswith("I"):
        return Image.fromarray(_sixteen_to_eight_bits(np.asarray(image)))
    if image.mode == "F":
        raise Unfit("floating point pixels: their range is unknown")
    if "transparency" in image.info or image.mode in ALPHA_MODES:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image)
    return image


def _sixteen_to_eight_bits(pixels: np.ndarray[Any, Any]) -> Pixels:
    if pixels.min() < 0 or pixels.max() > 65535:
        raise Unfit("32-bit pixels: their range is unknown")
    return np.rint(pixels.astype(np.float32) / 257.0).astype(np.uint8)


def reason(error: Exception) -> str:
    """Why an image is passed over, from whatever Pillow raised."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow can read"
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return shown(str(error).splitlines()[0]) if str(error) else type(error).__name__


def shown(name: str | Path) -> str:
    """A name that can be printed and stored, whatever bytes the file system holds."""
    text = os.fspath(name)
    with contextlib.suppress(UnicodeEncodeError):  # half a surrogate pair, which no file system gives
        text = os.fsencode(text).decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
