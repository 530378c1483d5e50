"""Where images come from. A source is one module with `open`, and one line in `SOURCES`.

A source is named by its name (`digits`), by its name and a path (`celeba:faces.zip`), or by the path alone, where
what lies there decides which it is.

sources     digits, fashion_mnist, folder, zipped, tarred, npz, idx, parquet, tfrecord, celeba, emoji, pairs, patches
inputs      prepared.py: those of translations, made of the images where there are no pairs; unpaired.py: pictures
            beside those of a style, which may be patches of one
folders     tree.py and layout.py: what files, folders and tables (tables.py) mean; splits.py, classes.py, captions.py
clips       clips.py: from a folder or a file; motion.py decodes and cuts them; moving_digits.py, hopping_digits.py
pictures    pictures.py: from a file to a square; values.py: more than 8 bits; encoded.py: many files; arrays.py
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import NamedTuple

from gentrain.data import cache
from gentrain.data.dataset import SIDES, Dataset, Frame, Show, Source
from gentrain.errors import TrainError, UsageError
from gentrain.sources import (
    celeba,
    clips,
    digits,
    emoji,
    fashion_mnist,
    folder,
    hopping_digits,
    idx,
    moving_digits,
    npz,
    pairs,
    parquet,
    patches,
    prepared,
    tarred,
    tfrecord,
    unpaired,
    zipped,
)
from gentrain.sources.pictures import shown


class Kind(NamedTuple):
    """How to open a kind of source, and whether one lies at a path; None for a kind that takes no path."""

    open: Callable[[str], Source]
    fits: Callable[[str], bool] | None = None


def _never(path: str) -> bool:
    """For what looks like another kind, and must be named."""
    return False


# A path is taken for the first kind that fits.
SOURCES: dict[str, Kind] = {
    "digits": Kind(digits.open),
    "fashion-mnist": Kind(fashion_mnist.open),
    "npz": Kind(npz.open, npz.fits),
    "zip": Kind(zipped.open, zipped.fits),
    "tar": Kind(tarred.open, tarred.fits),
    "parquet": Kind(parquet.open, parquet.fits),
    "tfrecord": Kind(tfrecord.open, tfrecord.fits),
    "idx": Kind(idx.open, idx.fits),
    "celeba": Kind(celeba.open, _never),
    "emoji": Kind(emoji.open, emoji.fits),
    "pairs": Kind(pairs.open, _never),
    "patches": Kind(patches.open, _never),
    "folder": Kind(folder.open, folder.fits),
}

# Sets of clips that are named.
CLIPS: dict[str, Callable[[], Source]] = {"moving-digits": moving_digits.open, "hopping-digits": hopping_digits.open}


def find(source: str) -> Source:
    """The source that is meant, not yet decoded: its files are listed; raises as `read`."""
    name, _, path = source.partition(":")
    if name in CLIPS and not os.path.exists(source):
        raise UsageError(f"{shown(source)} are clips: --frames 16 says how many frames each is to have")
    named = SOURCES.get(name)
    if named and named.fits is None:
        if path:
            raise UsageError(f"{shown(source)}: {name} takes no path")
        return named.open("")
    if named and path:
        return named.open(path)
    for kind in SOURCES.values():
        if kind.fits is not None and kind.fits(source):
            return kind.open(source)
    if os.path.exists(source):
        raise TrainError(f"{shown(source)}: not a folder of images, nor any other kind of data: {', '.join(SOURCES)}")
    if named:
        raise UsageError(f"{name} needs a path: {name}:PATH")
    raise TrainError(f"{shown(source)}: no such data source: neither a known name ({', '.join(SOURCES)}) nor a path")


def read(
    source: str,
    frame: Frame,
    show: Show = lambda done, total: None,
    find: Callable[[str], Source] = find,
) -> Dataset:
    """All images of a source, decoded; from the cache if they were decoded before.

    Args:
        source: `NAME`, `NAME:PATH` or a path (`./digits` for a folder with such a name); the names are `SOURCES`.
        frame: their size, channels and crop.
        show: called with the progress of a decoding.
        find: what finds the source; of clips and of a style they are found as ever.

    Returns:
        Images uint8 (N, H, W, C), or clips (N, T, H, W, C), mapped from the cache and read-only, with all that is known
        about them. With a style
        in the frame they are those of the style, and the source's own are their `inputs`.

    Raises:
        UsageError: a name without the path that it needs; a side of pictures that are not side by side.
        TrainError: no such source, nothing in it, more than half of it broken, or no place to keep the images.

    Example:
    ```python
    dataset = read("photos/", Frame(resolution=64, crop="pad"))
    dataset.images.shape  # (N, 64, 64, 3)
    dataset.class_names  # ("cat", "dog")
    ```
    """
    if frame.input_side != SIDES[0] and not pairs.are_side_by_side(source):
        raise UsageError(f"--side {frame.input_side} is for pictures side by side, pairs:FOLDER, not {shown(source)}")
    if frame.style:
        return unpaired.read(source, frame, lambda each, alone: read(each, alone, show))
    found = _moving(source) if frame.frames else find(source)
    if frame.input_from:
        found = prepared.with_inputs(found, frame.input_from)
    return cache.decoded(found, frame, show)


def _moving(source: str) -> Source:
    """The clips that are meant: a named set, else what lies at a path; raises as `read`."""
    if source in CLIPS:
        return CLIPS[source]()
    name, _, path = source.partition(":")
    if name in SOURCES and path and not os.path.exists(source):
        raise UsageError(f"{shown(source)}: --frames cuts clips from a folder or a file, or is for {', '.join(CLIPS)}")
    if not os.path.exists(source):
        raise TrainError(f"{shown(source)}: no such clips: neither {', '.join(CLIPS)} nor a path")
    return clips.open(source)
