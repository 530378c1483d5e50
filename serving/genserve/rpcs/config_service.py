"""genserve.ConfigService: reads the current config, and adds, changes or removes a single model.

TensorFlow Serving only takes whole configs (HandleReloadConfigRequest): if two clients each add a model, one is lost.
Here a change applies to the config that is current at that moment. A polled config file still has the last word.
"""

from __future__ import annotations

import logging
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool
from tensorflow_serving.apis import model_management_pb2, model_pb2
from tensorflow_serving.config import model_server_config_pb2

from genserve.errors import ServeError, invalid_argument, not_found, truncated
from genserve.models import config
from genserve.models.config import ModelConfig
from genserve.models.manager import Manager
from genserve.rpcs.rpc import Call, Respond

log = logging.getLogger(__name__)

NAME = "genserve.ConfigService"
_METHODS = {
    "GetConfig": (".genserve.GetConfigRequest", ".tensorflow.serving.ModelServerConfig"),
    "SetModel": (".tensorflow.serving.ModelConfig", ".tensorflow.serving.ReloadConfigResponse"),
    "RemoveModel": (".tensorflow.serving.ModelSpec", ".tensorflow.serving.ReloadConfigResponse"),
}


def rpcs(models: Manager) -> dict[str, Respond]:
    """The service's RPCs, as functions from the bytes of a request to those of the response.

    `GetConfig` (an empty request) returns a ModelServerConfig. `SetModel` takes a ModelConfig, which takes the place of
    the one of that name or is added, and returns once it is available. `RemoveModel` takes a ModelSpec with a name.
    """
    describe()

    def get_config(data: bytes, call: Call) -> bytes:
        return read(models).SerializeToString()  # type: ignore[no-any-return]

    def set_model(data: bytes, call: Call) -> bytes:
        return changed(set_one, models, model_server_config_pb2.ModelConfig.FromString(data), call)

    def remove_model(data: bytes, call: Call) -> bytes:
        return changed(remove_one, models, model_pb2.ModelSpec.FromString(data), call)

    return {"GetConfig": get_config, "SetModel": set_model, "RemoveModel": remove_model}


def read(models: Manager) -> Any:
    """The config that is served, as a ModelServerConfig."""
    proto = model_server_config_pb2.ModelServerConfig()
    proto.model_config_list.config.extend(config.to_proto(model) for model in models.configs)
    return proto


def set_one(before: list[ModelConfig], request: Any) -> list[ModelConfig]:
    """The config with one model put in its place, or added.

    Raises:
        ServeError: INVALID_ARGUMENT for a model that cannot be served.
    """
    (model,) = config.from_list(model_server_config_pb2.ModelConfigList(config=[request]))
    if model.name in {other.name for other in before}:
        return [model if other.name == model.name else other for other in before]
    if len(before) >= config.MAX_MODELS:
        raise invalid_argument(f"{len(before)} models are in the config: expected at most {config.MAX_MODELS}")
    return [*before, model]


def remove_one(before: list[ModelConfig], request: Any) -> list[ModelConfig]:
    """The config without one model.

    Raises:
        ServeError: NOT_FOUND where there is none of that name.
    """
    if request.name not in {model.name for model in before}:
        raise not_found(f"Model {request.name} is not in the config")
    return [model for model in before if model.name != request.name]


def changed(change: Any, models: Manager, request: Any, call: Call) -> bytes:
    """Apply a change; the response is that of HandleReloadConfigRequest."""
    try:
        models.change(lambda before: change(before, request), call.waiting)
    except ServeError as error:
        log.error("change of the config refused: %s: %s", error.code.name, truncated(error.line))
        raise
    log.info("config changed: now %s", truncated(", ".join(model.name for model in models.configs)) or "no model")
    response = model_management_pb2.ReloadConfigResponse()
    response.status.SetInParent()
    return response.SerializeToString()  # type: ignore[no-any-return]


def describe() -> None:
    """Put the service's description where server reflection finds it."""
    file = descriptor_pb2.FileDescriptorProto(name="genserve/config_service.proto", package="genserve", syntax="proto3")
    file.dependency.extend(
        module.DESCRIPTOR.name for module in (model_server_config_pb2, model_management_pb2, model_pb2)
    )
    file.message_type.add(name="GetConfigRequest")
    service = file.service.add(name=NAME.rpartition(".")[2])
    for method, (request, response) in _METHODS.items():
        service.method.add(name=method, input_type=request, output_type=response)
    descriptor_pool.Default().AddSerializedFile(file.SerializeToString())
