"""From pixels to pictures: PNG files and sheets of many images.

Pixels come as uint8 (N, H, W, C). It makes no images and decides no names. Thousands of pictures: outputs/png.py.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from genclient.errors import ClientError
from genclient.files import save_bytes

__all__ = ["check_channels", "grid", "picture", "png", "save_bytes"]


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
    sheet: NDArray[np.uint8] = tiled.reshape(rows * height, columns * width, channels)
    return sheet


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
