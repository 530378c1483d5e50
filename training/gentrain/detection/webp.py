"""What a WebP file lost: the quantiser of a lossy one, and the quality at which libwebp's encoder takes that.

After RFC 9649 (WebP: chunks of RIFF) and RFC 6386 (VP8: sections 7.3, the boolean decoder; 9.1 to 9.6 and 19.2, the
frame's header).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from typing import IO

from PIL import Image

LOOKED_AT = 128  # pixels a side of a picture by which a quality is found
HEADER = 200  # bytes from a frame's start: more than there can be before the quantiser
START = b"\x9d\x01\x2a"


def quantiser(file: IO[bytes]) -> int | None:
    """0 to 127, VP8's `y_ac_qi`, the coarser the higher; None of a lossless file. Of an animation its first frame's.

    Raises:
        ValueError: it is no WebP, or ends before.
    """
    file.seek(0)
    start = file.read(12)
    if start[:4] != b"RIFF" or start[8:] != b"WEBP":
        raise ValueError("not WebP")
    while len(head := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"VP8L":
            return None
        if name == b"VP8 ":
            return _of_frame(file.read(min(size, HEADER)))
        inside = name == b"ANMF"  # a frame of an animation has chunks of its own
        file.seek(16 if inside else size + size % 2, io.SEEK_CUR)
    raise ValueError("no picture in it")


def quality(image: Image.Image, index: int) -> int:
    """0 to 100: that at which Pillow, else by default, codes the picture with the quantiser nearest to this.

    The encoder takes a finer one for what is busy, so it is tried on the picture itself, or on its middle.
    """
    left, top = ((whole - LOOKED_AT) // 2 if whole > LOOKED_AT else 0 for whole in image.size)
    right, bottom = (first + min(whole, LOOKED_AT) for first, whole in zip((left, top), image.size, strict=True))
    part = image.convert("RGB").crop((left, top, right, bottom))
    low, high, found = 0, 100, {}
    while low <= high:
        middle = (low + high) // 2
        with io.BytesIO() as file:
            part.save(file, "WEBP", quality=middle)
            found[middle] = quantiser(file) or 0
        if found[middle] == index:
            return middle
        low, high = (middle + 1, high) if found[middle] > index else (low, middle - 1)
    return min(found, key=lambda tried: abs(found[tried] - index))


def _of_frame(data: bytes) -> int:
    if len(data) < 10 or data[0] & 1 or data[3:6] != START:
        raise ValueError("no key frame of VP8")
    bits = _bits(data[10:])

    def number(width: int) -> int:
        value = 0
        for _ in range(width):
            value = 2 * value + next(bits)
        return value

    def skip_optional(count: int, width: int) -> None:
        for _ in range(count):
            if number(1):
                number(width)

    number(2)  # colour space, clamping
    if number(1):  # segments
        has_map, has_values = number(1), number(1)
        if has_values:
            number(1)
            skip_optional(4, 7 + 1)  # quantisers with their signs
            skip_optional(4, 6 + 1)  # loop filter's levels
        if has_map:
            skip_optional(3, 8)
    number(1 + 6 + 3)  # loop filter: type, level, sharpness
    if number(1) and number(1):
        skip_optional(8, 6 + 1)
    number(2)  # partitions
    return number(7)


def _bits(data: bytes) -> Iterator[int]:
    """Those of even probability; ValueError where the data end."""
    value, used, spread, shifted = int.from_bytes(data[:2], "big"), 2, 255, 0
    while used <= len(data):
        split = 1 + ((spread - 1) * 128 >> 8)
        bit = value >= split << 8
        spread, value = (spread - split, value - (split << 8)) if bit else (split, value)
        while spread < 128:
            spread, value, shifted = 2 * spread, 2 * value, shifted + 1
            if shifted == 8:
                value |= data[used] if used < len(data) else 0
                used, shifted = used + 1, 0
        yield int(bit)
    raise ValueError("ends within the frame's header")
