"""Images and labels of a .npz file, as numpy.savez writes it; nothing in it is ever unpickled."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from functools import partial
from typing import IO, Any, NamedTuple

import numpy as np

from gentrain.dataset import Append, Contents, Frame, Labels, Pixels, Show, Source
from gentrain.errors import TrainError
from gentrain.sources import arrays
from gentrain.sources.classes import classes_of_numbers
from gentrain.sources.folder import file_identity
from gentrain.sources.pictures import shown

IMAGES = ("images", "x", "x_train", "train_images", "arr_0")
LABELS = ("labels", "y", "y_train", "train_labels", "arr_1")

# How far rounding may carry a float beyond its range.
TOLERANCE = 1e-3


class Scale(NamedTuple):
    """uint8 = round((value + offset) · factor), and a note on it."""

    offset: float
    factor: float
    note: str


def open(path: str) -> Source:
    """Images (N, H, W) or (N, H, W, C), C = 1, 3 or 4: uint8, other numbers from 0 to 255, or floats.

    Args:
        path: a file with the arrays `images` (or x, x_train, train_images, arr_0), optionally `labels` (or y, y_train,
            train_labels, arr_1) of integers (N,) and `class_names`. Floats lie in [0, 1] or [-1, 1]; a note says which.

    Raises:
        TrainError: no such file; when decoding, arrays of another shape, kind or length.
    """
    return Source(shown(path), f"npz {file_identity(path)}", partial(_decode, path))


def fits(path: str) -> bool:
    """Whether `path` is named so."""
    return path.lower().endswith(".npz")


def _decode(path: str, frame: Frame, append: Append, show: Show) -> Contents:
    name = shown(path)
    try:
        with zipfile.ZipFile(path) as archive:
            return _decode_archive(archive, name, frame, append, show)
    except (OSError, ValueError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile) as error:
        raise TrainError(f"{name}: damaged, or no .npz file: {error}") from error


def _decode_archive(archive: zipfile.ZipFile, name: str, frame: Frame, append: Append, show: Show) -> Contents:
    present = {entry.removesuffix(".npy") for entry in archive.namelist()}
    key = next((key for key in IMAGES if key in present), None)
    if key is None:
        raise TrainError(f"{name}: no array {' or '.join(IMAGES)}; it has {', '.join(sorted(present)) or 'nothing'}")
    images = _Array(archive, key, name)
    count, height, width, channels = _image_shape(images, name)
    label_key = next((key for key in LABELS if key in present), None)
    labels: Labels | None = None
    names: tuple[str, ...] = ()
    notes = [f"images from {key}, labels from {label_key or 'nowhere'}"]
    if label_key:
        labels, names, more = _labels(_Array(archive, label_key, name), _class_names(archive, present, name), count)
        notes += more
    scale = _scale(images)
    if scale.note:
        notes.append(scale.note)
    pieces = (_to_uint8(piece, scale).reshape(-1, height, width, channels) for piece in images.pieces())
    arrays.decode(pieces, (width, height), channels, count, frame, append, show)
    return Contents(labels, names, notes=tuple(notes))


class _Array:
    """One array of the file, read in pieces."""

    def __init__(self, archive: zipfile.ZipFile, key: str, file: str) -> None:
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


def _class_names(archive: zipfile.ZipFile, present: set[str], name: str) -> tuple[str, ...]:
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


def _scale(images: _Array) -> Scale:
    """How the values become 0 to 255, from the least and the greatest of them."""
    if images.dtype == np.uint8:
        return Scale(0, 1, "")
    if images.dtype == np.bool_:
        return Scale(0, 255, "images are true or false, taken as white or black")
    where = f"{images.file}: {images.key}"
    if images.dtype.kind not in "iuf":
        raise TrainError(f"{where} holds {images.dtype}, expected uint8 or floats")
    least, most = math.inf, -math.inf
    for piece in images.pieces():
        if images.dtype.kind == "f" and not np.isfinite(piece).all():
            raise TrainError(f"{where} has values that are not finite")
        least, most = min(least, float(piece.min())), max(most, float(piece.max()))
    if images.dtype.kind in "iu":
        if least >= 0 and most <= 255:
            return Scale(0, 1, "")
        raise TrainError(f"{where} holds {images.dtype} from {least:g} to {most:g}, expected 0 to 255")
    if least >= -TOLERANCE and most <= 1 + TOLERANCE:
        return Scale(0, 255, "images are floats, taken as from 0 to 1")
    if least >= -1 - TOLERANCE and most <= 1 + TOLERANCE:
        return Scale(1, 127.5, "images are floats, taken as from -1 to 1")
    raise TrainError(f"{where} holds floats from {least:g} to {most:g}, expected [0, 1] or [-1, 1] (or uint8)")


def _to_uint8(piece: np.ndarray[Any, Any], scale: Scale) -> Pixels:
    if piece.dtype == np.uint8:
        return piece
    if piece.dtype.kind in "iu":
        return piece.astype(np.uint8)
    values = (piece.astype(np.float32) + scale.offset) * scale.factor
    return np.rint(np.clip(values, 0, 255)).astype(np.uint8)
