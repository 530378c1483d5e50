"""TFRecord files of tf.train.Example with encoded images, as the image pipelines of TensorFlow write them."""

from __future__ import annotations

import builtins
import contextlib
import glob
import io
import os
from collections.abc import Iterator
from functools import partial
from typing import IO, Any

from gentrain.data.dataset import Append, Contents, Frame, Show, Source
from gentrain.errors import TrainError
from gentrain.sources import encoded, splits
from gentrain.sources.classes import LabelsMet
from gentrain.sources.encoded import Item
from gentrain.sources.folder import file_identity, holds_images, names_in
from gentrain.sources.pictures import Unfit, shown

IMAGE_KEYS = ("image/encoded", "image", "image_raw", "encoded", "image_bytes", "img", "jpg", "jpeg", "png")
LABEL_KEYS = ("image/class/label", "label", "labels", "class", "image/label")
TEXT_KEYS = ("image/class/text", "label_text", "class_name", "class_text")


def open(path: str) -> Source:
    """Images of every record: JPEG, PNG or whatever else Pillow reads, under one of `IMAGE_KEYS`.

    Args:
        path: a file, a folder of files whose names contain `.tfrecord`, or a pattern such as `train-*`. GZIP is known
            by itself.

    Integers under one of `LABEL_KEYS` are classes, named by the text under one of `TEXT_KEYS`, or by their number.

    Raises:
        TrainError: no such file; when decoding, a damaged file (with the number of the record), records without an
            image, or one label with two names.
    """
    files = _files(path)
    if not files:
        raise TrainError(f"{shown(path)}: no TFRecord files found")
    identity = "tfrecord " + " ".join(file_identity(file) for file in files)
    return Source(shown(path), identity, partial(_decode, shown(path), files), partial(_images, shown(path), files))


def fits(path: str) -> bool:
    """Whether `path` is, or matches, files named so, or is a folder of them and not of images."""
    named_so = any(".tfrecord" in os.path.basename(file).lower() for file in _files(path))
    return named_so and not holds_images(path)


def _files(path: str) -> list[str]:
    if os.path.isdir(path):
        found = [os.path.join(path, name) for name in names_in(path) if ".tfrecord" in name.lower()]
    else:
        found = [path] if os.path.exists(path) else glob.glob(path)
    return sorted(file for file in found if os.path.isfile(file) and not os.path.basename(file).startswith("."))


def _decode(name: str, all_files: list[str], frame: Frame, append: Append, show: Show) -> Contents:
    files, split, split_notes = splits.shards(all_files, frame.split, name)
    classes = LabelsMet(name)

    def items() -> Iterator[Item]:
        for file in files:
            for number, record in enumerate(_records(file)):
                where = f"{shown(os.path.basename(file))} record {number}"
                yield _item(record, where, classes)

    decoded = encoded.decode(name, items, None, _load, frame, append, show)
    if not len(decoded.labels):
        raise TrainError(f"{name}: no records in it")
    labels, names, notes = classes.settle(decoded.labels)
    return Contents(
        labels, names, decoded.skipped, notes + split_notes, "records", split=split, value_ranges=decoded.value_ranges
    )


def _images(name: str, files: list[str], most: int) -> Iterator[str | IO[bytes]]:
    for record in encoded.thinned((record for file in files for record in _records(file)), most):
        with contextlib.suppress(Unfit):
            yield _load(_item(record, name, LabelsMet(name)).content)


def _records(file: str) -> Iterator[bytes]:
    from gentrain import quiet

    quiet.import_tensorflow()
    import tensorflow as tf

    records = tf.data.TFRecordDataset(file, compression_type=_compression(file)).as_numpy_iterator()
    number = 0
    while True:
        try:
            record = next(records)
        except StopIteration:
            return
        except tf.errors.OpError as error:
            raise TrainError(f"{shown(file)}: record {number} is damaged or cut short ({error.message})") from error
        yield record
        number += 1


def _compression(file: str) -> str:
    """GZIP or nothing; a first record of 559,903 bytes begins like GZIP, so that is tried the other way too."""
    import tensorflow as tf

    with builtins.open(file, "rb") as opened:
        if opened.read(3) != b"\x1f\x8b\x08":
            return ""
    try:
        next(tf.data.TFRecordDataset(file).as_numpy_iterator())
    except (tf.errors.OpError, StopIteration):
        return "GZIP"
    return ""


def _item(record: bytes, where: str, classes: LabelsMet) -> Item:
    import tensorflow as tf

    try:
        features = tf.train.Example.FromString(record).features.feature
    except Exception:  # of protobuf, of one kind or another
        return Item(where, Unfit("not a tf.train.Example"))
    number = classes.number(_first(features, LABEL_KEYS), _first(features, TEXT_KEYS, bytes))
    content = _first(features, IMAGE_KEYS, bytes)
    if content is None:
        return Item(where, Unfit(f"no encoded image; it has {shown(', '.join(sorted(features)) or 'nothing')}"), number)
    return Item(where, content, number)


def _first(features: Any, keys: tuple[str, ...], kind: type = object) -> Any:
    """The one integer or byte string under the first of these keys that has one, of this kind; else None."""
    for key in keys:
        if key in features:
            values = [*features[key].bytes_list.value, *features[key].int64_list.value]
            if len(values) == 1 and isinstance(values[0], kind):
                return values[0]
    return None


def _load(content: bytes | Unfit) -> io.BytesIO:
    if isinstance(content, Unfit):
        raise content
    return io.BytesIO(content)
