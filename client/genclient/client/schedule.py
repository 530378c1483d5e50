"""Which part of a call is requested next, which results are handed on, what follows from a failure. No network here.

A call of many examples is cut into parts. Several are under way at a time; results come out in order. What servers
refuse as too large is cut smaller, and what did not reach a server is requested again. Threads and asyncio drive the
same object: get parts to send from `start`, report to `arrived` or `failed`, take what is `ready`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from genclient.client.retry import FIRST_PAUSE, Throttle, is_unavailable, more_specific, pause, with_attempts
from genclient.errors import ClientError, RpcError

T = TypeVar("T")

_RECOVERY = 0.1
"""Requests in flight that a response brings back after a server had too many: one more for ten responses."""

_ATTEMPTS_ALONE = 6  # to a server that has too many requests, though it has no other of this call


@dataclass
class Limits:
    """What is known of a server, kept between calls: examples that a request may have, and bytes of an example."""

    batch_size: int | None = None
    example_bytes: float | None = None


@dataclass(order=True)
class Part:
    """Examples `start` to `stop` of a call, and how it went with them so far."""

    start: int
    stop: int = field(compare=False)
    began: float | None = field(compare=False, default=None)
    deadline: float = field(compare=False, default=float("inf"))
    not_before: float = field(compare=False, default=0.0)
    attempts: int = field(compare=False, default=0)
    halvings: int = field(compare=False, default=0)
    failure: RpcError | None = field(compare=False, default=None)

    def __len__(self) -> int:
        """Its examples."""
        return self.stop - self.start


@dataclass(frozen=True)
class Plan:
    """How a call is to be cut and when it is over.

    Attributes:
        count: examples of the whole call.
        min_batch, max_batch: examples of a request, unless a size is given.
        batch_bytes: of a response, about, unless a size is given.
        max_batch_bytes: of a response with the fewest examples.
        batch_size: the size that was given.
        concurrency: requests at a time.
        timeout_seconds: for a part with all its attempts.
        retry_seconds: for how long a part is requested again.
        end: when the whole call has to be over, on the clock of `start`.
    """

    count: int
    min_batch: int
    max_batch: int
    batch_bytes: int
    max_batch_bytes: int
    batch_size: int | None
    concurrency: int
    timeout_seconds: float
    retry_seconds: float
    end: float = float("inf")


class Schedule(Generic[T]):
    """One call; for one thread or task. `now` is any clock in seconds that does not go back."""

    def __init__(self, plan: Plan, limits: Limits, throttle: Throttle | None = None) -> None:
        """Take the plan and what is known of the server."""
        self._plan = plan
        self._limits = limits
        self._throttle = throttle or Throttle()
        self._lost = 0  # requests
        self._scheduled = 0  # examples up to here are in parts
        self._yielded = 0  # examples up to here were handed on
        self._waiting: list[Part] = []
        self._in_flight: dict[int, Part] = {}  # by first example
        self._allowed = float(plan.concurrency)
        self._halvings = 0  # of it
        self._done: dict[int, tuple[int, T]] = {}  # by first example: the example after the last, and the result

    @property
    def finished(self) -> bool:
        """Whether everything was handed on."""
        return self._yielded >= self._plan.count

    def start(self, now: float) -> Part | None:
        """A part to send now, or None: wait for a response, or for `pause`."""
        part = self._next(now)
        if part is None:
            return None
        self._waiting.remove(part)
        if part.began is None:
            part.began = now
            part.deadline = min(now + self._plan.timeout_seconds, self._plan.end)
        part.attempts += 1
        part.halvings = self._halvings
        self._in_flight[part.start] = part
        if part.failure is not None:
            self._throttle.retried(now)
        return part

    def pause(self, now: float) -> float | None:
        """Seconds until `start` may have a part again; None: not before a response."""
        if not self._waiting or len(self._in_flight) >= self._concurrency():
            return None
        left = min((self._due(part) for part in self._waiting if self._has_room(part)), default=now) - now
        return left if left > 0 else None

    def retrying(self, now: float) -> tuple[RpcError, float] | None:
        """Why the part that is next in order is sent again, and for how many seconds more; None: it is not."""
        part = min((part for part in (*self._waiting, *self._in_flight.values()) if part.failure), default=None)
        if part is None or part.failure is None:
            return None
        return part.failure, max(0.0, self._until(part) - now)

    def arrived(self, part: Part, result: T, message_bytes: int) -> None:
        """Take the result of a part, and the bytes that it took, the request or the response, whichever is larger."""
        self._in_flight.pop(part.start, None)
        self._throttle.succeeded()
        self._allowed = min(self._plan.concurrency, self._allowed + _RECOVERY)
        self._limits.example_bytes = message_bytes / len(part)
        self._done[part.start] = part.stop, result

    def failed(self, part: Part, error: RpcError, now: float) -> None:
        """Cut the part smaller, or have it requested again.

        Raises:
            RpcError: neither would help; the error as it is, or the one that the last attempt's was a consequence of.
        """
        self._in_flight.pop(part.start, None)
        if error.code.name == "DEADLINE_EXCEEDED" and now >= self._plan.end:
            raise _deadline_exceeded()
        if is_unavailable(error):
            self._lost += 1
            self._throttle.failed(now)
        size = smaller_batch(error, len(part))
        if size is not None:
            self._limits.batch_size = size = min(size, self._limits.batch_size or size)
            for start in range(part.start, part.stop, size):
                self._waiting.append(Part(start, min(start + size, part.stop)))
        elif self._may_try_again(part, error, now):
            part.failure = error if part.failure is None else more_specific(part.failure, error)
            part.not_before = now + pause(part.attempts)
            self._waiting.append(part)
        elif part.failure is not None and (is_unavailable(error) or error.code.name == "DEADLINE_EXCEEDED"):
            failure = more_specific(part.failure, error) if is_unavailable(error) else part.failure
            raise with_attempts(failure, self._lost, now - (part.began or now)) from None
        else:
            raise error

    def ready(self) -> Iterator[T]:
        """Results that are next in order, each once."""
        while self._yielded in self._done:
            self._yielded, result = self._done.pop(self._yielded)
            yield result

    def _next(self, now: float) -> Part | None:
        if now >= self._plan.end:
            raise _deadline_exceeded()
        if len(self._in_flight) >= self._concurrency():
            return None
        due = [part for part in self._waiting if self._due(part) <= now and self._has_room(part)]
        if due:
            return min(due)
        held = len(self._in_flight) + len(self._done) + len(self._waiting)
        return self._new_part() if held < self._max_held() else None

    def _has_room(self, part: Part) -> bool:
        """Whether a part may start as to memory: finished ones wait for an earlier one; that one itself always may."""
        return part.start == self._yielded or len(self._in_flight) + len(self._done) < self._max_held()

    def _max_held(self) -> int:
        """Parts that are held at a time."""
        return 2 * self._concurrency()

    def _due(self, part: Part) -> float:
        """When a part that waits may be sent."""
        if part.failure is None:
            return part.not_before
        return min(max(part.not_before, self._throttle.retry_at()), self._until(part))

    def _new_part(self) -> Part | None:
        """The next examples that are in no part yet, if there are any."""
        if self._scheduled >= self._plan.count:
            return None
        part = Part(self._scheduled, min(self._scheduled + self._size(), self._plan.count))
        self._scheduled = part.stop
        self._waiting.append(part)
        return part

    def _size(self) -> int:
        limit = self._limits.batch_size or self._plan.count
        if self._plan.batch_size is not None:
            return min(self._plan.batch_size, limit)
        plan, example_bytes = self._plan, self._limits.example_bytes
        if example_bytes is None:
            return min(plan.min_batch, limit)
        fitting = max(plan.batch_bytes // example_bytes, min(plan.min_batch, plan.max_batch_bytes // example_bytes))
        return max(1, min(plan.max_batch, limit, int(fitting)))

    def _concurrency(self) -> int:
        # The first response says which version responds, and so the rest waits for it.
        return int(self._allowed) if self._yielded or self._done else 1

    def _until(self, part: Part) -> float:
        """When a part is given up."""
        return min(part.deadline, (part.began or 0) + self._plan.retry_seconds)

    def _may_try_again(self, part: Part, error: RpcError, now: float) -> bool:
        if now + FIRST_PAUSE >= self._until(part):
            return False
        if is_overloaded(error):
            # Of our own requests, one that has just got its response counts a moment longer.
            if part.halvings == self._halvings:  # what was sent before the last halving tells nothing new
                self._allowed = max(1.0, self._allowed / 2)
                self._halvings += 1
            return len(self._in_flight) > 0 or part.attempts < _ATTEMPTS_ALONE
        return is_unavailable(error)


def _deadline_exceeded() -> ClientError:
    return ClientError("deadline: the time for the whole call is over", exit_code=68)


_BATCH = re.compile(r"larger than maximum input batch size (\d{1,9})|\w+ in one request: expected at most (\d{1,9})")
_BYTES = re.compile(r"message larger than max(?: \((\d{1,19}) vs\.? (\d{1,19})\))?")
_MEMORY = re.compile(r"OOM when allocating|out of memory", re.IGNORECASE)


def smaller_batch(error: RpcError, count: int) -> int | None:
    """How many examples a server would take, by its refusal of `count` of them; None where fewer would not help.

    Source: TensorFlow's shared batch scheduler, gRPC's message size filter, TensorFlow's allocators, genserve's limits.
    """
    if count < 2:
        return None
    if error.code.name == "INVALID_ARGUMENT" and (match := _BATCH.search(error.details)):
        return max(1, min(int(match[1] or match[2]), count // 2 if count <= int(match[1] or match[2]) else count))
    if error.code.name != "RESOURCE_EXHAUSTED":
        return None
    if match := _BYTES.search(error.details):
        found, most = (int(size or 0) for size in match.groups())
        return max(1, min(count * most // found, count - 1)) if found > most else count // 2
    return count // 2 if _MEMORY.search(error.details) else None


def is_overloaded(error: RpcError) -> bool:
    """Whether a server refused a request since it has too many at a time, without having begun it."""
    # TensorFlow Serving's --grpc_max_threads says nothing; gRPC for Python, and so genserve, says this.
    return error.code.name == "RESOURCE_EXHAUSTED" and error.details in ("", "Concurrent RPC limit exceeded!")
