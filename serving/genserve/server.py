"""The server: watches the repository, opens the port once a version is available, answers, and drains at the end.

Puts the other modules together: which RPC is answered by which function, what an error looks like on the wire. Not for
what the answers say.
Source: TF Serving's model_servers/server.cc and prediction_service_impl.cc.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from genserve.errors import ServeError, truncated
from genserve.flags import Flags
from genserve.metadata import metadata
from genserve.model import Model, Models
from genserve.port import ADDRESS, cannot_listen
from genserve.predict import predict
from genserve.servable import Servable
from genserve.status import status
from genserve.warmup import warm_up

log = logging.getLogger(__name__)

GRACE_SECONDS = 30.0  # for requests in flight after SIGTERM
MESSAGE_LIMIT_BYTES = 2**31 - 1
# TensorFlow spreads one request over all cores; more threads than cores keep short requests going beside long ones.
THREADS = max(16, 4 * (os.cpu_count() or 1))

Answer = Callable[[Models[Servable], Any], Any]

RPCS: dict[str, dict[str, tuple[Answer, Any]]] = {
    "tensorflow.serving.PredictionService": {
        "Predict": (predict, predict_pb2.PredictRequest),
        "GetModelMetadata": (metadata, get_model_metadata_pb2.GetModelMetadataRequest),
    },
    "tensorflow.serving.ModelService": {
        "GetModelStatus": (status, get_model_status_pb2.GetModelStatusRequest),
    },
}


def serve(flags: Flags, stop: threading.Event) -> None:
    """Serve until `stop` is set; then finish what is in flight, for 30 seconds at most.

    Raises:
        ServeError: the port is taken, or there is nothing to serve and nobody looks for it again.
    """
    tf.get_logger().setLevel(logging.ERROR)
    models = {flags.model_name: Model(flags.model_name, flags.base_path, load)}
    watcher = threading.Thread(
        target=watch, args=(models, flags.file_system_poll_wait_seconds, stop), name="watcher", daemon=True
    )
    watcher.start()
    while not all(model.ready.wait(0.1) for model in models.values()):
        if stop.is_set():
            return
        if not watcher.is_alive() and not all(model.ready.is_set() for model in models.values()):
            raise ServeError(
                grpc.StatusCode.NOT_FOUND,
                f"nothing to serve under {flags.base_path}, and --file_system_poll_wait_seconds=0 looks only once",
            )
    server = start(models, flags.port)
    for model in models.values():
        log.info("serving %s version %d on %s:%d", model.name, model.latest, ADDRESS, flags.port)
    stop.wait()
    log.info("stopping: no new requests, up to %.0f s for those in flight", GRACE_SECONDS)
    server.stop(GRACE_SECONDS).wait()
    log.info("stopped")


def load(name: str, version: int, path: Path) -> Servable:
    """Load a version and warm it up: only what has answered all its warm-up requests may serve."""
    servable = Servable.load(name, version, path)
    try:
        warm_up(servable, path)
    except BaseException:
        servable.close()
        raise
    return servable


def watch(models: Models[Servable], seconds: float, stop: threading.Event) -> None:
    """Poll every model's folder until told to stop; only once where `seconds` is 0."""
    while True:
        for model in models.values():
            try:
                model.poll()
            except Exception:
                log.exception("looking for versions of %s failed", model.name)
        if seconds == 0 or stop.wait(seconds):
            return


def start(models: Models[Servable], port: int) -> grpc.Server:
    """Open the port and answer on it.

    Raises:
        ServeError: UNAVAILABLE, naming the port.
    """
    server = grpc.server(
        ThreadPoolExecutor(THREADS, thread_name_prefix="rpc"),
        options=[
            ("grpc.max_send_message_length", MESSAGE_LIMIT_BYTES),
            ("grpc.max_receive_message_length", MESSAGE_LIMIT_BYTES),
            ("grpc.so_reuseport", 0),  # else a second server would silently take half of the requests
        ],
    )
    for service, methods in RPCS.items():
        handlers = {name: _handler(models, *method) for name, method in methods.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, handlers),))
    try:
        server.add_insecure_port(f"{ADDRESS}:{port}")
    except RuntimeError as error:
        raise cannot_listen(port, "the port is in use") from error
    server.start()
    return server


def _handler(models: Models[Servable], answer: Answer, request_type: Any) -> grpc.RpcMethodHandler[bytes, bytes]:
    """One RPC: bytes in, bytes out; whatever goes wrong is a status, never the end of the server."""

    def handle(data: bytes, context: grpc.ServicerContext) -> bytes:
        try:
            response: bytes = answer(models, request_type.FromString(data)).SerializeToString()
            return response
        except ServeError as error:
            failure = error
        except DecodeError:
            failure = ServeError(grpc.StatusCode.INTERNAL, f"the request is no {request_type.DESCRIPTOR.name}")
        except Exception as error:
            log.exception("a %s failed", request_type.DESCRIPTOR.name)
            failure = ServeError(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}".split("\n", 1)[0])
        return context.abort(failure.code, truncated(failure.message))

    return grpc.unary_unary_rpc_method_handler(handle)
