"""From pixels to files: PNG sheets and single pictures, npz archives; each appears whole under its name or not at all.

Pixels come as uint8 (N, H, W, C). It makes no images and decides no names but a picture's within its folder.
"""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from genclient.errors import ClientError


def grid(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """One picture (rows·H, columns·W, C) of images (N, H, W, C), nearly as many rows as columns, row by row.

    Places that are left over are black.
    """
    n, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(n))
    rows = -(-n // columns)
    cells = np.zeros((rows * columns, height, width, channels), np.uint8)
    cells[:n] = images
    tiled = cells.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    sheet: NDArray[np.uint8] = tiled.reshape(rows * height, columns * width, channels)
    return sheet


def png(image: NDArray[np.uint8], text: Mapping[str, str]) -> bytes:
    """A PNG file of pixels (H, W, C) with C 1, 3 or 4, and `text` as its text fields.

    Raises:
        ClientError: there are other than 1, 3 or 4 channels.
    """
    channels = image.shape[-1]
    if channels not in (1, 3, 4):
        raise ClientError(f"images: found {channels} channels, expected 1, 3 or 4 for PNG; an .npz file takes any")
    fields = PngInfo()
    for key, value in text.items():
        fields.add_itxt(key, value)
    content = io.BytesIO()
    Image.fromarray(image[..., 0] if channels == 1 else image).save(content, "PNG", pnginfo=fields)
    return content.getvalue()


def picture_name(seed: int) -> str:
    """The file name of one seed's picture: `seed0006.png`."""
    return f"seed{seed:04d}.png"


def save_bytes(path: Path, content: bytes) -> None:
    """Write a file; errors as in `save_npz`."""
    _replace(path, lambda file: file.write(content))


def save_npz(path: Path, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Write an npz archive of arrays by name, without compression.

    Raises:
        ClientError: the folder or the file cannot be written.
    """
    _replace(path, lambda file: np.savez(file, allow_pickle=False, **arrays))


def _replace(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Make the parent folders, write beside the place and rename; whatever interrupts leaves nothing behind."""
    beside = path.with_name(f".genclient-{os.getpid()}.tmp")  # two processes may write to one folder
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                write(file)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise ClientError(f"cannot write {path}: {error.strerror or error}") from None
