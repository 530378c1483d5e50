"""From pixels to pictures: PNG files and grids of many images.

Pixels come as uint8 (N, H, W, C). It makes no images and decides no names. Thousands of pictures: outputs/png.py.
"""

from __future__ import annotations

import io
import math
import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from genclient.errors import ClientError

__all__ = ["check_channels", "clip_rows", "factor", "grid", "laid_out", "picture", "png"]

COMFORTABLE = 512
"""Pixels of a grid's longer side, about, unless specified."""

MOST_FACTOR = 64

GAP = 2
"""Pixels between images that are laid out for people."""

LETTERS = 12
"""Height of captions in pixels."""


def factor(images: NDArray[np.uint8], columns: int, rows: int) -> int:
    """How many times images (N, H, W, C) are enlarged, so that a grid's longer side is nearly `COMFORTABLE`."""
    longer = max(images.shape[1] * rows, images.shape[2] * columns)
    return min(MOST_FACTOR, max(1, round(COMFORTABLE / longer)))


def laid_out(
    images: NDArray[np.uint8],
    columns: int | None = None,
    rows: int | None = None,
    *,
    scale: int | None = None,
    captions: Sequence[str] = (),
) -> NDArray[np.uint8]:
    """One picture of images (N, H, W, C) for people: enlarged without blur, with thin white gaps, perhaps captions.

    Args:
        images: uint8.
        columns: nearly as many as rows, unless they are given.
        rows: as many as are needed, unless they are given.
        scale: how wide a pixel is; None: so that the picture is about 512 wide or high. 1 without captions: the bare
            pixels, as `grid` has them.
        captions: a line below each image.

    Raises:
        ClientError: captions, with other than 1, 3 or 4 channels.
    """
    n, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = rows or -(-n // columns)
    if scale == 1 and not captions:
        return grid(images, columns, rows)
    scale = scale or factor(images, columns, rows)
    high, wide = height * scale + (LETTERS + 2 if captions else 0) + GAP, width * scale + GAP
    canvas = np.full((rows * high - GAP, columns * wide - GAP, channels), 255, np.uint8)
    if channels == 4 and not captions:
        canvas[..., 3] = 0
    for place, image in enumerate(images):
        top, left = place // columns * high, place % columns * wide
        large = image.repeat(scale, axis=0).repeat(scale, axis=1)
        canvas[top : top + height * scale, left : left + width * scale] = large
    if not captions:
        return canvas
    corners = [(place % columns * wide, place // columns * high + height * scale) for place in range(n)]
    return _captioned(canvas, corners, captions, width * scale)


def _captioned(
    canvas: NDArray[np.uint8], corners: Sequence[tuple[int, int]], captions: Sequence[str], width: int
) -> NDArray[np.uint8]:
    """A line of black letters below each corner, cut to a width."""
    from PIL import ImageDraw, ImageFont

    drawn, font = picture(canvas), ImageFont.load_default(LETTERS - 1)
    pen = ImageDraw.Draw(drawn)
    for (left, top), caption in zip(corners, captions, strict=True):
        # Pillow's own font has few letters beside ASCII.
        plain = "".join(c for c in unicodedata.normalize("NFKD", caption) if not unicodedata.combining(c))
        text = plain.encode("ascii", "replace").decode()
        while text and pen.textlength(text, font) > width:
            text = text[:-1]
        pen.text((left + width / 2, top + LETTERS), text, (0,) * len(drawn.getbands()[:3]), font, "ms")
    return np.asarray(drawn, np.uint8).reshape(canvas.shape)


def grid(images: NDArray[np.uint8], columns: int | None = None, rows: int | None = None) -> NDArray[np.uint8]:
    """One picture (rows·H, columns·W, C) of images (N, H, W, C), row by row.

    There are nearly as many rows as columns, unless they are given. Places that are left over are black.
    """
    n, height, width, channels = images.shape
    columns = columns or math.ceil(math.sqrt(n))
    rows = rows or -(-n // columns)
    cells = np.zeros((rows * columns, height, width, channels), np.uint8)
    cells[:n] = images
    tiled = cells.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    canvas: NDArray[np.uint8] = tiled.reshape(rows * height, columns * width, channels)
    return canvas


def clip_rows(clips: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Clips (N, T, H, W, C) as pictures (N, H, T·W and gaps, C): the frames of each side by side."""
    n, frames, height, width, channels = clips.shape
    gap = np.full((n, frames, height, GAP, channels), 255, np.uint8)
    cells = np.concatenate([clips, gap], axis=3).swapaxes(1, 2)
    return cells.reshape(n, height, frames * (width + GAP), channels)[:, :, :-GAP]


def check_channels(channels: int) -> None:
    """See that images can become pictures.

    Raises:
        ClientError: there are other than 1, 3 or 4 channels.
    """
    if channels not in (1, 3, 4):
        raise ClientError(f"images: found {channels} channels, expected 1, 3 or 4 for PNG; an .npz file takes any")


def picture(image: NDArray[np.uint8]) -> Image.Image:
    """Pixels (H, W, C), C 1, 3 or 4, as Pillow's image: grey, RGB or RGBA.

    Raises:
        ClientError: there are other than 1, 3 or 4 channels.
    """
    check_channels(image.shape[-1])
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def png(image: NDArray[np.uint8], text: Mapping[str, str]) -> bytes:
    """A PNG file of pixels (H, W, C) with C 1, 3 or 4, and `text` as its text fields.

    Raises:
        ClientError: there are other than 1, 3 or 4 channels.
    """
    fields = PngInfo()
    for key, value in text.items():
        fields.add_itxt(key, value)
    content = io.BytesIO()
    picture(image).save(content, "PNG", pnginfo=fields)
    return content.getvalue()
