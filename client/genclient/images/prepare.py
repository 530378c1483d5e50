"""Pictures of any size as a model wants them, where the model does not do it itself: as training did."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageColor

from genclient.errors import UsageError
from genclient.images.arrays import flat

_REDUCING_GAP = 3.0  # as in training: pictures are averaged first, but not below this many times the size


@dataclass(frozen=True)
class Preprocessing:
    """How training brought pictures to size, as interface.json says it.

    Attributes:
        crop: center, the largest part in the middle; none, all of it, squeezed; pad, all of it, with borders.
        background: a colour in Pillow's words, of borders and behind what is transparent.
        resize: lanczos, or nearest: without mixing pixels.
    """

    crop: str = "center"
    background: str = "white"
    resize: str = "lanczos"

    @classmethod
    def of(cls, entries: Any) -> Preprocessing:
        """Of a `preprocessing` in interface.json; where that says nothing that can be meant, as training does."""
        entries = entries if isinstance(entries, Mapping) else {}
        given = {key: entries[key] for key in ("crop", "background", "resize") if isinstance(entries.get(key), str)}
        try:
            ImageColor.getrgb(given.get("background", "white"))
        except ValueError:
            del given["background"]
        return cls(**given)


def prepared(
    content: bytes, shape: tuple[int | None, ...], preprocessing: Preprocessing | None = None
) -> NDArray[np.uint8]:
    """Pixels (H, W, C) of a file that `pictures.load` gave: upright, over the background, brought to size.

    Args:
        content: of the file.
        shape: (H, W, C) of the model; where H or W is not known, the picture keeps its size.
        preprocessing: None: its middle, over white, with Lanczos.
    """
    height, width, channels = shape
    how = preprocessing or Preprocessing()
    return fitted(flat(content, channels or 3, how.background), height, width, how)


def fitted(
    image: NDArray[np.uint8], height: int | None, width: int | None, preprocessing: Preprocessing | None = None
) -> NDArray[np.uint8]:
    """An image (h, w, C) as (height, width, C): by default the largest part in the middle that has the proportions."""
    how = preprocessing or Preprocessing()
    if height is None or width is None or image.shape[:2] == (height, width):
        return image
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    if how.crop == "pad":
        picture = _padded(picture, height, width, how.background)
    box = _middle(picture, height, width) if how.crop != "none" else (0, 0, *picture.size)
    if how.resize == "nearest":
        resized = picture.resize((width, height), Image.Resampling.NEAREST, box=box)
    else:
        resized = picture.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=_REDUCING_GAP)
    return np.asarray(resized, np.uint8).reshape(height, width, -1)


def _middle(picture: Image.Image, height: int, width: int) -> tuple[int, int, int, int]:
    wide, high = picture.size
    kept_high, kept_wide = min(high, max(1, wide * height // width)), min(wide, max(1, high * width // height))
    top, left = (high - kept_high) // 2, (wide - kept_wide) // 2
    return left, top, left + kept_wide, top + kept_high


def _padded(picture: Image.Image, height: int, width: int, background: str) -> Image.Image:
    """In the middle of the smallest picture of the proportions that holds it."""
    wide, high = picture.size
    size = max(wide, high * width // height), max(high, wide * height // width)
    canvas = Image.new("RGB", size, background).convert(picture.mode)
    canvas.paste(picture, ((size[0] - wide) // 2, (size[1] - high) // 2))
    return canvas


def hint_pixels(content: bytes, size: tuple[int | None, ...]) -> NDArray[np.uint8]:
    """Hints (H, W, 4), colours and a mask, of a picture file whose opaque pixels they are; none are lost or blurred.

    Raises:
        UsageError: it is no picture.
    """
    try:
        with Image.open(io.BytesIO(content)) as opened:
            picture = opened.convert("RGBA")
    except (OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"hints: found what is no picture: {error}") from None
    height, width = (given or own for given, own in zip(size, (picture.height, picture.width), strict=True))
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.NEAREST)
    pixels = np.array(picture)
    pixels[..., 3] = np.where(pixels[..., 3] >= 128, 255, 0)
    pixels[..., :3][pixels[..., 3] == 0] = 0
    return pixels
