"""IDX files, as MNIST and its kin are published: grey images in one file, labels in another, both usually gzipped."""

from __future__ import annotations

import builtins
import gzip
import os
import struct
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple, cast

import numpy as np

from gentrain.data.dataset import Append, Contents, Frame, Labels, Pixels, Show, Source
from gentrain.errors import TrainError
from gentrain.sources import arrays
from gentrain.sources.classes import classes_of_numbers
from gentrain.sources.folder import file_identity, holds_images, names_in
from gentrain.sources.pictures import shown

IMAGES, LABELS = "images-idx3", "labels-idx1"


class Pair(NamedTuple):
    """A file of images and, where there is one, that of their labels."""

    images: Path
    labels: Path | None
    notes: tuple[str, ...]


def open(path: str, class_names: tuple[str, ...] = (), name: str = "") -> Source:
    """Images of an IDX file, or of the folder that holds it; labels from the file named alike.

    Args:
        path: a file whose name contains `images-idx3`, or a folder with one (a training set is preferred).
        class_names: what the labels mean; without them classes are named by their numbers.
        name: of the source, if not `path`.

    Raises:
        TrainError: no such file; when decoding, a wrong magic number, or a length that is not what the header says.
    """
    pair = _pair(Path(path))
    identity = f"idx {file_identity(str(pair.images))} {class_names}"
    if pair.labels:
        identity += f" {file_identity(str(pair.labels))}"
    return Source(name or shown(path), identity, partial(_decode, pair, class_names))


def fits(path: str) -> bool:
    """Whether `path` is an IDX file of images, or a folder with one."""
    if os.path.isdir(path):
        return bool(_image_files(Path(path))) and not holds_images(path)
    return IMAGES in os.path.basename(path) and os.path.exists(path)


def _image_files(folder: Path) -> list[Path]:
    return sorted(folder / name for name in names_in(str(folder)) if IMAGES in name and not name.startswith("."))


def _pair(path: Path) -> Pair:
    notes: tuple[str, ...] = ()
    if path.is_dir():
        files = _image_files(path)
        if not files:
            raise TrainError(f"{shown(path)}: no file whose name contains {IMAGES}")
        path = next((file for file in files if "train" in file.name), files[0])
        notes += tuple(f"{shown(file.name)} is left out" for file in files if file != path)
    if IMAGES not in path.name:
        raise TrainError(f"{shown(path)}: not named as IDX images are: {IMAGES} is missing in its name")
    labels = path.with_name(path.name.replace(IMAGES, LABELS))
    for candidate in (labels, labels.with_name(labels.name.removesuffix(".gz")), Path(f"{labels}.gz")):
        if candidate.exists():
            return Pair(path, candidate, notes)
    return Pair(path, None, (*notes, f"no {shown(labels.name)} beside the images, so there are no classes"))


def _decode(pair: Pair, class_names: tuple[str, ...], frame: Frame, append: Append, show: Show) -> Contents:
    labels, names, notes = None, class_names, pair.notes
    if pair.labels:
        labels, names, more = _labels(pair.labels, class_names)
        notes += more
    with _opened(pair.images) as file:
        count, height, width = _header(file, pair.images, dimensions=3)
        if labels is not None and len(labels) != count:
            raise TrainError(f"{shown(pair.labels or '')}: {len(labels)} labels for {count} images")
        if not count * height * width:
            raise TrainError(f"{shown(pair.images)}: no images in it ({count} of {width}×{height} pixels)")
        pieces = _pieces(file, pair.images, count, height, width)
        arrays.decode(pieces, (width, height), 1, count, frame, append, show)
    return Contents(labels, names if labels is not None else (), notes=notes)


def _labels(path: Path, class_names: tuple[str, ...]) -> tuple[Labels, tuple[str, ...], tuple[str, ...]]:
    with _opened(path) as file:
        (count,) = _header(file, path, dimensions=1)
        numbers = np.frombuffer(_exactly(file, path, count), np.uint8)
        _refuse_more(file, path)
    if not class_names:
        return classes_of_numbers(numbers)
    if count and numbers.max() >= len(class_names):
        raise TrainError(f"{shown(path)}: label {numbers.max()} where there are {len(class_names)} classes")
    return numbers.astype(np.int32), class_names, ()


def _pieces(file: IO[bytes], path: Path, count: int, height: int, width: int) -> Iterator[Pixels]:
    for start in range(0, count, arrays.PIECE):
        rows = min(arrays.PIECE, count - start)
        yield np.frombuffer(_exactly(file, path, rows * height * width), np.uint8).reshape(rows, height, width, 1)
    _refuse_more(file, path)


def _opened(path: Path) -> IO[bytes]:
    with builtins.open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    return cast("IO[bytes]", gzip.open(path)) if zipped else builtins.open(path, "rb")


def _header(file: IO[bytes], path: Path, dimensions: int) -> tuple[int, ...]:
    """The sizes; the magic number says: two zeros, unsigned bytes (8), the number of dimensions."""
    magic = _exactly(file, path, 4)
    if magic != bytes((0, 0, 8, dimensions)):
        raise TrainError(
            f"{shown(path)}: magic number {magic.hex()}, expected {bytes((0, 0, 8, dimensions)).hex()}: "
            f"unsigned bytes in {dimensions} dimension{'s' * (dimensions > 1)}"
        )
    return struct.unpack(f">{dimensions}I", _exactly(file, path, 4 * dimensions))


def _exactly(file: IO[bytes], path: Path, size: int) -> bytes:
    try:
        content = file.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise TrainError(f"{shown(path)}: damaged or cut short: {error}") from error
    if len(content) != size:
        raise TrainError(f"{shown(path)}: shorter than its header says")
    return content


def _refuse_more(file: IO[bytes], path: Path) -> None:
    try:
        more = file.read(1)
    except (OSError, EOFError, zlib.error) as error:
        raise TrainError(f"{shown(path)}: damaged or cut short: {error}") from error
    if more:
        raise TrainError(f"{shown(path)}: longer than its header says")
