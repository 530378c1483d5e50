"""Pictures, and beside them those of a style that they are to take on: two sources, and nothing says which belong
together.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from gentrain.data.dataset import Dataset, Frame
from gentrain.errors import TrainError, UsageError
from gentrain.sources.pictures import suffixes
from gentrain.sources.tree import ending

FEWEST = 2
MANY = "a style is learned from some hundreds of pictures, or of one by its patches: --style FILE"

Read = Callable[[str, Frame], Dataset]


def read(source: str, frame: Frame, read_one: Read) -> Dataset:
    """The images of `frame.style`, whose `inputs` are those of the source: of one size, all grey or all in colour.

    Args:
        source: the pictures that are to take on a style.
        frame: how both are prepared; a style that is a single picture is taken by its patches.
        read_one: `gentrain.sources.read`.

    Raises:
        UsageError: both are the same images, or the source brings or makes inputs of its own.
        TrainError: either cannot be read, or is fewer than two images.
    """
    if frame.input_from:
        raise UsageError("--from makes inputs of the images, and --style takes them as they are; give one of them")
    alone = replace(frame, style="", labels="none", captions="")
    pictures, look = read_one(source, alone), frame.style
    if os.path.isfile(look) and ending(look) in suffixes():
        look, alone = f"patches:{look}", replace(alone, resolution=pictures.images.shape[1])
    style = read_one(look, alone)
    if pictures.columns:
        raise UsageError(f"{source}: pairs need no --style; name the pictures alone as --data")
    if pictures.fingerprint == style.fingerprint:
        raise UsageError(f"--style {frame.style}: the very images of --data {source}; nothing is to be learned")
    for found in (pictures, style):
        if len(found.images) < FEWEST:
            raise TrainError(f"{found.source}: {len(found.images)} image; {MANY}")
    side = min(found.images.shape[1] for found in (pictures, style))
    channels = max(found.images.shape[3] for found in (pictures, style))
    shape, notes = (side, side, channels), []
    if pictures.images.shape[3] != style.images.shape[3]:
        grey = min(pictures, style, key=lambda found: found.images.shape[3]).source
        notes.append(f"{grey} is grey and the other in colour: both are taken in colour, --channels 1 makes them grey")
        alone = replace(alone, channels=3)
    both = []
    for name, found in ((source, pictures), (look, style)):
        if found.images.shape[1] != side:
            notes.append(f"{found.source} is brought to {side}×{side}, as the other is")
        again = found.images.shape[1:] != shape
        both.append(read_one(name, replace(alone, resolution=side)) if again else found)
    pictures, style = both
    return replace(style, inputs=pictures, notes=(*style.notes, *notes))
