"""What is the same for every RPC: bytes in, bytes out, and whatever goes wrong is a status, never the server's end.

Deadlines, gRPC trailers with times, a log line for each request at `--v=1`, and the count of requests in flight, which
a server that stops waits for. Not for what an answer says.
Source: TF Serving's model_servers/grpc_status_util.cc.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from genserve.errors import ServeError, internal, truncated
from genserve.timing import Timing

log = logging.getLogger(__name__)

SMALL_BYTES = 2**16
MAX_UNREAD_BYTES = 2**30  # of answers whose clients do not read them
# gRPC gives a deadline to calls without one, centuries away.
NO_DEADLINE_SECONDS = 10 * 365 * 24 * 3600.0


@dataclass
class Call:
    """What an RPC knows beside its request."""

    deadline: float | None  # on the monotonic clock
    waiting: Callable[[], bool]  # whether the client is still there
    metadata: Callable[[], Any]  # the client's headers
    timing: Timing = field(default_factory=Timing)

    @classmethod
    def of(cls, context: grpc.ServicerContext) -> Call:
        """The call behind a gRPC context."""
        left = context.time_remaining()
        deadline = None if left is None or left > NO_DEADLINE_SECONDS else time.monotonic() + left
        return cls(deadline, context.is_active, context.invocation_metadata)


Answer = Callable[[bytes, Call], bytes]
# Told of each request: its RPC, its bytes, what went wrong, and the seconds it took.
Observe = Callable[[str, bytes, "ServeError | None", Call, float], None]


class InFlight:
    """The requests that have begun and not been answered to the last byte, and the bytes of their answers."""

    def __init__(self, most_bytes: int = MAX_UNREAD_BYTES) -> None:
        """None yet."""
        self._count = self._bytes = 0
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
        if not context.add_callback(self._end):  # it is over already
            self._end()

    def wait(self, seconds: float) -> bool:
        """Wait until there are none; whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: self._count == 0, seconds)

    def hold(self, count: int, context: grpc.ServicerContext) -> bool:
        """Count an answer's bytes until the client has read them; False where clients have left too many unread."""
        if count < SMALL_BYTES:
            return True
        with self._changed:
            if self._bytes >= self._most_bytes:
                return False
            self._bytes += count
        if not context.add_callback(lambda: self._let_go(count)):
            self._let_go(count)
        return True

    def _let_go(self, count: int) -> None:
        with self._changed:
            self._bytes -= count

    def _end(self) -> None:
        with self._changed:
            self._count -= 1
            self._changed.notify_all()


class Senders:
    """The RPCs whose clients have still to send their message, each of which keeps a thread waiting.

    They may keep so many; beyond that, the longest waiting one of the connection that has most of them is cancelled.
    """

    def __init__(self, most: int) -> None:
        """None yet."""
        self._most = most
        self._waiting: dict[grpc.ServicerContext, None] = {}
        self._lock = threading.Lock()

    def next(self, messages: Iterator[Any], context: grpc.ServicerContext) -> Any:
        """The client's next message, None where there is none.

        Raises:
            grpc.RpcError: the RPC was cancelled.
        """
        with self._lock:
            longest = self._longest() if len(self._waiting) >= self._most else None
            if longest is not None:
                del self._waiting[longest]
            self._waiting[context] = None
        if longest is not None:
            longest.cancel()
        try:
            return next(messages, None)
        finally:
            with self._lock:
                self._waiting.pop(context, None)

    def _longest(self) -> grpc.ServicerContext:
        peers = {context: context.peer() for context in self._waiting}
        ((greediest, _),) = Counter(peers.values()).most_common(1)
        return next(context for context, peer in peers.items() if peer == greediest)


def handler(
    name: str, answer: Answer, in_flight: InFlight, senders: Senders, observe: Observe | None = None
) -> grpc.RpcMethodHandler[bytes, bytes]:
    """The handler of one unary RPC, called `name` in the log.

    gRPC is told that messages may follow each other, since it would wait for the only one of a unary RPC by itself.
    """

    def handle(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        data = senders.next(messages, context)
        if data is None:
            return context.abort(grpc.StatusCode.UNIMPLEMENTED, f'"{name}" requires exactly one request message.')
        in_flight.begin(context)
        started = time.perf_counter()
        call = Call.of(context)
        response, failure = attempt(name, answer, data, call)
        if observe is not None:
            observe(name, data, failure, call, time.perf_counter() - started)
        if log.isEnabledFor(logging.DEBUG):
            log_request(name, data, response, failure, call, time.perf_counter() - started)
        context.set_trailing_metadata(call.timing.trailers())
        if failure is None and not in_flight.hold(len(response), context):
            failure = ServeError(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many bytes of answers have not been read")
        if failure is None:
            return response
        return context.abort(failure.code, truncated(failure.message))

    return grpc.stream_unary_rpc_method_handler(handle)


def attempt(name: str, answer: Answer, data: bytes, call: Call) -> tuple[bytes, ServeError | None]:
    """The answer, or why there is none."""
    try:
        return answer(data, call), None
    except ServeError as error:
        return b"", error
    except DecodeError:
        return b"", internal(f"the request is no {name} request")
    except MemoryError:
        return b"", ServeError(grpc.StatusCode.RESOURCE_EXHAUSTED, "not enough memory for this request")
    except Exception as error:
        log.exception("a %s failed", name)
        return b"", internal(f"{type(error).__name__}: {error}".split("\n", 1)[0])


def log_request(
    name: str, data: bytes, response: bytes, failure: ServeError | None, call: Call, seconds: float
) -> None:
    """One line of key=value for a request."""
    timing = call.timing
    log.debug(
        "request rpc=%s code=%s ms=%.3f queue_ms=%.3f compute_ms=%.3f serialise_ms=%.3f bytes_in=%d bytes_out=%d",
        name,
        failure.code.name if failure else "OK",
        *(1000 * part for part in (seconds, timing.queue, timing.compute, timing.serialise)),
        len(data),
        len(response),
    )
