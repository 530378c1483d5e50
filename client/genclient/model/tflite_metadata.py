"""What a TFLite file says of itself in its metadata entry `genline`, without a package for flatbuffers.

The file may come from anywhere: every offset in it is checked before it is followed. Only what the client uses is read;
for the tensors ask LiteRT.
"""

from __future__ import annotations

import json
import struct
from dataclasses import dataclass
from typing import Any

from genclient.errors import ClientError
from genclient.images.prepare import Preprocessing
from genclient.model.vocabulary import Vocabulary

ENTRY = "genline"
"""Name of the metadata entry; its buffer holds JSON in UTF-8."""

# Numbers of fields in tables of the TFLite schema (tensorflow/lite/schema/schema.fbs).
_MODEL_BUFFERS, _MODEL_METADATA = 4, 6
_METADATA_NAME, _METADATA_BUFFER = 0, 1
_BUFFER_DATA, _BUFFER_OFFSET, _BUFFER_SIZE = 0, 1, 2


@dataclass(frozen=True)
class Metadata:
    """What the file says.

    Attributes:
        class_names: in the order of the labels.
        class_count: 0 where that is not said.
        truncation_at_most: the greatest truncation that it was checked with; None: any will do, or nothing is said.
        preprocessing: how pictures that it takes are brought to size; None: it does not say.
        vocabulary: of its tokens; None: it takes none, or does not say.
        frames_per_second: of clips; None: it makes none, or does not say.
        threshold: of a detector, the score below which a picture is called generated; None: it is none.
        false_alarms: the share of real pictures that are called so too; None: it does not say.
        false_alarms_interval: within which that share lies, with 95% confidence.
    """

    class_names: tuple[str, ...]
    class_count: int
    truncation_at_most: float | None = None
    preprocessing: Preprocessing | None = None
    vocabulary: Vocabulary | None = None
    frames_per_second: float | None = None
    threshold: float | None = None
    false_alarms: float | None = None
    false_alarms_interval: tuple[float, float] | None = None


def read(content: bytes, name: str) -> Metadata | None:
    """The entry of a TFLite file, or None where it has none; `name` is the file's, for errors.

    Raises:
        ClientError: the file or the entry is damaged.
    """
    try:
        text = _entry(_File(content))
    except (struct.error, _Damaged):
        raise ClientError(f"{name}: damaged: its metadata points outside the file") from None
    if text is None:
        return None
    try:
        entry = json.loads(text)
    except (ValueError, RecursionError):
        raise ClientError(f"{name}: metadata {ENTRY!r}: found {len(text)} bytes that are no JSON") from None
    return _checked(entry, name)


def _checked(entry: Any, name: str) -> Metadata:
    names = entry.get("class_names") or [] if isinstance(entry, dict) else None
    count = entry.get("class_count") or 0 if isinstance(entry, dict) else None
    if not isinstance(names, list) or not all(isinstance(item, str) for item in names):
        raise ClientError(f"{name}: metadata {ENTRY!r}: expected class_names, a list of names")
    if type(count) is not int or count < 0 or (names and count not in (0, len(names))):
        raise ClientError(f"{name}: metadata {ENTRY!r}: found class_count {count!r:.40}, {len(names)} class_names")
    latents = entry.get("latents")
    most = latents.get("truncation_at_most") if isinstance(latents, dict) else None
    if most is not None and (type(most) not in (int, float) or not 0 < most < float("inf")):
        raise ClientError(f"{name}: metadata {ENTRY!r}: found truncation_at_most {most!r:.40}, expected a number")
    try:
        vocabulary = Vocabulary.of(_input(entry, "tokens"))
    except ValueError as error:
        raise ClientError(f"{name}: metadata {ENTRY!r}: {error}") from None
    rate = entry.get("frames_per_second")
    if rate is not None and (type(rate) not in (int, float) or not 0 < rate < float("inf")):
        raise ClientError(f"{name}: metadata {ENTRY!r}: found frames_per_second {rate!r:.40}, expected a number")
    alarms = _share(entry, "false_alarms", name)
    described = (_preprocessing(entry), vocabulary, rate, _share(entry, "threshold", name), alarms, _interval(entry))
    return Metadata(tuple(names), count or len(names), most, *described)


