"""The monitoring config file: whether the REST port serves Prometheus metrics, and under which path.

Source: TF Serving's config/monitoring_config.proto and model_servers/http_server.cc.
"""

from __future__ import annotations

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from genserve.options import textproto
from genserve.options.flags import FlagError

FLAG = "monitoring_config_file"
PROMETHEUS_PATH = "/monitoring/prometheus/metrics"


def prometheus_path(config_file: str) -> str:
    """The path of the metrics in the config file, or "" if disabled.

    Raises:
        FlagError: the file cannot be read, or its path is none or belongs to the REST API.
    """
    config = textproto.read(config_file, _config_class(), FLAG).prometheus_config
    if not config.enable:
        return ""
    path = str(config.path) or PROMETHEUS_PATH
    if not path.startswith("/") or path.lower().startswith("/v1/"):
        raise FlagError(
            f"--{FLAG}: {config_file}: prometheus_config.path: expected a path such as {PROMETHEUS_PATH}, not "
            f"under /v1/, found {path!r}"
        )
    return path


def _config_class() -> Any:
    """MonitoringConfig of TF Serving's config/monitoring_config.proto, which tensorflow-serving-api lacks."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(
        name="genserve/MonitoringConfig.proto", package=textproto.PACKAGE, syntax="proto3"
    )
    prometheus = file.message_type.add(name="PrometheusConfig")
    prometheus.field.add(name="enable", number=1, type=field.TYPE_BOOL, label=field.LABEL_OPTIONAL)
    prometheus.field.add(name="path", number=2, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    config = file.message_type.add(name="MonitoringConfig")
    config.field.add(
        name="prometheus_config",
        number=1,
        type=field.TYPE_MESSAGE,
        type_name=f".{textproto.PACKAGE}.PrometheusConfig",
        label=field.LABEL_OPTIONAL,
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{textproto.PACKAGE}.MonitoringConfig"))
