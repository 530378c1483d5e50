"""Images and labels of a .npz or .npy file, as NumPy writes them; nothing in them is ever unpickled."""

from __future__ import annotations

import builtins
import math
import os
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import IO, Any, NamedTuple, Protocol

import numpy as np

from gentrain.data.dataset import Append, Contents, Frame, Labels, Show, Source
from gentrain.errors import TrainError
from gentrain.sources import arrays, splits
from gentrain.sources.classes import classes_of_numbers
from gentrain.sources.folder import file_identity
from gentrain.sources.pictures import shown
from gentrain.sources.values import Extremes, Range, describe, extremes, judge

IMAGES = ("images", "x", "x_{split}", "{split}_images", "arr_0")
LABELS = ("labels", "y", "y_{split}", "{split}_labels", "arr_1")
SPLIT_WORDS = {"train": ("train",), "validation": ("val", "valid", "validation"), "test": ("test",)}


class Archive(Protocol):
    """Named .npy files: a .npz, or some that lie loose."""

    def namelist(self) -> list[str]: ...

    def open(self, name: str) -> IO[bytes]: ...


class Scale(NamedTuple):
    """How numbers become 0 to 255, a note on it, or what was found in them where that is worth a word."""

    range: Range
    note: str = ""
    found: Extremes | None = None


def open(path: str) -> Source:
    """Images (N, H, W) or (N, H, W, C), C = 1, 3 or 4: uint8, other numbers from 0 to 255, or floats.

    Args:
        path: a .npz file with the arrays `images` (or x, x_train, train_images, arr_0), optionally `labels` (or y,
            y_train, train_labels, arr_1) of integers (N,) and `class_names`; or a .npy file of images, with the labels
            in one named alike: labels.npy beside images.npy, y_train.npy beside x_train.npy. Which numbers are black
            and white is judged from all of them, and reported.

    Raises:
        TrainError: no such file; when decoding, arrays of another shape, kind or length.
    """
    labels = _labels_beside(path)
    identity = f"npz {file_identity(path)}" + (f" {file_identity(labels)}" if labels else "")
    return Source(shown(path), identity, partial(_decode, path))


def fits(path: str) -> bool:
    """Whether `path` is named so."""
    return path.lower().endswith((".npz", ".npy"))


def _labels_beside(path: str) -> str | None:
    """The .npy file of labels that goes with a .npy file of images, if there is one."""
    folder, name = os.path.split(path)
    stem = name[:-4]
    candidates = (
        re.sub("images", "labels", stem),
        re.sub(r"^[xX](?![a-zA-Z])", "y", stem),
        f"{stem}_labels",
        f"{stem}-labels",
    )
    files = (os.path.join(folder, f"{candidate}.npy") for candidate in candidates if candidate != stem)
    return next((file for file in files if os.path.isfile(file)), None) if path.lower().endswith(".npy") else None


class _Loose:
    """.npy files looked at as an archive of them."""

    def __init__(self, files: dict[str, str]) -> None:
        self.files = files

    def namelist(self) -> list[str]:
        return list(self.files)

    def open(self, name: str) -> IO[bytes]:
        return builtins.open(self.files[name], "rb")


def _decode_loose(path: str, frame: Frame, append: Append, show: Show) -> Contents:
    labels = _labels_beside(path)
    files = {"images.npy": path} | ({"labels.npy": labels} if labels else {})
    contents = _decode_archive(_Loose(files), shown(path), frame, append, show)
    note = f"labels from {shown(os.path.basename(labels))}" if labels else "no labels"
    return replace(contents, notes=(note, *contents.notes[1:]))


def _decode(path: str, frame: Frame, append: Append, show: Show) -> Contents:
    name = shown(path)
    try:
        if path.lower().endswith(".npy"):
            return _decode_loose(path, frame, append, show)
        with zipfile.ZipFile(path) as archive:
            return _decode_archive(archive, name, frame, append, show)
    except (OSError, ValueError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile) as error:
        raise TrainError(f"{name}: damaged, or no .npz file: {error}") from error


def _decode_archive(archive: Archive, name: str, frame: Frame, append: Append, show: Show) -> Contents:
    present = {entry.removesuffix(".npy") for entry in archive.namelist()}
    split, others = _split(present, frame.split, name)
    images_keys = _keys(IMAGES, split)
    key = next((key for key in images_keys if key in present), None)
    if key is None:
        raise TrainError(
            f"{name}: no array {' or '.join(images_keys)}; it has {', '.join(sorted(present)) or 'nothing'}"
        )
    images = _Array(archive, key, name)
    count, height, width, channels = _image_shape(images, name)
    label_key = next((key for key in _keys(LABELS, split) if key in present), None)
    labels: Labels | None = None
    names: tuple[str, ...] = ()
    notes = [f"images from {key}, {f'labels from {label_key}' if label_key else 'no labels'}"]
    if others:
        notes.append(f"not taken: {', '.join(others)}; --split chooses")
    if label_key:
        labels, names, more = _labels(_Array(archive, label_key, name), _class_names(archive, present, name), count)
        notes += more
    scale = _scale(images, frame)
    if scale.note:
        notes.append(scale.note)
    pieces = (scale.range.to_uint8(piece).reshape(-1, height, width, channels) for piece in images.pieces())
    arrays.decode(pieces, (width, height), channels, count, frame, append, show)
    ranges = {f"{images.dtype} numbers": describe(scale.found, scale.range)} if scale.found else {}
    return Contents(
        labels, names, (), tuple(notes), label_key or "", split=split if others else "", value_ranges=ranges
    )


