"""Parquet files with a column of encoded images, as Hugging Face's `datasets` keeps them: {bytes, path} and a label."""

from __future__ import annotations

import contextlib
import glob
import io
import json
import os
from collections.abc import Iterator
from functools import partial
from typing import IO, Any, NamedTuple

from gentrain.data.dataset import Append, Contents, Frame, Show, Source
from gentrain.data.sizes import SMALLEST_SIDE
from gentrain.errors import TrainError
from gentrain.sources import captions, encoded, splits
from gentrain.sources.classes import LabelsMet
from gentrain.sources.encoded import Item
from gentrain.sources.folder import file_identity
from gentrain.sources.pictures import Unfit, shown, suffixes
from gentrain.sources.tree import ending, in_memory

IMAGE_COLUMNS = ("image", "img", "images", "image_bytes", "bytes", "jpg", "png", "pixel_values")
LABEL_COLUMNS = ("label", "labels", "class", "fine_label", "category", "target")
ROWS = 64
PARQUET = ".parquet"


class Columns(NamedTuple):
    """The column of the images, those of labels and captions, if there are any, and the names of the classes."""

    image: str
    label: str | None
    names: tuple[str, ...]
    text: str | None


def open(path: str) -> Source:
    """The images of a parquet file, of a folder of them, or of a pattern; classes from the label column.

    Raises:
        ModuleNotFoundError: pyarrow is not installed.
        TrainError: no such file; when decoding, a damaged one, or one without a column of images.
    """
    files = _files(path)
    if not files:
        raise TrainError(f"{shown(path)}: no parquet files found")
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError:
        raise TrainError(f"{shown(path)}: parquet files need pyarrow: pip install pyarrow") from None
    identity = "parquet " + " ".join(file_identity(file) for file in files)
    return Source(shown(path), identity, partial(_decode, shown(path), files), partial(_images, shown(path), files))


def fits(path: str) -> bool:
    """Whether `path` is parquet files, or is a folder of them, as data sets are published, and not of images."""
    if any(ending(name) in suffixes() for name in _names(path)):  # ends at the first: there may be half a million
        return False
    return bool(_files(path))


def _names(path: str, deeper: bool = True) -> Iterator[str]:
    """Files in a folder and, if `deeper`, in those in it, hidden ones left out; none where `path` is no folder."""
    folders = []
    with contextlib.suppress(OSError), os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                folders.append(entry.path)
            elif entry.is_file():
                yield entry.path
    if deeper:
        for folder in folders:
            yield from _names(folder, deeper=False)


def _files(path: str) -> list[str]:
    found = _names(path) if os.path.isdir(path) else [path] if os.path.isfile(path) else glob.glob(path)
    return sorted(file for file in found if file.lower().endswith(PARQUET) and os.path.isfile(file))


def _decode(name: str, all_files: list[str], frame: Frame, append: Append, show: Show) -> Contents:
    import pyarrow
    import pyarrow.parquet

    files, split, notes = splits.shards(all_files, frame.split, name)
    try:
        columns = _columns(pyarrow.parquet.read_schema(files[0]), frame, name)
        total = sum(pyarrow.parquet.read_metadata(file).num_rows for file in files)
        classes = LabelsMet(name)
        rows = partial(_items, files, columns, classes)
        decoded = encoded.decode(name, rows, total, _load, frame, append, show)
        texts = _captions(files, columns.text, decoded.kept)
    except (pyarrow.ArrowException, OSError) as error:
        raise TrainError(f"{name}: damaged, or no parquet file: {str(error).splitlines()[0]}") from error
    if not total:
        raise TrainError(f"{name}: no rows in it")
    labels, names, more = classes.settle(decoded.labels) if columns.label else (None, (), ())
    found = f"column {columns.label}" if columns.label else ""
    ranges = decoded.value_ranges
    notes = (*notes, *more, *texts.notes)
    return Contents(
        labels, names, decoded.skipped, notes, found, split=split, value_ranges=ranges, columns=texts.columns
    )


def _images(name: str, files: list[str], most: int) -> Iterator[str | IO[bytes]]:
    import pyarrow.parquet

    columns = _columns(pyarrow.parquet.read_schema(files[0]), Frame(SMALLEST_SIDE, labels="none"), name)
    rows = (item.content for item in _items(files, columns, LabelsMet(name)))
    for content in encoded.thinned(rows, most):
        with contextlib.suppress(Unfit):
            yield _load(content)


def _captions(files: list[str], column: str | None, rows: list[int]) -> captions.Captions:
    import pyarrow.parquet

    if column is None:
        return captions.gathered((), "")
    values = [
        value for file in files for value in pyarrow.parquet.read_table(file, columns=[column])[column].to_pylist()
    ]
    return captions.gathered([captions.of_value(values[row]) for row in rows], f"column {column}")


def _columns(schema: Any, frame: Frame, name: str) -> Columns:
    """Which columns hold what: by Hugging Face's note in the schema, else by their names and types."""
    labels = frame.labels
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        features = {}
    kinds = {column: about.get("_type") for column, about in features.items() if isinstance(about, dict)}
    usual = [column for column in IMAGE_COLUMNS if column in schema.names and _holds_bytes(schema.field(column).type)]
    image = next((column for column, kind in kinds.items() if kind == "Image"), next(iter(usual), None))
    if image is None:
        raise TrainError(f"{name}: no column of images; it has {shown(', '.join(schema.names))}")
    if labels not in ("auto", "none", *schema.names):
        raise TrainError(f"{name}: --labels {labels}: no such column; it has {shown(', '.join(schema.names))}")
    classes = [column for column, kind in kinds.items() if kind == "ClassLabel"]
    label = next((column for column in (*LABEL_COLUMNS, *classes) if column in schema.names), None)
    if labels != "auto":
        label = None if labels == "none" else labels
    names = tuple(features.get(label, {}).get("names") or ()) if label else ()
    return Columns(image, label, names, captions.column(schema.names, frame.captions, name))


def _holds_bytes(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    return types.is_binary(kind) or types.is_large_binary(kind)


def _items(files: list[str], columns: Columns, classes: LabelsMet) -> Iterator[Item]:
    import pyarrow.parquet

    selected = [columns.image, *([columns.label] if columns.label else [])]
    for file in files:
        number = 0
        for batch in pyarrow.parquet.ParquetFile(file).iter_batches(ROWS, columns=selected):
            for row in batch.to_pylist():
                label = _label(row[columns.label], columns.names, classes) if columns.label else 0
                yield Item(f"{shown(os.path.basename(file))} row {number}", row[columns.image], label)
                number += 1


def _label(value: Any, names: tuple[str, ...], classes: LabelsMet) -> int:
    """The provisional number of a label: of none, too, where it is missing or below 0, as in test sets."""
    if isinstance(value, str):
        return classes.number(value.encode("utf-8", "surrogateescape"), None)
    if not isinstance(value, int) or value < 0:
        return classes.number(None, None)
    known = 0 <= value < len(names)
    return classes.number(value, names[value].encode("utf-8", "surrogateescape") if known else None)


def _load(content: Any) -> io.BytesIO:
    if isinstance(content, dict):
        content = content.get("bytes")
    if not isinstance(content, bytes):
        raise Unfit("no encoded image in this row")
    return in_memory(content)
