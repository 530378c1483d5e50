"""One connection to a server and the three calls made over it, each under a deadline, each error a ClientError.

It knows gRPC and TensorFlow Serving's method names; not what tensors mean (codec.py) or a generator is (client.py).
Messages cross gRPC as bytes and are parsed here: gRPC would report a reply that does not parse on stderr by itself.
"""

from __future__ import annotations

import re
from typing import Any

import grpc
from google.protobuf.message import DecodeError

from genclient import wire
from genclient.errors import ClientError, UsageError

_OPTIONS = [
    # A batch of images passes gRPC's default of 4 MiB at once; this is the most that TensorFlow Serving takes.
    ("grpc.max_receive_message_length", 2**31 - 1),
    ("grpc.max_send_message_length", 2**31 - 1),
    # gRPC gives a connection attempt 20 s and waits up to 2 min between attempts; its least wait is also an attempt's
    # time limit. A host that does not answer is reported within seconds, and `wait` sees a port soon after it opens.
    ("grpc.min_reconnect_backoff_ms", 2000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
]
_PREDICTION = "/tensorflow.serving.PredictionService/"
_MODEL = "/tensorflow.serving.ModelService/"


class RpcError(ClientError):
    """A call that a server refused, or that did not reach one; exit code 64 + the gRPC status."""

    def __init__(self, target: str, error: grpc.RpcError) -> None:
        """Word the status and details of `error` for a user."""
        self.code: grpc.StatusCode = error.code()
        details = str(error.details())
        if self.code is grpc.StatusCode.UNAVAILABLE:
            message = f"no server is ready at {target}: {details}"
        else:
            message = f"{target} answered {self.code.name}: {details}"
        super().__init__(message, exit_code=64 + self.code.value[0])


class Channel:
    """An unencrypted connection to `target`, made on the first call; a context manager that closes it."""

    def __init__(self, target: str, timeout_seconds: float) -> None:
        """Take the address and the time that each call may last.

        Args:
            target: HOST:PORT or unix:PATH.
            timeout_seconds: deadline of a call, connecting included.

        Raises:
            UsageError: the target has no port, or the timeout is not a positive number.
        """
        if not re.fullmatch(r"unix:.+|(dns:|ipv4:|ipv6:)?[^\s/]*[^\s/:]:\d{1,5}", target):
            raise UsageError(f"target: found {target!r}, expected HOST:PORT or unix:PATH")
        if not 0 < timeout_seconds < 1e9:
            raise UsageError(f"timeout: found {timeout_seconds}, expected seconds above 0")
        self.target = target
        self.timeout_seconds = timeout_seconds
        self._channel = grpc.insecure_channel(target, options=_OPTIONS)

    def __enter__(self) -> Channel:
        """Return itself."""
        return self

    def __exit__(self, *exc: object) -> None:
        """Close the connection."""
        self.close()

    def close(self) -> None:
        """Close the connection; calls under way end as cancelled."""
        self._channel.close()

    def predict(self, request: Any) -> Any:
        """The wire.PredictResponse to a wire.PredictRequest."""
        return self._call(_PREDICTION + "Predict", request, wire.PredictResponse)

    def metadata(self, model: str) -> Any:
        """The wire.MetadataResponse about a model's signatures."""
        request = wire.MetadataRequest(model_spec=wire.ModelSpec(name=model), metadata_field=["signature_def"])
        return self._call(_PREDICTION + "GetModelMetadata", request, wire.MetadataResponse)

    def status(self, model: str, timeout_seconds: float | None = None, *, wait_for_ready: bool = False) -> Any:
        """The wire.StatusResponse about a model's versions; with `wait_for_ready`, the server may come up meanwhile."""
        request = wire.StatusRequest(model_spec=wire.ModelSpec(name=model))
        return self._call(_MODEL + "GetModelStatus", request, wire.StatusResponse, timeout_seconds, wait_for_ready)

    def _call(
        self,
        method: str,
        request: Any,
        reply_type: Any,
        timeout_seconds: float | None = None,
        wait_for_ready: bool = False,
    ) -> Any:
        call: Any = self._channel.unary_unary(method)
        timeout = self.timeout_seconds if timeout_seconds is None else timeout_seconds
        try:
            reply = call(request.SerializeToString(), timeout=timeout, wait_for_ready=wait_for_ready)
            return reply_type.FromString(reply)
        except grpc.RpcError as error:
            raise RpcError(self.target, error) from None
        except (DecodeError, ValueError) as error:
            raise ClientError(f"{self.target} sent a reply to {method} that does not parse: {error}") from None
