"""One request in a batching queue: its inputs, the thread that waits for it, and its results."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import grpc

from genserve.errors import ServeError
from genserve.runtime.servable import Feeds
from genserve.runtime.timing import Timing


class Report(NamedTuple):
    """The size of a batch: requests, their rows, and padding rows."""

    requests: int
    rows: int
    padding: int


Observe = Callable[[Report], None]


class Task:
    """A request in a queue; ends with `results` or an `error`, or has to run `alone`."""

    __slots__ = (
        *("feeds", "rows", "deadline", "enqueued", "started", "compute"),
        *("results", "error", "alone", "leads", "_woken"),
    )

    def __init__(self, feeds: Feeds, rows: int, deadline: float | None) -> None:
        """`deadline` is on the clock of `time.monotonic`, None for no limit."""
        self.feeds = feeds
        self.rows = rows
        self.deadline = deadline
        self.enqueued = self.started = time.monotonic()
        self.compute = 0.0
        self.results: list[Any] | None = None
        self.error: BaseException | None = None
        self.alone = False  # its batch failed: it has to run once more by itself, for a status of its own
        self.leads = False  # its thread was woken to run the next batch, not since it was run
        self._woken = threading.Lock()  # a bare lock is the cheapest thing that a thread can wait for
        self._woken.acquire()

    def wait(self, until: float | None = None) -> bool:
        """Wait for `wake`; False if that did not come before `until`."""
        if until is None:
            return self._woken.acquire()
        return self._woken.acquire(timeout=min(max(until - time.monotonic(), 0.0), threading.TIMEOUT_MAX))

    def wake(self) -> None:
        """Wake the waiting thread."""
        self._woken.release()

    def note(self, timing: Timing | None) -> None:
        """Add the seconds in the queue and in the model."""
        if timing is not None:
            timing.queue += self.started - self.enqueued
            timing.compute += self.compute

    @property
    def expired(self) -> bool:
        """Whether its deadline has passed."""
        return self.deadline is not None and time.monotonic() >= self.deadline


def queue_timeout() -> ServeError:
    """The error for a deadline that passed in the queue (batching_session.cc)."""
    return ServeError(grpc.StatusCode.RESOURCE_EXHAUSTED, "Run() timeout exceeded while waiting in batching queue")


def queue_full(why: str) -> ServeError:
    """The error for a full queue (shared_batch_scheduler.h)."""
    return ServeError(
        grpc.StatusCode.UNAVAILABLE, f"The batch scheduling queue to which this task was submitted is full; {why}"
    )
