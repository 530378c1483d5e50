"""The body of a request as it comes in, within limits of size and time.

Not for what it says: document.py.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import grpc

from genserve.errors import ServeError
from genserve.rest.api import failed
from genserve.rest.reply import Reply

MAX_BODY_BYTES = 256 * 2**20
MAX_BODIES_BYTES = 2 * MAX_BODY_BYTES  # of all requests together
BODY_SECONDS = 60.0  # for a client to send its next bytes
LOOK_UP_SECONDS = 0.5

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


class Refused(Exception):
    """A request that is answered before its body has been read in full."""

    def __init__(self, status: int, code: grpc.StatusCode, message: str) -> None:
        """An HTTP status of its own, and an error for the body."""
        super().__init__(message)
        self.reply = Reply(status, failed(ServeError(code, message)).body)


class Budget:
    """The bytes of all requests that are being received or worked on, and of their replies."""

    def __init__(self) -> None:
        """None yet."""
        self.closing = False  # whether clients that have not sent all of a request are waited for no more
        self._bytes = 0

    def take(self, count: int) -> None:
        """Count bytes of a body that is being received.

        Raises:
            Refused: there are too many already.
        """
        if self._bytes + count > MAX_BODIES_BYTES:
            message = f"requests in flight hold more than {MAX_BODIES_BYTES} bytes"
            raise Refused(503, grpc.StatusCode.UNAVAILABLE, message)
        self._bytes += count

    def give_back(self, count: int) -> None:
        """Count them no more."""
        self._bytes -= count


class Body:
    """The body of one request, as far as it has come."""

    def __init__(self, budget: Budget) -> None:
        """Nothing of it yet; `unread` as long as there is more to come."""
        self.data = b""
        self.unread = True
        self._budget = budget
        self._counted = 0

    async def read(self, receive: Receive, headers: dict[bytes, bytes]) -> None:
        """Read it all.

        Raises:
            Refused: too large, too slow, or in an encoding that is not known.
            ConnectionError: the client has gone.
        """
        encoding = headers.get(b"content-encoding", b"identity").decode("latin-1").lower()
        if encoding not in ("identity", "gzip"):
            why = f"Content-Encoding: expected gzip or none, found {encoding}"
            raise Refused(415, grpc.StatusCode.INVALID_ARGUMENT, why)
        length = headers.get(b"content-length", b"0")  # only digits: the parser has seen to that
        if len(length) > 15 or int(length) > MAX_BODY_BYTES:
            raise _too_large(MAX_BODY_BYTES)
        parts: list[bytes] = []
        while self.unread:
            message = await self._next(receive)
            if message["type"] == "http.disconnect":
                raise ConnectionError
            parts.append(message.get("body", b""))
            self.count(len(parts[-1]), MAX_BODY_BYTES)
            self.unread = bool(message.get("more_body"))
        self.data = b"".join(parts)
        if encoding == "gzip":
            self._unzip()

    async def _next(self, receive: Receive) -> Message:
        """What the client sends next; looks up now and then to see whether it is still worth waiting."""
        until = time.monotonic() + BODY_SECONDS
        while True:
            try:
                return await asyncio.wait_for(receive(), LOOK_UP_SECONDS)
            except asyncio.TimeoutError as error:
                if self._budget.closing:
                    raise Refused(503, grpc.StatusCode.UNAVAILABLE, "the server is stopping") from error
                if time.monotonic() >= until:
                    why = f"no more of the request came within {BODY_SECONDS:g} s"
                    raise Refused(408, grpc.StatusCode.DEADLINE_EXCEEDED, why) from error

    def release(self) -> None:
        """Count its bytes no more."""
        self._budget.give_back(self._counted)
        self._counted = 0

    def count(self, count: int, most: int = MAX_BODIES_BYTES) -> None:
        """Count bytes that are held for this request, its reply among them.

        Raises:
            Refused: there are too many, of this one or of all.
        """
        if self._counted + count > most:
            raise _too_large(most)
        self._budget.take(count)
        self._counted += count

    def _unzip(self) -> None:
        unzip = zlib.decompressobj(wbits=31)
        try:
            self.data = unzip.decompress(self.data, max(1, MAX_BODY_BYTES - self._counted))
        except zlib.error as error:
            raise Refused(400, grpc.StatusCode.INVALID_ARGUMENT, f"the request is no gzip: {error}") from error
        self.count(len(self.data), MAX_BODY_BYTES)
        if not unzip.eof:
            message = f"the request is cut short, or has more than {MAX_BODY_BYTES} bytes unpacked"
            raise Refused(413, grpc.StatusCode.INVALID_ARGUMENT, message)


def _too_large(most: int) -> Refused:
    return Refused(413, grpc.StatusCode.INVALID_ARGUMENT, f"the request has more than {most} bytes")
