"""The model config: parses and validates `--model_config_file` or a ReloadConfigRequest.

The checks and messages are those of TF Serving. manager.py applies the config.
Source: TF Serving's config/model_server_config.proto and model_servers/server_core.cc.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tensorflow_serving.config import model_server_config_pb2

from genserve.errors import ServeError, invalid_argument
from genserve.options import textproto
from genserve.options.flags import Flags
from genserve.repository.versions import ALL, LATEST, Place, Policy, place

log = logging.getLogger(__name__)

PLATFORM = "tensorflow"
MAX_MODELS = 1000  # each has a thread that watches its folder


@dataclass(frozen=True)
class ModelConfig:
    """The config of a model: its name, base path, version policy and version labels."""

    name: str
    base_path: Place
    policy: Policy = LATEST
    labels: Mapping[str, int] = field(default_factory=dict)


def from_flags(flags: Flags) -> list[ModelConfig]:
    """The models in the flags.

    Raises:
        FlagError: the config file cannot be read.
        ServeError: INVALID_ARGUMENT for what it says.
    """
    if not flags.model_config_file:
        return [ModelConfig(flags.model_name, flags.base_path)]
    models = from_file(flags.model_config_file)
    if models is None:
        log.warning("%s is empty: no model is served", flags.model_config_file)
    return models or []


def from_file(path: str) -> list[ModelConfig] | None:
    """The models of a text proto ModelServerConfig; None where it is empty, which changes nothing in TF Serving.

    Raises:
        FlagError: the file cannot be read.
        ServeError: INVALID_ARGUMENT for what it says.
    """
    config = textproto.read(path, model_server_config_pb2.ModelServerConfig, "model_config_file")
    kind = config.WhichOneof("config")
    if kind == "custom_model_config":
        raise invalid_argument(f"{path}: custom_model_config is not supported; expected model_config_list")
    return from_list(config.model_config_list) if kind else None


def from_list(models: Any) -> list[ModelConfig]:
    """The models of a ModelConfigList.

    Raises:
        ServeError: INVALID_ARGUMENT for too many models, a name listed twice, a relative or remote base path, an
            unknown platform.
    """
    if len(models.config) > MAX_MODELS:
        raise invalid_argument(f"{len(models.config)} models in one config: expected at most {MAX_MODELS}")
    names: set[str] = set()
    for model in models.config:
        if model.name in names:
            raise invalid_argument(f"Illegal to list model {model.name} multiple times in config list")
        names.add(model.name)
    for model in models.config:
        _check_base_path(model)
    for model in models.config:
        _check_platform(model)
    return [_config(model) for model in models.config]


def to_proto(model: ModelConfig) -> Any:
    """A model as a ModelConfig proto, which `from_list` reads as the same."""
    proto = model_server_config_pb2.ModelConfig(
        name=model.name, base_path=str(model.base_path), model_platform=PLATFORM, version_labels=model.labels
    )
    policy = proto.model_version_policy
    if model.policy.specific is not None:
        policy.specific.versions.extend(sorted(model.policy.specific))
    elif model.policy.latest is None:
        policy.all.SetInParent()
    else:
        policy.latest.num_versions = model.policy.latest
    return proto


def _config(model: Any) -> ModelConfig:
    return ModelConfig(
        model.name, place(model.base_path), _policy(model.model_version_policy), dict(model.version_labels)
    )


def _policy(proto: Any) -> Policy:
    kind = proto.WhichOneof("policy_choice")
    if kind == "all":
        return ALL
    if kind == "specific":
        return Policy(specific=frozenset(proto.specific.versions))
    return Policy(latest=max(proto.latest.num_versions, 1))


def _check_base_path(model: Any) -> None:
    try:
        found = place(model.base_path)
    except ServeError as error:
        raise ServeError(error.code, f"Model {model.name}: base_path {error.message}") from error
    if isinstance(found, Path) and not found.is_absolute():
        raise invalid_argument(
            f"Expected model {model.name} to have an absolute path or URI; got base_path()={model.base_path}"
        )


def _check_platform(model: Any) -> None:
    """Check the platform field, or the deprecated enum (GetPlatform): both must be TensorFlow."""
    if model.model_type != model_server_config_pb2.MODEL_TYPE_UNSPECIFIED:
        if model.model_platform:
            raise invalid_argument(
                "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform."
            )
        if model.model_type != model_server_config_pb2.TENSORFLOW:
            raise invalid_argument(f"ModelServerConfig::model_type choice {model.model_type} not supported.")
    elif not model.model_platform:
        raise invalid_argument(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform."
        )
    elif model.model_platform != PLATFORM:
        raise invalid_argument(f"Model {model.name} requests unsupported platform {model.model_platform}")