def _share(entry: dict[str, Any], key: str, name: str) -> float | None:
    """A number from 0 to 1, or None where there is none."""
    value = entry.get(key)
    if value is not None and (type(value) not in (int, float) or not 0 <= value <= 1):
        raise ClientError(f"{name}: metadata {ENTRY!r}: found {key} {value!r:.40}, expected a number from 0 to 1")
    return value


def _interval(entry: dict[str, Any]) -> tuple[float, float] | None:
    found = entry.get("false_alarms_interval")
    if not isinstance(found, list) or len(found) != 2 or not all(type(each) in (int, float) for each in found):
        return None
    return found[0], found[1]


def _preprocessing(entry: dict[str, Any]) -> Preprocessing | None:
    """Of the input whose role is a picture."""
    picture = _input(entry, "image")
    return Preprocessing.of(picture.get("preprocessing")) if picture else None


def _input(entry: dict[str, Any], role: str) -> dict[str, Any]:
    """The input of that role as the interface describes it; empty where there is none."""
    interface = entry.get("interface")
    inputs = interface.get("inputs") if isinstance(interface, dict) else None
    tensors = [tensor for tensor in inputs if isinstance(tensor, dict)] if isinstance(inputs, list) else []
    return next((tensor for tensor in tensors if tensor.get("role") == role), {})


class _Damaged(Exception):
    """An offset leads out of the file."""


class _File:
    """Tables of a flatbuffer (https://flatbuffers.dev/internals): positions in bytes, 0 for a field that is absent."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def number(self, kind: str, position: int) -> int:
        if position < 0:  # struct would count from the end
            raise _Damaged
        value: int = struct.unpack_from(kind, self.content, position)[0]
        return value

    def field(self, table: int, index: int) -> int:
        vtable = table - self.number("<i", table)
        if 4 + 2 * index >= self.number("<H", vtable):
            return 0
        offset = self.number("<H", vtable + 4 + 2 * index)
        return table + offset if offset else 0

    def follow(self, position: int) -> int:
        return position + self.number("<I", position)

    def data(self, field: int) -> bytes:
        vector = self.follow(field)
        return self.slice(vector + 4, self.number("<I", vector))

    def slice(self, start: int, size: int) -> bytes:
        if start + size > len(self.content):
            raise _Damaged
        return self.content[start : start + size]

    def tables(self, field: int) -> list[int]:
        vector = self.follow(field)
        count = self.number("<I", vector)
        if 4 * count > len(self.content):
            raise _Damaged
        return [self.follow(vector + 4 + 4 * index) for index in range(count)]


def _entry(file: _File) -> bytes | None:
    model = file.follow(0)
    entries = file.field(model, _MODEL_METADATA)
    for entry in file.tables(entries) if entries else ():
        name = file.field(entry, _METADATA_NAME)
        if name and file.data(name) == ENTRY.encode():
            number = file.field(entry, _METADATA_BUFFER)
            return _buffer(file, model, file.number("<I", number) if number else 0)
    return None


def _buffer(file: _File, model: int, number: int) -> bytes:
    buffers = file.field(model, _MODEL_BUFFERS)
    tables = file.tables(buffers) if buffers else []
    if number >= len(tables):
        raise _Damaged
    data = file.field(tables[number], _BUFFER_DATA)
    if data:
        return file.data(data)
    # A large model keeps its buffers behind the flatbuffer.
    offset, size = (file.field(tables[number], index) for index in (_BUFFER_OFFSET, _BUFFER_SIZE))
    return file.slice(file.number("<Q", offset), file.number("<Q", size)) if offset and size else b""
