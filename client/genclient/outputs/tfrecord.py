"""Records of TFRecord shards, each a tf.train.Example, written without TensorFlow, for `tf.data.TFRecordDataset`.

Features: `image/encoded` (PNG), `image/format`, `image/height`, `image/width`, `image/channels`, `seed` (or `latents`,
the row) and, where there are such, `label` and `text`. Sources: TensorFlow's record_writer.cc and example.proto.
"""

from __future__ import annotations

import functools
import itertools
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

from genclient.outputs import crc32c

_LOT = 256
"""Records that are checked at a time."""

_BYTES = [bytes([value]) for value in range(0x80)]


def example(features: Mapping[str, bytes | int]) -> bytes:
    """A serialised tf.train.Example of one value a feature, in the order of their names."""
    return _field(
        1,
        b"".join(
            [
                number(name, value) if isinstance(value, int) else _content(name, value)
                for name, value in sorted(features.items())
            ]
        ),
    )


def framed(records: Sequence[bytes]) -> list[bytes]:
    """Records as they stand in a file: length, its checksum, content, its checksum."""
    lengths = [struct.pack("<Q", len(record)) for record in records]
    return [
        b"".join((length, struct.pack("<I", of_length), record, struct.pack("<I", of_record)))
        for length, of_length, record, of_record in zip(
            lengths, crc32c.masked(lengths), records, crc32c.masked(records), strict=True
        )
    ]


def records(file: IO[bytes]) -> Iterator[bytes]:
    """Records of a file as `framed` writes them.

    Raises:
        ValueError: it is damaged, or ends too early.
    """
    while lot := list(itertools.islice(_unframed(file), _LOT)):
        heads, contents, checksums = zip(*lot, strict=True)
        if struct.unpack(f"<{len(checksums)}I", b"".join(checksums)) != tuple(crc32c.masked(contents)):
            raise ValueError("damaged")
        if struct.unpack("<" + "8xI" * len(heads), b"".join(heads)) != tuple(crc32c.masked([h[:8] for h in heads])):
            raise ValueError("damaged")
        yield from contents


def _unframed(file: IO[bytes]) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Length with its checksum, content and checksum of each record."""
    rest = os.fstat(file.fileno()).st_size - file.tell()
    while rest:
        head = file.read(12)
        size = int.from_bytes(head[:8], "little")
        rest -= 16 + size
        if rest < 0:
            raise ValueError("ends too early")
        yield head, file.read(size), file.read(4)


def _content(name: str, value: bytes) -> bytes:
    return _entry(name, _field(1, _field(1, value)))  # bytes_list { value }


@functools.lru_cache(4096)
def number(name: str, value: int) -> bytes:
    """A feature of one whole number, as it stands in an `example`."""
    return _entry(name, _field(3, _field(1, _varint(value & 2**64 - 1))))  # int64_list { value }, packed


def _entry(name: str, feature: bytes) -> bytes:
    """An entry of the map of features: key, value."""
    return _field(1, _field(1, name.encode()) + _field(2, feature))


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes."""
    return b"".join((_varint(number << 3 | 2), _varint(len(content)), content))


def _varint(value: int) -> bytes:
    if value < 0x80:
        return _BYTES[value]
    content = bytearray()
    while value > 0x7F:
        content.append(value & 0x7F | 0x80)
        value >>= 7
    content.append(value)
    return bytes(content)
