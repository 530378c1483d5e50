"""The threads that gRPC's RPCs run in.

An RPC has a thread from the start, even if its message never comes. While very many wait for theirs, those of a client
that sends them are not to wait for a thread behind all the others: each connection may have a few of the threads that
are reserved for such times.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from genserve.rpcs.admission import FEW, Senders

RESERVED_THREADS = 64


class RpcThreads(ThreadPoolExecutor):
    """A pool of threads for `grpc.server`."""

    def __init__(self, threads: int, senders: Senders) -> None:
        """None of them runs yet; `senders` knows how many RPCs wait for their message."""
        super().__init__(threads, thread_name_prefix="rpc")
        self._senders, self._many = senders, threads // 2
        self._reserved = ThreadPoolExecutor(RESERVED_THREADS, thread_name_prefix="rpc-reserved")
        self._users = Counter[Hashable]()  # of the latter, by connection
        self._lock = threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *arguments: Any, **keywords: Any) -> Future[Any]:
        """Run a function in one of the threads."""
        if self._senders.count < self._many:
            return super().submit(fn, *arguments, **keywords)
        peer = _peer(arguments)
        with self._lock:  # one more than FEW: a connection that sends no message is found out, and gives them back soon
            reserved = self._users[peer] <= FEW and self._users.total() < RESERVED_THREADS
            self._users[peer] += reserved
        if not reserved:
            return super().submit(fn, *arguments, **keywords)
        future = self._reserved.submit(fn, *arguments, **keywords)
        future.add_done_callback(lambda _: self._release(peer))
        return future

    def _release(self, peer: Hashable) -> None:
        with self._lock:
            self._users[peer] -= 1
            if not self._users[peer]:
                del self._users[peer]


def _peer(arguments: tuple[Any, ...]) -> Hashable:
    """The connection of an RPC, whose event is among what gRPC hands over."""
    for argument in arguments:
        peer = getattr(getattr(argument, "call", None), "peer", None)
        if callable(peer):
            return peer()  # type: ignore[no-any-return]
    return None
