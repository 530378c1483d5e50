"""What all RPCs share: bytes in, bytes out, and every error becomes a status.

Handles deadlines, the gRPC trailers with times, and the log line per request of `--v=1`.
Source: TF Serving's model_servers/grpc_status_util.cc.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from genserve.errors import ServeError, internal, truncated
from genserve.rpcs.admission import Admission, TooMany
from genserve.runtime.timing import Timing

log = logging.getLogger(__name__)

# gRPC gives a deadline to calls without one, centuries away.
NO_DEADLINE_SECONDS = 10 * 365 * 24 * 3600.0


@dataclass
class Call:
    """The context of an RPC, apart from its request."""

    deadline: float | None  # on the monotonic clock
    waiting: Callable[[], bool]  # whether the client is still there
    metadata: Callable[[], Any]  # the client's headers
    timing: Timing = field(default_factory=Timing)
    model: str = ""  # the name of the one that the request is about, once that is known

    @classmethod
    def of(cls, context: grpc.ServicerContext) -> Call:
        """The call of a gRPC context."""
        left = context.time_remaining()
        deadline = None if left is None or left > NO_DEADLINE_SECONDS else time.monotonic() + left
        return cls(deadline, context.is_active, context.invocation_metadata)


Respond = Callable[[bytes, Call], bytes]
# Called with every request: its RPC, the error, the call and the seconds it took.
Observe = Callable[[str, "ServeError | None", Call, float], None]


def handler(
    name: str, respond: Respond, admission: Admission, observe: Observe | None = None
) -> grpc.RpcMethodHandler[bytes, bytes]:
    """The gRPC handler of a unary RPC; `name` appears in the log.

    Registered as a stream of requests, because gRPC would wait for the message of a unary RPC itself.
    """

    def handle(messages: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        data = admission.senders.next(messages, context)
        if data is None:
            return context.abort(grpc.StatusCode.UNIMPLEMENTED, f'"{name}" requires exactly one request message.')
        admission.in_flight.begin(context)
        try:
            with admission.slots:
                return work(data, context) if context.is_active() else b""  # nobody waits for it any more
        except TooMany as error:
            return context.abort(error.code, error.message)

    def work(data: bytes, context: grpc.ServicerContext) -> bytes:
        started = time.perf_counter()
        call = Call.of(context)
        response, failure = attempt(name, respond, data, call)
        if observe is not None:
            observe(name, failure, call, time.perf_counter() - started)
        if log.isEnabledFor(logging.DEBUG):
            log_request(name, data, response, failure, call, time.perf_counter() - started)
        context.set_trailing_metadata(call.timing.trailers())
        if failure is None and not admission.in_flight.hold(len(response), context):
            failure = ServeError(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many bytes of responses have not been read")
        if failure is None:
            return response
        return context.abort(failure.code, truncated(failure.message))

    return grpc.stream_unary_rpc_method_handler(handle)


def attempt(name: str, respond: Respond, data: bytes, call: Call) -> tuple[bytes, ServeError | None]:
    """The response, or the error."""
    try:
        return respond(data, call), None
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
    """Log a request as one line of key=value pairs."""
    timing = call.timing
    log.debug(
        "request rpc=%s code=%s ms=%.3f queue_ms=%.3f compute_ms=%.3f serialise_ms=%.3f bytes_in=%d bytes_out=%d",
        name,
        failure.code.name if failure else "OK",
        *(1000 * part for part in (seconds, timing.queue, timing.compute, timing.serialise)),
        len(data),
        len(response),
    )
