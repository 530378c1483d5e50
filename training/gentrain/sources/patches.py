"""A single picture as many: parts of several sizes at places all over it, for a style of which there is no more."""

from __future__ import annotations

from functools import partial

import numpy as np

from gentrain.data import sizes
from gentrain.data.dataset import Append, Contents, Frame, Show, Source
from gentrain.errors import TrainError
from gentrain.sources import pictures
from gentrain.sources.folder import file_identity
from gentrain.sources.pictures import shown

COUNT = 1000
SMALLEST = 1 / 3
"""The side of the smallest patches, of the largest that the picture holds; they are never enlarged."""

SEED = 20_261_128
CHUNK = 100


def open(path: str) -> Source:
    """A thousand patches of the picture at `path`, the same ones every time.

    Raises:
        TrainError: there is no such file; when decoding, it is no picture, or smaller than a patch is to be.
    """
    return Source(
        f"patches:{shown(path)}", f"patches {file_identity(path)}", partial(_decode, path), lambda most: iter([path])
    )


def _decode(path: str, frame: Frame, append: Append, show: Show) -> Contents:
    try:
        grey = pictures.header(path, frame).grey
        image = pictures.whole(path, frame)
    except Exception as error:  # Pillow's plugins raise nearly anything on broken files
        raise TrainError(f"{shown(path)}: {pictures.reason(error)}") from error
    (height, width), channels = frame.largest, frame.channels or (1 if grey else 3)
    across = sizes.kept(image.size, frame.largest)[0]
    if across < width:
        size = f"{image.width}×{image.height}"
        raise TrainError(f"{shown(path)}: {size} pixels are too few to take patches of {width}×{height} from")
    draw = np.random.default_rng(SEED).random((COUNT, 3))
    least = max(float(width), SMALLEST * across)
    for start in range(0, COUNT, CHUNK):
        parts = []
        for part, left, top in draw[start : start + CHUNK]:
            wide = round(least + part * (across - least))
            high = wide * height // width
            x, y = round(left * (image.width - wide)), round(top * (image.height - high))
            parts.append(pictures.to_size(image.crop((x, y, x + wide, y + high)), frame.largest, channels, frame))
        append(np.stack(parts))
        show(start + len(parts), COUNT)
    return Contents(notes=(f"{COUNT} patches of one picture of {image.width}×{image.height} pixels",))
