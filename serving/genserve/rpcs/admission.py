"""Limits the RPCs in the server: concurrent and queued ones, unread responses, messages that never arrive.

An RPC has a thread from the start, but only takes one of the slots for running requests once its message has arrived.
So clients that send their messages late, or never, take no slot from others.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from typing import Any

import grpc

from genserve.errors import ServeError

SMALL_BYTES = 2**16
MAX_UNREAD_BYTES = 2**30  # of responses whose clients do not read them
MAX_SENDERS = 512  # threads beside those that work, for RPCs whose message is still to come
MAX_LATE = MAX_SENDERS // 8  # RPCs that may wait for their message for as long as they like
CHECK_SECONDS = 0.05  # between two checks of those that wait
CHECKS = 3  # that an RPC gets for its message; not a time, since the whole process may have been held up
CHECKS_OF_FEW = 200  # that it gets where its connection has no more than FEW in such a state
FEW = 4


class InFlight:
    """The requests that have begun and not been answered to the last byte, and the bytes of their responses."""

    def __init__(self, most_bytes: int = MAX_UNREAD_BYTES) -> None:
        """None yet."""
        self._count = self._bytes = 0
        self.begun = 0  # how many there ever were
        self._most_bytes = most_bytes
        self._changed = threading.Condition()

    @property
    def count(self) -> int:
        """How many there are now."""
        return self._count

    def begin(self, context: grpc.ServicerContext) -> None:
        """Count a request until gRPC has done with it."""
        with self._changed:
            self._count += 1
            self.begun += 1
        if not context.add_callback(self._end):  # it is over already
            self._end()

    def wait(self, seconds: float) -> bool:
        """Wait until there are none; whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, seconds)

    def hold(self, count: int, context: grpc.ServicerContext) -> bool:
        """Count a response's bytes until the client has read them; False where clients have left too many unread."""
        if count < SMALL_BYTES:
            return True
        with self._changed:
            if self._bytes >= self._most_bytes:
                return False
            self._bytes += count
        if not context.add_callback(lambda: self._release(count)):
            self._release(count)
        return True

    def _release(self, count: int) -> None:
        with self._changed:
            self._bytes -= count

    def _end(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()


class TooMany(ServeError):
    """More requests than may wait, in the words of gRPC."""


class Slots:
    """The RPCs that may work at a time; others wait for their turn, first come, first served."""

    def __init__(self, count: int, waiting: int) -> None:
        """All free; so many may wait."""
        self._free = count
        self._most_waiting = waiting
        self._waiting = deque[threading.Lock]()
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        """Take a slot, once there is one.

        Raises:
            TooMany: as many as may wait do.
        """
        with self._lock:
            if self._free:
                self._free -= 1
                return
            if len(self._waiting) >= self._most_waiting:
                raise TooMany(grpc.StatusCode.RESOURCE_EXHAUSTED, "Concurrent RPC limit exceeded!")
            ready = threading.Lock()
            ready.acquire()
            self._waiting.append(ready)
        ready.acquire()

    def __exit__(self, *_: object) -> None:
        """Leave it to the next."""
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1


class Senders:
    """The RPCs whose clients have still to send their message, each of which keeps a thread waiting.

    Where too many do, those whose message is late are cancelled, first those of the connection that has most RPCs here.
    """

    def __init__(self, most: int = MAX_LATE) -> None:
        """None yet."""
        self._most = most
        self._checks: dict[grpc.ServicerContext, int] = {}  # that each has had
        self._peers: dict[grpc.ServicerContext, str] = {}  # of those that have been looked at
        self._lock = threading.Lock()
        self._watched = False

    @property
    def count(self) -> int:
        """How many there are now."""
        return len(self._checks)

    def next(self, messages: Iterator[Any], context: grpc.ServicerContext) -> Any:
        """The client's next message, None where there is none.

        Raises:
            grpc.RpcError: the RPC was cancelled.
        """
        with self._lock:
            self._checks[context] = 0
            if len(self._checks) > self._most and not self._watched:
                self._watched = True
                threading.Thread(target=self._watch, name="senders", daemon=True).start()
        try:
            return next(messages, None)
        finally:
            with self._lock:
                self._checks.pop(context, None)

    def _watch(self) -> None:
        """Cancel what is late, for as long as too many wait."""
        while self._watched:
            time.sleep(CHECK_SECONDS)
            # Not under the lock, which every RPC takes: asking for a peer lets all other threads run first.
            self._peers = {context: self._peers.get(context) or context.peer() for context in list(self._checks)}
            with self._lock:
                late = self._late()
                self._watched = len(self._checks) > self._most
            for context in late:
                context.cancel()
        self._peers = {}

    def _late(self) -> list[grpc.ServicerContext]:
        """Take out those that are late and too many."""
        peers, counts = self._peers, Counter(self._peers.values())
        late = [
            context
            for context, checks in self._checks.items()
            if context in peers and checks >= (CHECKS if counts[peers[context]] > FEW else CHECKS_OF_FEW)
        ]
        late.sort(key=lambda context: -counts[peers[context]])
        late = late[: max(0, len(self._checks) - self._most)]
        for context in late:
            del self._checks[context]
        for context in self._checks:
            self._checks[context] += 1
        return late


class Admission:
    """The limits of one server."""

    def __init__(self, working: int, waiting: int) -> None:
        """So many requests may be worked on at a time, and so many more wait."""
        self.in_flight = InFlight()
        self.slots = Slots(working, waiting)
        self.senders = Senders()
