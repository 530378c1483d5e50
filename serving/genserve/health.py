"""The standard health service (`--enable_grpc_healthcheck_service`) and server reflection.

Health answers SERVING from the moment the port opens, which is when the first models are available, and NOT_SERVING
once the server drains. Source: grpc/doc/health-checking.md; TF Serving's model_servers/server.cc.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

import grpc

log = logging.getLogger(__name__)

HEALTH_SERVICE = "grpc.health.v1.Health"
# TF Serving registers the bare names; clients that follow gRPC's convention ask for the qualified ones.
UNQUALIFIED = ("", "ModelService", "PredictionService")


def add_health(server: grpc.Server, services: Iterable[str]) -> Callable[[], None]:
    """Serve health; what is returned says NOT_SERVING from then on, to those who watch too.

    Raises:
        ModuleNotFoundError: grpcio-health-checking is not installed.
    """
    from grpc_health.v1 import health, health_pb2, health_pb2_grpc

    servicer = health.HealthServicer()
    for name in (*UNQUALIFIED, *services, HEALTH_SERVICE):
        servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    drain: Callable[[], None] = servicer.enter_graceful_shutdown
    return drain


def add_reflection(server: grpc.Server, services: Iterable[str]) -> None:
    """Let tools such as grpcurl list and describe the services, where grpcio-reflection is installed."""
    # Reflection describes what has been imported.
    from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2  # noqa: F401

    try:
        from grpc_reflection.v1alpha import reflection
    except ModuleNotFoundError:
        log.debug("no reflection: grpcio-reflection is not installed")
        return
    reflection.enable_server_reflection([*services, reflection.SERVICE_NAME], server)
