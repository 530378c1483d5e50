"""Looks over a response before protobuf reads it: parsing may take many times the memory of what arrived.

A message of two bytes becomes an object of fifty; a response of 256 MB could claim gigabytes that way. Fields are
counted here without making anything of them. Honest responses have a few dozen, since pixels come in one.
Source: protobuf's encoding (protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

from functools import cache
from typing import Any

PREDICT_FIELDS = 2**18
"""Fields of a response with tensors: a sender that does not pack numbers uses one for each."""

OTHER_FIELDS = 2**16
"""Fields of a response that describes a model."""


class MalformedError(ValueError):
    """Bytes that are no message, or one that is not worth reading."""


def check(content: bytes, descriptor: Any, limit: int) -> None:
    """See that `content` is made of whole fields, and of no more than `limit`, those of inner messages included.

    Raises:
        MalformedError: it is not.
    """
    left = limit
    at, end, inner = 0, len(content), _inner(descriptor)
    outer: list[tuple[int, dict[int, Any]]] = []  # the messages that this one is in: where they end, and their fields
    while at < end or outer:
        if at == end:
            end, inner = outer.pop()
            continue
        left -= 1
        if left < 0:
            raise MalformedError(f"more than {limit} fields")
        tag, at = _varint(content, at, end)
        after, size = _skip(content, at, end, tag & 7)
        if after > end:
            raise MalformedError("a field that goes on after the end")
        if tag & 7 == 2 and tag >> 3 in inner:
            outer.append((end, inner))
            at, end, inner = after - size, after, _inner(inner[tag >> 3])
        else:
            at = after


def _skip(content: bytes, at: int, end: int, kind: int) -> tuple[int, int]:
    """The place after a field's value, and the value's size where it says one."""
    if kind == 2:
        size, at = _varint(content, at, end)
        return at + size, size
    if kind == 0:
        return _varint(content, at, end)[1], 0
    if kind in (1, 5):
        return at + (8 if kind == 1 else 4), 0
    raise MalformedError(f"a field of wire type {kind}")  # groups: nothing that is meant here has any


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    value = 0
    for place in range(10):
        if at + place >= end:
            break
        byte = content[at + place]
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise MalformedError("a number that does not end")


@cache
def _inner(descriptor: Any) -> dict[int, Any]:
    """The fields of a message that are messages themselves, by number."""
    return {field.number: field.message_type for field in descriptor.fields if field.message_type is not None}
