"""Packed integers as protobuf writes them, seven bits a byte, read by numpy: without a Python object for each.

Source: protobuf's encoding of base-128 varints (protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_LONGEST = 10  # bytes of a number of 64 bits


def read(content: bytes) -> NDArray[Any]:
    """The numbers in `content`: uint8 where all are below 256, else uint64 (negative ones as their 64 bits).

    Raises:
        ValueError: the last number does not end, or one is longer than ten bytes.
    """
    data = np.frombuffer(content, np.uint8)
    if not len(data):
        return data
    high = (data >> 7).astype(np.uint8, copy=False)
    if high[-1]:
        raise ValueError("the last number does not end")
    if not high.any():
        return data
    # A number from 0x80 to 0xff has a second byte, 1; so no pixel is longer than two. Whole-array operations on bytes,
    # and `compress` for the choice, which is four times as fast as an index of booleans.
    first, second, two = data[:-1], data[1:], high[:-1]
    if (two & (second > 1)).any():
        return _any_length(data, high)
    values = np.empty_like(data)
    values[0] = data[0]
    mask = np.uint8(0) - two
    values[1:] = (((first & 0x7F) | (second << 7)) & mask) | (second & ~mask)
    return np.compress(high == 0, values)


def _any_length(data: NDArray[np.uint8], high: NDArray[np.uint8]) -> NDArray[np.uint64]:
    ends = np.flatnonzero(high == 0)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > _LONGEST:
        raise ValueError(f"a number of {lengths.max()} bytes")
    values = np.zeros(len(ends), np.uint64)
    for place in range(int(lengths.max())):
        has = lengths > place
        values[has] |= (data[starts[has] + place] & np.uint8(0x7F)).astype(np.uint64) << np.uint64(7 * place)
    return values
