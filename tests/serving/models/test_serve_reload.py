"""A server of several models: its polled config file, reloads by RPC, a unix socket, health and reflection."""

from __future__ import annotations

import contextlib
import signal
import threading

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from model_configs import entry, model_list, text, write
from tensorflow_serving.apis import model_management_pb2, model_pb2, predict_pb2
from tensorflow_serving.config import model_server_config_pb2

AVAILABLE = 30
SERVING, NOT_SERVING, UNKNOWN = 1, 2, 3
INVALID = grpc.StatusCode.INVALID_ARGUMENT


@pytest.fixture(scope="module")
def served(run_genserve, counters, tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    file, path = folder / "models.config", folder / "s"
    labels = 'version_labels { key: "stable" value: 1 } version_labels { key: "canary" value: 3 }'
    write(
        file,
        text(entry("a", counters / "a", "model_version_policy { all {} } " + labels), entry("b", counters / "b")),
    )
    server = run_genserve(
        None, "a", None,
        f"--model_config_file={file}",
        "--model_config_file_poll_wait_seconds=0.1",
        "--allow_version_labels_for_unavailable_models",
        f"--grpc_socket_path={path}",
        "--enable_grpc_healthcheck_service=true",
    ).ready()  # fmt: skip
    server.file, server.socket = file, path
    return server


def version_of(server, **spec):
    return server.predict(x=np.zeros(1, np.float32), **spec).model_spec.version.value


def answers(server, request):
    try:
        return server.prediction.Predict(request, timeout=30)
    except grpc.RpcError:
        return None


def test_models_and_labels_of_the_file_are_served(served, until, fails):
    until(lambda: list(served.states().values()) == [AVAILABLE] * 3)
    assert [version_of(served, label=label) for label in ("stable", "canary")] == [1, 3]
    assert (version_of(served), version_of(served, version=2), version_of(served, name="b")) == (3, 2, 10)
    with fails(INVALID, "Unrecognized servable version label: L"):
        version_of(served, label="L")


def test_unix_socket_answers_as_the_port_does(served):
    with grpc.insecure_channel(f"unix:{served.socket}") as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        request = served.request(x=np.zeros(1, np.float32)).SerializeToString()
        answer = predict_pb2.PredictResponse.FromString(call(request, timeout=30))
    assert answer.model_spec.version.value == 3


def test_health_knows_the_names_of_tensorflow_serving_and_the_qualified_ones(served):
    stub = health_pb2_grpc.HealthStub(served.channel)
    names = ["", "ModelService", "PredictionService"]
    names += ["tensorflow.serving.ModelService", "tensorflow.serving.PredictionService"]
    for name in names:
        assert stub.Check(health_pb2.HealthCheckRequest(service=name)).status == SERVING, name
    with pytest.raises(grpc.RpcError) as failure:
        stub.Check(health_pb2.HealthCheckRequest(service="cat"))
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_lists_the_services(served):
    stub = reflection_pb2_grpc.ServerReflectionStub(served.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    (answer,) = stub.ServerReflectionInfo(iter([request]))
    names = {service.name for service in answer.list_services_response.service}
    expected = {"tensorflow.serving.PredictionService", "tensorflow.serving.ModelService", "genserve.ConfigService"}
    assert expected | {"grpc.health.v1.Health"} <= names
    for name in names:
        request = reflection_pb2.ServerReflectionRequest(file_containing_symbol=name)
        (answer,) = stub.ServerReflectionInfo(iter([request]))
        assert answer.file_descriptor_response.file_descriptor_proto, name


def test_file_is_polled_and_labels_move_without_a_restart(served, counters, until):
    labels = 'version_labels { key: "stable" value: 3 } version_labels { key: "canary" value: 2 }'
    write(served.file, text(entry("a", counters / "a", "model_version_policy { all {} } " + labels)))
    until(lambda: version_of(served, label="stable") == 3)
    assert version_of(served, label="canary") == 2
    with pytest.raises(grpc.RpcError) as failure:
        version_of(served, name="b")
    assert failure.value.details() == "Servable not found for request: Latest(b)"


def test_reload_request_returns_once_the_new_models_are_available(served, counters, fails):
    # What a client reloads lasts until the file is polled again: keep both alike but for the model asked for at once.
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.CopyFrom(model_list(entry("a", counters / "a"), entry("c", counters / "b")))
    served.file.rename(served.file.with_suffix(".away"))
    answer = served.models.HandleReloadConfigRequest(request, timeout=60)
    assert answer.status.error_code == 0
    assert version_of(served, name="c") == 10
    request.config.model_config_list.config.add(name="a", base_path="/m", model_platform="tensorflow")
    with fails(INVALID, "Illegal to list model a multiple times in config list"):
        served.models.HandleReloadConfigRequest(request, timeout=60)
    assert version_of(served, name="c") == 10


def test_config_is_read_back_and_one_model_of_it_changed(served, counters, until, fails):
    assert not served.file.exists()  # a polled file would have the last word

    def call(method, request, response):
        path = f"/genserve.ConfigService/{method}"
        return response.FromString(served.channel.unary_unary(path)(request.SerializeToString(), timeout=60))

    def config_now():
        found = call("GetConfig", model_pb2.ModelSpec(), model_server_config_pb2.ModelServerConfig)
        return list(found.model_config_list.config)

    reloaded = model_management_pb2.ReloadConfigResponse
    (one,) = model_list(entry("d", counters / "a", "model_version_policy { specific { versions: [1, 3] } }")).config
    before = config_now()
    call("SetModel", one, reloaded)
    assert version_of(served, name="d") == 3
    oldest = served.request(name="d", version=1, x=np.zeros(1, np.float32))
    until(lambda: answers(served, oldest))
    assert config_now() == [*before, one]
    one.version_labels["stable"] = 1
    call("SetModel", one, reloaded)
    assert (version_of(served, name="d", label="stable"), config_now()) == (1, [*before, one])
    call("RemoveModel", model_pb2.ModelSpec(name="d"), reloaded)
    assert config_now() == before
    with fails(grpc.StatusCode.NOT_FOUND, "Model d is not in the config"):
        call("RemoveModel", model_pb2.ModelSpec(name="d"), reloaded)
    one.base_path = "relative"
    with fails(INVALID, "Expected model d to have an absolute path or URI; got base_path()=relative"):
        call("SetModel", one, reloaded)
    assert config_now() == before


def test_draining_server_tells_those_who_watch_its_health_and_is_not_held_up_by_them(served):
    stub, names = health_pb2_grpc.HealthStub(served.channel), ("PredictionService", "unknown")
    watches = {name: stub.Watch(health_pb2.HealthCheckRequest(service=name)) for name in names}
    seen = {name: [next(watch).status] for name, watch in watches.items()}

    def follow(name):
        with contextlib.suppress(grpc.RpcError):
            for update in watches[name]:
                seen[name].append(update.status)

    followers = [threading.Thread(target=follow, args=(name,)) for name in names]
    for follower in followers:
        follower.start()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(60) == 0
    for follower in followers:
        follower.join(60)
    assert seen == {"PredictionService": [SERVING, NOT_SERVING], "unknown": [UNKNOWN, UNKNOWN]}
