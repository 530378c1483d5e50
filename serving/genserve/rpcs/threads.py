"""The threads that gRPC's RPCs run in, shared out by connection.

An RPC has a thread from the start, even if its message never comes. In a ThreadPoolExecutor a client that opens very
many RPCs would be served before everybody who comes later, and their threads would stay. Here the connection that has
the fewest threads comes first, some are kept for connections that have none, and idle ones end.
"""

from __future__ import annotations

import threading
from collections import Counter, deque
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from typing import Any, NamedTuple

KEPT = 1 / 8  # of the threads, for connections that have none
IDLE_SECONDS = 5.0  # until a thread ends


class _Job(NamedTuple):
    peer: Hashable
    future: Future[Any]
    work: Callable[[], Any]

    def run(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            self.future.set_result(self.work())
        except BaseException as error:  # as in a ThreadPoolExecutor: the future has it
            self.future.set_exception(error)


class _Idle:
    """A thread that waits for a job."""

    def __init__(self) -> None:
        self.job: _Job | None = None
        self.woken = threading.Semaphore(0)


class FairThreads(Executor):
    """A pool of threads for `grpc.server`."""

    def __init__(self, threads: int) -> None:
        """None of them runs yet."""
        self._free = threads
        self._kept = int(KEPT * threads)
        self._running = Counter[Hashable]()  # by connection
        self._waiting: dict[Hashable, deque[_Job]] = {}
        self._idle: list[_Idle] = []  # the last one was busy until just now
        self._lock = threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        """Run a function once its connection may have a thread."""
        job = _Job(_peer(arguments), Future(), lambda: fn(*arguments, **keywords))
        with self._lock:
            if not self._may_run(job.peer):
                self._waiting.setdefault(job.peer, deque()).append(job)
                return job.future
            self._begin(job.peer)
            idle = self._idle.pop() if self._idle else None
        if idle is None:
            threading.Thread(target=self._work, args=(job,), name="rpc", daemon=True).start()
        else:
            idle.job = job
            idle.woken.release()
        return job.future

    def _work(self, job: _Job | None) -> None:
        """Run a job, and all that come until there are none for a while."""
        while job is not None:
            job.run()
            with self._lock:
                self._end(job.peer)
                job = self._next()
                if job is None:
                    self._idle.append(idle := _Idle())
            if job is None:
                job = self._awaited(idle)

    def _awaited(self, idle: _Idle) -> _Job | None:
        """The next job, None where none comes in time."""
        if not idle.woken.acquire(timeout=IDLE_SECONDS):
            with self._lock:
                if idle in self._idle:
                    self._idle.remove(idle)
                    return None
            idle.woken.acquire()
        return idle.job

    def _next(self) -> _Job | None:
        """A job of the connection with the fewest threads, if it may have another."""
        if not self._waiting:
            return None
        peer = min(self._waiting, key=self._running.__getitem__)
        if not self._may_run(peer):
            return None
        job = self._waiting[peer].popleft()
        if not self._waiting[peer]:
            del self._waiting[peer]
        self._begin(peer)
        return job

    def _may_run(self, peer: Hashable) -> bool:
        return self._free > (self._kept if peer in self._running else 0)

    def _begin(self, peer: Hashable) -> None:
        self._free -= 1
        self._running[peer] += 1

    def _end(self, peer: Hashable) -> None:
        self._free += 1
        self._running[peer] -= 1
        if not self._running[peer]:
            del self._running[peer]


def _peer(arguments: tuple[Any, ...]) -> Hashable:
    """The connection of an RPC, whose event is among what gRPC hands over."""
    for argument in arguments:
        peer = getattr(getattr(argument, "call", None), "peer", None)
        if callable(peer):
            return peer()  # type: ignore[no-any-return]
    return None
