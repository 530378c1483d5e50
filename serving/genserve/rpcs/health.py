"""The standard health checking service (`--enable_grpc_healthcheck_service`) and server reflection.

The status is SERVING from the moment the port opens, which is when the first models are available, and NOT_SERVING once
the server shuts down. Source: grpc/doc/health-checking.md; grpc/src/cpp/server/health/default_health_check_service.cc;
TF Serving's model_servers/server.cc.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import grpc

from genserve.rpcs.admission import Senders

log = logging.getLogger(__name__)

HEALTH_SERVICE = "grpc.health.v1.Health"
# TF Serving registers the bare names; clients that follow gRPC's convention ask for the qualified ones.
UNQUALIFIED = ("", "ModelService", "PredictionService")
MAX_WATCHERS = 64  # of one connection

Send = Callable[[Any], None]


def add_health(server: grpc.Server, services: Iterable[str], senders: Senders) -> Callable[[], None]:
    """Serve health; what is returned says NOT_SERVING from then on, also to those who watch.

    Raises:
        ModuleNotFoundError: grpcio-health-checking is not installed.
    """
    from grpc_health.v1 import health_pb2

    health = Health([*UNQUALIFIED, *services, HEALTH_SERVICE], health_pb2, senders)
    coded = (health_pb2.HealthCheckRequest.FromString, health_pb2.HealthCheckResponse.SerializeToString)
    handlers = {
        "Check": grpc.stream_unary_rpc_method_handler(health.check, *coded),
        "Watch": grpc.stream_stream_rpc_method_handler(_without_thread(health.watch), *coded),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(HEALTH_SERVICE, handlers),))
    return health.drain


class Health:
    """The status of each service, and the streams that watch it.

    Both RPCs are registered as streams of requests, because gRPC would wait for the message of a unary one itself.
    """

    def __init__(self, services: Iterable[str], messages: Any, senders: Senders) -> None:
        """All are SERVING; `messages` is grpc_health's module of them."""
        self._services = frozenset(services)
        self._messages = messages
        self._senders = senders
        self._serving = True
        self._watchers: dict[Send, tuple[str, str]] = {}  # the connection and the service of each
        self._lock = threading.Lock()

    def check(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        """The status of one service; NOT_FOUND for one that is not known."""
        service = self._service(requests, context)
        if service not in self._services:
            return context.abort(grpc.StatusCode.NOT_FOUND, "service name unknown")
        return self._response(service)

    def watch(self, requests: Iterator[Any], context: grpc.ServicerContext, send: Send) -> None:
        """Send the status of one service, and again when it changes; the stream stays open and has no thread."""
        service, peer = self._service(requests, context), context.peer()
        with self._lock:
            if Counter(peer for peer, _ in self._watchers.values())[peer] >= MAX_WATCHERS:
                context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, f"more than {MAX_WATCHERS} Watch streams")
            self._watchers[send] = peer, service
        if not context.add_callback(lambda: self._forget(send)):
            self._forget(send)
        send(self._response(service))

    def drain(self) -> None:
        """From now on the known services are NOT_SERVING."""
        self._serving = False
        with self._lock:
            watchers = list(self._watchers.items())
        for send, (_, service) in watchers:
            send(self._response(service))

    def _service(self, requests: Iterator[Any], context: grpc.ServicerContext) -> str:
        request = self._senders.next(requests, context) or self._messages.HealthCheckRequest()
        return str(request.service)

    def _response(self, service: str) -> Any:
        response = self._messages.HealthCheckResponse
        if service not in self._services:
            return response(status=response.SERVICE_UNKNOWN)
        return response(status=response.SERVING if self._serving else response.NOT_SERVING)

    def _forget(self, send: Send) -> None:
        with self._lock:
            del self._watchers[send]


def _without_thread(watch: Callable[..., None]) -> Callable[..., None]:
    """Tell gRPC that a stream stays open when its function returns; its responses go through a third argument."""

    def behavior(requests: Iterator[Any], context: grpc.ServicerContext, send_response_callback: Send) -> None:
        watch(requests, context, send_response_callback)

    behavior.experimental_non_blocking = True  # type: ignore[attr-defined]
    return behavior


def add_reflection(server: grpc.Server, services: Iterable[str], senders: Senders) -> None:
    """Let tools such as grpcurl list and describe the services, where grpcio-reflection is installed."""
    # Reflection describes what has been imported.
    from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2  # noqa: F401

    try:
        from grpc_reflection.v1alpha import reflection, reflection_pb2
    except ModuleNotFoundError:
        log.debug("no reflection: grpcio-reflection is not installed")
        return
    servicer = reflection.ReflectionServicer([*services, reflection.SERVICE_NAME])

    def describe(messages: Iterator[Any], context: grpc.ServicerContext) -> Any:
        return servicer.ServerReflectionInfo(iter(lambda: senders.next(messages, context), None), context)

    coded = (
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    handlers = {"ServerReflectionInfo": grpc.stream_stream_rpc_method_handler(describe, *coded)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(reflection.SERVICE_NAME, handlers),))
