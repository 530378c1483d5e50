"""A server's configuration of models: TensorFlow Serving's text format ↔ the messages that are sent."""

from __future__ import annotations

from typing import Any

import grpc

from genclient.errors import ClientError, RpcError, UsageError
from genclient.rpc import wire


def server_config(text: str) -> Any:
    """A wire.ServerConfig of TensorFlow Serving's text format (`model_config_list { config { … } }`).

    Raises:
        UsageError: it is no such text; the message says where.
    """
    from google.protobuf import text_format

    if not isinstance(text, str):
        raise UsageError(f"model config: found {type(text).__name__}, expected text: a model_config_list")
    try:
        return text_format.Parse(text, wire.ServerConfig())
    except text_format.ParseError as error:
        raise UsageError(f"model config: {error}, expected TensorFlow Serving's model_config_list") from None


def config_text(config: Any) -> str:
    """A wire.ServerConfig in TensorFlow Serving's text format."""
    from google.protobuf import text_format

    return text_format.MessageToString(config)


def explained(error: RpcError) -> ClientError:
    """What is wrong where a call of genserve's ConfigService failed: perhaps the server is not genserve."""
    if error.code is not grpc.StatusCode.UNIMPLEMENTED:
        return error
    return ClientError(
        f"{error.target} only takes whole configurations, as TensorFlow Serving does: genclient reload FILE"
    )
