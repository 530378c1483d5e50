"""The one exception that genserve raises on purpose: a gRPC status code and a message for the client.

Every module raises it. rpcs/rpc.py turns it into the status of an RPC, models/model.py into the status of a version,
and cli.py into a line on stderr. Not for bugs: any other exception in a request becomes INTERNAL.
"""

from __future__ import annotations

from typing import Any

import grpc

MESSAGE_LIMIT_BYTES = 1024  # kErrorMessageLimit in TF Serving's grpc_status_util.cc
_CODES = {code.value[0]: code for code in grpc.StatusCode}


class ServeError(Exception):
    """An error with a gRPC status code; the message is for the client."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        """Keep the code beside the message."""
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def line(self) -> str:
        """The first line of the message; TensorFlow appends stack traces, which do not belong in logs."""
        return self.message.strip().split("\n", 1)[0]


def invalid_argument(message: str) -> ServeError:
    """The error for most bad requests."""
    return ServeError(grpc.StatusCode.INVALID_ARGUMENT, message)


def failed_precondition(message: str) -> ServeError:
    """The error for a request that needs something else to be done first."""
    return ServeError(grpc.StatusCode.FAILED_PRECONDITION, message)


def not_found(message: str) -> ServeError:
    """The error for a model, version or file that does not exist."""
    return ServeError(grpc.StatusCode.NOT_FOUND, message)


def internal(message: str) -> ServeError:
    """The error for a failure that is not the client's fault."""
    return ServeError(grpc.StatusCode.INTERNAL, message)


def from_tensorflow(error: Any) -> ServeError:
    """The same code and message as a `tf.errors.OpError`; its codes are gRPC's by number."""
    return ServeError(_CODES.get(error.error_code, grpc.StatusCode.UNKNOWN), error.message)


def truncated(message: str) -> str:
    """The message as TF Serving sends it: at most 1024 bytes, then `...TRUNCATED` (grpc_status_util.cc)."""
    encoded = message.encode()
    if len(encoded) <= MESSAGE_LIMIT_BYTES:
        return message
    return encoded[:MESSAGE_LIMIT_BYTES].decode(errors="ignore") + "...TRUNCATED"
