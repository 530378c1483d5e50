"""The limits for clients of the REST API: bytes, JSON values, connections and timeouts."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import grpc

from genserve.errors import ServeError
from genserve.network.port import most_connections
from genserve.options.flags import Flags
from genserve.rest.api import failed
from genserve.rest.reply import Reply


@dataclass(frozen=True)
class Limits:
    """The limits of one server."""

    body_bytes: int  # of a request, unpacked too
    bytes_in_flight: int  # of all requests and responses together
    json_values: int  # of a request, and of all together; lists and objects count as several
    connections: int  # at a time
    header_seconds: float  # for the headers of a request to arrive
    idle_seconds: float  # between two requests of a connection
    stall_seconds: float  # for the next part of a body to arrive, or of a response to be read

    @classmethod
    def of(cls, flags: Flags) -> Limits:
        """What the flags say."""
        return cls(
            flags.rest_api_max_body_bytes,
            flags.rest_api_max_bytes_in_flight,
            flags.rest_api_max_json_values,
            min(flags.rest_api_max_connections, most_connections()),
            flags.rest_api_header_timeout_in_ms / 1000,
            flags.rest_api_idle_timeout_in_ms / 1000,
            flags.rest_api_stall_timeout_in_ms / 1000,
        )


class Refused(Exception):
    """A request that is rejected before it has been read in full."""

    def __init__(self, status: int, code: grpc.StatusCode, message: str) -> None:
        """An HTTP status of its own, and an error for the body."""
        super().__init__(message)
        self.reply = Reply(status, failed(ServeError(code, message)).body)


class Budget:
    """The bytes and JSON values of all requests and responses in memory; thread-safe."""

    def __init__(self, limits: Limits) -> None:
        """None yet."""
        self._most_bytes, self._most_values = limits.bytes_in_flight, limits.json_values
        self._bytes = self._values = 0
        self._lock = threading.Lock()

    def take(self, count: int, values: int = 0) -> None:
        """Count additional bytes and values.

        Raises:
            Refused: there is too much already.
        """
        with self._lock:
            if self._bytes + count > self._most_bytes:
                raise _full(f"{self._most_bytes} bytes")
            if self._values + values > self._most_values:
                raise _full(f"{self._most_values} JSON values")
            self._bytes += count
            self._values += values

    def give_back(self, count: int, values: int = 0) -> None:
        """Stop counting them."""
        with self._lock:
            self._bytes -= count
            self._values -= values


def _full(most: str) -> Refused:
    return Refused(503, grpc.StatusCode.UNAVAILABLE, f"requests in flight hold more than {most}")
