"""Records of WebDataset shards: tar files with KEY.png, KEY.json and, where there are such, KEY.cls and KEY.txt.

Of clips KEY.webp stands in the place of KEY.png.

Headers are the same whenever and by whomever they are written. Sources: POSIX ustar (pax, "ustar Interchange Format"),
WebDataset's naming (github.com/webdataset/webdataset, "The WebDataset Format").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO

_BLOCK = 512

# What stands in a header between name, size and checksum: mode, user and group; time; kind, format and the rest.
_OWNER = b"0000644\0" + b"0000000\0" * 2
_TIME = b"\0" + b"00000000000\0"
_REST = (b"\0 " + b"0" + bytes(100) + b"ustar\x0000").ljust(_BLOCK - 154, b"\0")
_SUM = sum(_OWNER) + sum(_TIME) + sum(_REST) - sum(b"\0 ") + 8 * ord(" ")  # as if the checksum's place were blank

END = bytes(2 * _BLOCK)
"""What a tar file ends with."""


def record(
    key: str, picture: bytes, about: str, label: int | None, text: str | None = None, suffix: str = "png"
) -> bytes:
    """The members of one image; `about` is JSON."""
    parts = [_member(f"{key}.{suffix}", picture), _member(f"{key}.json", about.encode())]
    if label is not None:
        parts.insert(1, _member(f"{key}.cls", str(label).encode()))
    if text is not None:
        parts.insert(-1, _member(f"{key}.txt", text.encode()))
    return b"".join(parts)


def members(file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of a shard as `record` writes them.

    Raises:
        ValueError: it is damaged, or ends too early or too late.
    """
    while (head := file.read(_BLOCK)) != bytes(_BLOCK):
        name, size = head[:100].rstrip(b"\0"), int(head[124:135], 8)
        content, filler = file.read(size), file.read(-size % _BLOCK)
        if head != _head(name, size) or len(content) < size or filler != bytes(-size % _BLOCK):
            raise ValueError(f"damaged at {name!r}")
        yield name.decode(), content
    if file.read() != bytes(_BLOCK):
        raise ValueError("ends too early or too late")


def _member(name: str, content: bytes) -> bytes:
    return b"".join((_head(name.encode(), len(content)), content, bytes(-len(content) % _BLOCK)))


def _head(name: bytes, count: int) -> bytes:
    size = f"{count:011o}".encode()
    checksum = f"{_SUM + sum(name) + sum(size):06o}".encode()
    return b"".join((name.ljust(100, b"\0"), _OWNER, size, _TIME, checksum, _REST))
