"""Reads the body of a request, decompresses it and counts its size before anything is parsed.

document.py parses it; connections.py deals with slow clients.
"""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any

import grpc
import numpy as np

from genserve.rest.limits import Budget, Limits, Refused

MOST_DENSE = 1032  # bytes that a byte of gzip can stand for
JSON_BYTES = b"inference-header-content-length"
PIECE = 2**20  # bytes that are unpacked or counted at a time
SMALL = 2**16  # bytes of which nothing large is made, whatever they say
LONG = 2**18  # bytes that take so much time to read that others would wait
USUAL_DENSITY = 8  # bytes of JSON in a byte of gzip
LIST_VALUES = 4  # what a list or an object counts in addition, since it takes the time and memory of several numbers

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Body:
    """The body of one request, as far as it has come, and what it holds of the budget."""

    def __init__(self, budget: Budget, limits: Limits) -> None:
        """Nothing of it yet; `unread` as long as there is more to come, `used` while a thread works with it."""
        self.unread = True
        self.used = False
        self._data = b""
        self._packed = False
        self._json_bytes = limits.body_bytes  # the rest of it is tensors as they are
        self._limits = limits
        self._budget = budget
        self._counted = self._values = 0

    async def read(self, receive: Receive, headers: dict[bytes, bytes]) -> None:
        """Read all of it, still compressed.

        Raises:
            Refused: too large, or of unknown encoding.
            ConnectionError: the client has gone.
        """
        encoding = headers.get(b"content-encoding", b"identity").decode("latin-1").lower()
        if encoding not in ("identity", "gzip"):
            why = f"Content-Encoding: expected gzip or none, found {encoding}"
            raise Refused(415, grpc.StatusCode.INVALID_ARGUMENT, why)
        self._packed = encoding == "gzip"
        json_bytes = headers.get(JSON_BYTES, b"")
        if json_bytes.isdigit() and len(json_bytes) <= 15:
            self._json_bytes = int(json_bytes)
        length = headers.get(b"content-length", b"0")  # only digits: the parser has seen to that
        if len(length) > 15 or int(length) > self._limits.body_bytes:
            raise self._too_large()
        parts: list[bytes] = []
        while self.unread:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError
            parts.append(message.get("body", b""))
            self.count(len(parts[-1]))
            self.unread = bool(message.get("more_body"))
        self._data = b"".join(parts)

    @property
    def long(self) -> bool:
        """Whether reading it takes a while."""
        return len(self._data) * (USUAL_DENSITY if self._packed else 1) > LONG

    def take(self) -> bytes:
        """What was sent, decompressed; takes a while, and keeps nothing here.

        Raises:
            Refused: not gzip, or too many bytes or JSON values, in this request or in all together.
        """
        data, self._data = self._data, b""
        parts, values, left = list[bytes](), 0, self._json_bytes
        for part in self._unzipped(data) if self._packed else (data,):
            parts.append(part)
            values += json_values(part[: max(left, 0)])
            left -= len(part)
            if values > self._limits.json_values:
                message = f"the request has more than {self._limits.json_values} JSON values"
                raise Refused(413, grpc.StatusCode.INVALID_ARGUMENT, message)
        if values > SMALL:
            self._budget.take(0, values)
            self._values = values
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def count(self, count: int) -> None:
        """Count bytes that are held for this request.

        Raises:
            Refused: too many, for this request or for all together.
        """
        if self._counted + count > self._limits.body_bytes:
            raise self._too_large()
        self._budget.take(large(self._counted + count) - large(self._counted))
        self._counted += count

    def release(self) -> None:
        """Forget it, and stop counting it."""
        self._data = b""
        self._budget.give_back(large(self._counted), self._values)
        self._counted = self._values = 0

    def _unzipped(self, data: bytes) -> Iterator[bytes]:
        unzip = zlib.decompressobj(wbits=31)
        if self._limits.body_bytes < int.from_bytes(data[-4:], "little") <= MOST_DENSE * len(data):
            raise self._too_large()  # as a gzip file says at its end
        while data and not unzip.eof:
            try:
                part = unzip.decompress(data, PIECE)
            except zlib.error as error:
                raise Refused(
                    400, grpc.StatusCode.INVALID_ARGUMENT, f"the request is not valid gzip: {error}"
                ) from error
            self.count(len(part))
            yield part
            data = unzip.unconsumed_tail
        if not unzip.eof:
            raise Refused(400, grpc.StatusCode.INVALID_ARGUMENT, "the request is not valid gzip: it is truncated")

    def _too_large(self) -> Refused:
        message = f"the request has more than {self._limits.body_bytes} bytes"
        return Refused(413, grpc.StatusCode.INVALID_ARGUMENT, message)


def large(count: int) -> int:
    """The bytes that count: small requests and responses do not, so that they are accepted beside large ones."""
    return max(0, count - SMALL)


def json_values(data: bytes) -> int:
    """At most so many values are in a JSON text, lists and objects counted as several; others may run meanwhile."""
    if len(data) < SMALL:
        return len(data)
    text = np.frombuffer(data, np.uint8)
    pieces = (text[start : start + PIECE] for start in range(0, len(text), PIECE))
    return sum(
        _count(piece, b",") + (1 + LIST_VALUES) * (_count(piece, b"[") + _count(piece, b"{")) for piece in pieces
    )


def _count(text: Any, sign: bytes) -> int:
    return int(np.count_nonzero(text == ord(sign)))
