"""The standard health checking service (`--enable_grpc_healthcheck_service`) and server reflection.

The status is SERVING from the moment the port opens, which is when the first models are available, and NOT_SERVING once
the server shuts down. Source: grpc/doc/health-checking.md; TF Serving's model_servers/server.cc.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

from genserve.rpcs.admission import Senders

log = logging.getLogger(__name__)

HEALTH_SERVICE = "grpc.health.v1.Health"
# TF Serving registers the bare names; clients that follow gRPC's convention ask for the qualified ones.
UNQUALIFIED = ("", "ModelService", "PredictionService")


def add_health(server: grpc.Server, services: Iterable[str], senders: Senders) -> Callable[[], None]:
    """Serve health; what is returned says NOT_SERVING from then on, to those who watch too.

    Raises:
        ModuleNotFoundError: grpcio-health-checking is not installed.
    """
    from grpc_health.v1 import health, health_pb2

    # Watch answers without a thread; what waits for its message does so in threads of its own.
    servicer = health.HealthServicer(experimental_thread_pool=ThreadPoolExecutor(2, "health"))
    for name in (*UNQUALIFIED, *services, HEALTH_SERVICE):
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)

    def check(messages: Iterator[Any], context: grpc.ServicerContext) -> Any:
        request = senders.next(messages, context) or health_pb2.HealthCheckRequest()
        return servicer.Check(request, context)

    coded = (health_pb2.HealthCheckRequest.FromString, health_pb2.HealthCheckResponse.SerializeToString)
    handlers = {
        "Check": grpc.stream_unary_rpc_method_handler(check, *coded),
        "Watch": grpc.unary_stream_rpc_method_handler(servicer.Watch, *coded),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(HEALTH_SERVICE, handlers),))
    drain: Callable[[], None] = servicer.enter_graceful_shutdown
    return drain


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
