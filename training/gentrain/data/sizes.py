"""How large images are to be: a number is the side of squares, WIDTHxHEIGHT exactly that, a rectangle for one."""

from __future__ import annotations

import re
from collections.abc import Collection

from gentrain.errors import UsageError

Size = int | tuple[int, int]
"""Height and width in pixels; of a square one number will do."""

SMALLEST_SIDE, LARGEST_SIDE = 8, 256


def both(size: Size) -> tuple[int, int]:
    """(height, width).

    >>> both(64), both((64, 96))
    ((64, 64), (64, 96))
    """
    return (size, size) if isinstance(size, int) else size


def parse(text: str) -> int | str:
    """A resolution as it is typed: a number, or WIDTHxHEIGHT in one spelling.

    Raises:
        UsageError: it is neither, or a side is none that networks can halve.

    >>> parse("64"), parse("96×64")
    (64, '96x64')
    """
    plain = text.strip().lower().replace("×", "x")
    resolution = int(plain) if plain.isdecimal() else plain
    requested(resolution)
    return resolution


def requested(resolution: int | str) -> tuple[int, int]:
    """(height, width) of a resolution; raises UsageError as `parse` does."""
    found = re.fullmatch(r"([0-9]{1,9})x([0-9]{1,9})", resolution) if isinstance(resolution, str) else None
    width, height = map(int, found.groups()) if found else (resolution, resolution)
    for side in (width, height):
        if not isinstance(side, int) or not SMALLEST_SIDE <= side <= LARGEST_SIDE or side % 4:
            raise UsageError(
                f"resolution must be a multiple of 4 from {SMALLEST_SIDE} to {LARGEST_SIDE}, or two of them as "
                f"WIDTHxHEIGHT such as 96x64, got {resolution}"
            )
    return int(height), int(width)


def written(size: Size) -> int | str:
    """The resolution that asks for this size: of a square its side.

    >>> written(64), written((64, 96))
    (64, '96x64')
    """
    height, width = both(size)
    return height if height == width else f"{width}x{height}"


def fitting(resolution: int | str, sizes: Collection[tuple[int, int]]) -> tuple[int, int]:
    """(height, width) that images of these (width, height)s are brought to.

    WIDTHxHEIGHT is what is made of any image. One number is the most: images that are all square, of one size up to it
    and a multiple of 4, so that networks can halve it, stay as they are.
    """
    if isinstance(resolution, int) and len(sizes) == 1:
        width, height = next(iter(sizes))
        if width == height and SMALLEST_SIDE <= width <= resolution and width % 4 == 0:
            return width, width
    return requested(resolution)


def kept(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """Of a picture's (width, height) the largest part that has the proportions of (height, width)."""
    (wide, high), (height, width) = size, target
    return min(wide, max(1, high * width // height)), min(high, max(1, wide * height // width))


def around(size: tuple[int, int], target: tuple[int, int]) -> tuple[int, int]:
    """(width, height) of the smallest picture of the proportions of (height, width) that holds one of this size."""
    (wide, high), (height, width) = size, target
    return max(wide, high * width // height), max(high, wide * height // width)
