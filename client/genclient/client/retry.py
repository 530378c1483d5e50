"""When a request is sent again: the one layer of retries that there is, since gRPC's own are switched off.

A request that did not reach a server, or reached one that was shutting down, is retried with exponential backoff, for
as long as the caller said. Retries are throttled as gRPC's own would be (proposal A6): a client has a bucket of tokens;
a failure takes one, a success gives a tenth. While the bucket is less than half full, only one of the waiting requests
is retried at a time.
"""

from __future__ import annotations

import random
import time

from genclient.errors import RpcError
from genclient.errors.reasons import connected, reached

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 2.0  # seconds before a request is sent again

_TOKENS, _RATIO = 10.0, 0.1
_FIRST_ATTEMPTS = 5
"""Attempts at a first request, within a second, unless specified: a port that is closed is reported at once."""


def is_unavailable(error: RpcError) -> bool:
    """Whether no server responded, or one that was ending: it cancels what is under way, or resets its streams.

    Nobody else cancels here: what this side gives up raises no RpcError. Source: gRPC's statuses for HTTP/2's errors
    (PROTOCOL-HTTP2.md), `grpc.Server.stop`.
    """
    name = error.code.name
    return name in ("UNAVAILABLE", "CANCELLED") or (name == "INTERNAL" and "RST_STREAM" in error.details)


def pause(failures: int) -> float:
    """Twice as long each time, and a random part of it, so that many clients do not come back together."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures - 1, 10)) * random.uniform(0.5, 1)


def more_specific(earlier: RpcError, later: RpcError) -> RpcError:
    """Of two failures of a request the one to report: a server that was found says more than an address without one.

    Of a name with several addresses gRPC reports the one that it has tried last.
    """
    return earlier if connected(earlier.details) and not connected(later.details) else later


def with_attempts(error: RpcError, attempts: int, seconds: float) -> RpcError:
    """The error of the last attempt, with what was tried: requests that a server had, or the time without one."""
    if attempts < 2 or (not reached(error.details) and seconds < 1):
        return error
    note = f" ({attempts} attempts)" if reached(error.details) else f" (tried for {seconds:.0f} s)"
    return RpcError(error.target, error.code, error.details, note, error.proxy)


class Throttle:
    """What a client knows of how its server is doing; shared by all its calls."""

    def __init__(self) -> None:
        """Begin with a full bucket."""
        self._tokens = _TOKENS
        self._failures = 0  # in a row
        self._until = 0.0

    def retry_at(self) -> float:
        """When a request may be sent again, on the clock of `failed`; 0: now."""
        return 0.0 if self._tokens > _TOKENS / 2 else self._until

    def retried(self, now: float) -> None:
        """A request is sent again: nobody else's until it has a response, or has been under way for a while."""
        self._until = now + LONGEST_PAUSE

    def failed(self, now: float) -> None:
        """A request was lost."""
        self._tokens = max(0.0, self._tokens - 1)
        self._failures += 1
        self._until = now + pause(self._failures)

    def succeeded(self) -> None:
        """A request succeeded."""
        self._tokens = min(_TOKENS, self._tokens + _RATIO)
        self._failures, self._until = 0, 0.0


class Attempts:
    """The attempts at one call that changes nothing, such as reading a model's signatures."""

    def __init__(self, throttle: Throttle, timeout_seconds: float, retry_seconds: float | None) -> None:
        """Begin; `retry_seconds` None: a few times within a second."""
        self._throttle, self._retry = throttle, retry_seconds
        self._began = time.monotonic()
        self._end = self._began + timeout_seconds
        self._count = 0
        self._failure: RpcError | None = None

    @property
    def left(self) -> float:
        """Seconds to go for the next attempt."""
        return max(0.001, self._end - time.monotonic())

    def trying_until(self) -> float:
        """When it is given up, by the monotonic clock."""
        return self._end if self._retry is None else min(self._end, self._began + self._retry)

    def failed(self, error: RpcError) -> float:
        """Seconds until the next attempt.

        Raises:
            RpcError: there is none.
        """
        now = time.monotonic()
        self._count += 1
        if not is_unavailable(error):
            raise error
        self._failure = error if self._failure is None else more_specific(self._failure, error)
        self._throttle.failed(now)
        wait = (
            pause(self._count) / 2 if self._retry is None else max(pause(self._count), self._throttle.retry_at() - now)
        )
        spent = self._retry is None and self._count >= _FIRST_ATTEMPTS
        if spent or now + FIRST_PAUSE >= self.trying_until():
            raise with_attempts(self._failure, self._count, now - self._began)
        return min(wait, self.trying_until() - now)

    def succeeded(self) -> None:
        """It succeeded."""
        self._throttle.succeeded()