def _split(present: set[str], requested: str, name: str) -> tuple[str, list[str]]:
    """The split that is taken of arrays such as x_train and x_test, and the arrays of images of the others."""
    keys = {split: [key for key in _keys(IMAGES[2:4], split) if key in present] for split in SPLIT_WORDS}
    found = [split for split in keys if keys[split]]
    if len(found) < 2 or any(key in present for key in IMAGES[:2]):
        return (found[0] if found else "train"), []
    if requested == "all":
        raise TrainError(f"{name}: its splits are arrays of their own and are not joined; --split takes one")
    (chosen,) = (found[i] for i in splits.choose(found, requested, name, "arrays").positions)
    return chosen, [keys[split][0] for split in found if split != chosen]


def _keys(names: tuple[str, ...], split: str) -> list[str]:
    return [name.format(split=word) for name in names for word in SPLIT_WORDS.get(split, (split,))]


class _Array:
    """One array of the file, read in pieces."""

    def __init__(self, archive: Archive, key: str, file: str) -> None:
        self.archive, self.key, self.file = archive, key, file
        with archive.open(f"{key}.npy") as stream:
            self.shape, self.by_columns, self.dtype = _header(stream)
        if self.dtype.hasobject:
            raise TrainError(f"{file}: {key} holds Python objects; save numbers (or, for names, strings)")

    def whole(self) -> np.ndarray[Any, Any]:
        with self.archive.open(f"{self.key}.npy") as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)

    def pieces(self) -> Iterator[np.ndarray[Any, Any]]:
        """The array (N, …) in pieces (n, …) of at most `arrays.PIECE` rows."""
        if self.by_columns:
            whole = self.whole()
            yield from (whole[i : i + arrays.PIECE] for i in range(0, len(whole), arrays.PIECE))
            return
        row_bytes = self.dtype.itemsize * math.prod(self.shape[1:])
        with self.archive.open(f"{self.key}.npy") as stream:
            _header(stream)
            for start in range(0, self.shape[0], arrays.PIECE):
                rows = min(arrays.PIECE, self.shape[0] - start)
                content = stream.read(rows * row_bytes)
                if len(content) != rows * row_bytes:
                    raise TrainError(f"{self.file}: {self.key} is shorter than its header says")
                yield np.frombuffer(content, self.dtype).reshape(rows, *self.shape[1:])


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(stream)


def _image_shape(images: _Array, name: str) -> tuple[int, int, int, int]:
    shape = images.shape if len(images.shape) == 4 else (*images.shape, 1)
    if len(shape) != 4 or shape[-1] not in (1, 3, 4) or not math.prod(shape):
        hint = "; channels come last" if len(shape) == 4 and shape[1] in (1, 3) else ""
        raise TrainError(
            f"{name}: {images.key} has the shape {images.shape}, expected (N, H, W) or (N, H, W, 1, 3 or 4){hint}"
        )
    return shape[0], shape[1], shape[2], shape[3]


def _class_names(archive: Archive, present: set[str], name: str) -> tuple[str, ...]:
    if "class_names" not in present:
        return ()
    array = _Array(archive, "class_names", name).whole()
    if array.ndim != 1 or array.dtype.kind not in "US":
        raise TrainError(f"{name}: class_names must be strings (K,), got {array.dtype} {array.shape}")
    names = tuple(shown(n.decode("utf-8", "surrogateescape") if isinstance(n, bytes) else str(n)) for n in array)
    if len(set(names)) < len(names):
        raise TrainError(f"{name}: class_names has the same name twice")
    return names


def _labels(array: _Array, class_names: tuple[str, ...], count: int) -> tuple[Labels, tuple[str, ...], tuple[str, ...]]:
    where = f"{array.file}: {array.key}"
    if array.shape not in ((count,), (count, 1)):
        raise TrainError(f"{where} has the shape {array.shape}, expected ({count},): one label an image")
    if array.dtype.kind not in "iu":
        raise TrainError(f"{where} holds {array.dtype}, expected integers")
    numbers = array.whole().reshape(-1)
    if not class_names:
        return classes_of_numbers(numbers)
    if numbers.min() < 0 or numbers.max() >= len(class_names):
        raise TrainError(f"{where} go from {numbers.min()} to {numbers.max()}, but class_names has {len(class_names)}")
    return numbers.astype(np.int32), class_names, ()


def _scale(images: _Array, frame: Frame) -> Scale:
    """How the values become 0 to 255, from the least and the greatest of them."""
    if images.dtype == np.uint8 and not frame.low_and_high:
        return Scale(Range(0, 255))
    if images.dtype == np.bool_:
        return Scale(Range(0, 1), "images are true or false, taken as white or black")
    where = f"{images.file}: {images.key}"
    if images.dtype.kind not in "iuf":
        raise TrainError(f"{where} holds {images.dtype}, expected numbers")
    found = _extremes(images, where)
    if found.whole and found.least >= 0 and found.most <= 255 and not frame.low_and_high:
        return Scale(Range(0, 255))
    range = judge(found, frame)
    if (low_and_high := (range.low, range.high)) in ((0, 1), (-1, 1)) and not frame.low_and_high:
        return Scale(range, f"images are floats, taken as from {low_and_high[0]:g} to 1")
    return Scale(range, found=found)


def _extremes(images: _Array, where: str) -> Extremes:
    try:
        found = [extremes(piece) for piece in images.pieces()]
    except ValueError as error:
        raise TrainError(f"{where} {error}") from None
    return Extremes(min(one.least for one in found), max(one.most for one in found), found[0].whole)
