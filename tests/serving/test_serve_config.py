"""Several models: the config file, version policies, labels, reloading by file and by RPC, health and reflection."""

from __future__ import annotations

import signal
import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf
from genserve import config
from genserve.errors import ServeError
from genserve.flags import FlagError, Flags
from genserve.loader import Loader, session_config
from genserve.manager import Manager
from genserve.predict import respond
from genserve.reload import FilePoller, reload
from genserve.repository import ALL, Policy
from genserve.states import Retries
from google.protobuf import text_format
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tensorflow_serving.apis import model_management_pb2, model_pb2, predict_pb2
from tensorflow_serving.config import model_server_config_pb2

AVAILABLE, END = 30, 50
SERVING, NOT_SERVING = 1, 2
INVALID = grpc.StatusCode.INVALID_ARGUMENT
UNAVAILABLE_VERSION = (
    "Request to assign label to version {} of model {}, which is not currently available for inference"
)


@pytest.fixture(scope="module")
def counters(tmp_path_factory, save_counter):
    """Base paths of two models: `a` with versions 1 to 3, `b` with 10; the answer of a version is its number."""
    root = tmp_path_factory.mktemp("models")
    for name, version in (("a", 1), ("a", 2), ("a", 3), ("b", 10)):
        save_counter(root / name / str(version), version)
    return root


def entry(name, path, more=""):
    """A model of a config file."""
    return f'config {{ name: "{name}" base_path: "{path}" model_platform: "tensorflow" {more} }}'


def text(*entries):
    """A config file."""
    return "model_config_list { " + "\n".join(entries) + " }"


def model_list(*entries):
    return text_format.Parse(text(*entries), model_server_config_pb2.ModelServerConfig()).model_config_list


def write(path, content):
    """Replaces a file in one rename, as config management does."""
    path.with_suffix(".new").write_text(content)
    path.with_suffix(".new").rename(path)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([entry("a", "/m"), entry("a", "/n")], "Illegal to list model a multiple times in config list"),
        (
            [entry("a", "models/a")],
            "Expected model a to have an absolute path or URI; got base_path()=models/a",
        ),
        (
            ['config { name: "a" base_path: "/m" }'],
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor ModelServerConfig::model_platform.",
        ),
        (
            [entry("a", "/m", "model_type: TENSORFLOW")],
            "Illegal setting both ModelServerConfig::model_type (deprecated) and ModelServerConfig::model_platform.",
        ),
        (
            ['config { name: "a" base_path: "/m" model_type: OTHER }'],
            "ModelServerConfig::model_type choice 2 not supported.",
        ),
        (
            ['config { name: "a" base_path: "/m" model_platform: "caffe" }'],
            "Model a requests unsupported platform caffe",
        ),
        ([entry("a", "hdfs://h/a")], "Model a: base_path hdfs://h/a: only local folders, s3:// and gs:// are served"),
    ],
)
def test_config_that_cannot_be_served_is_refused_in_tensorflow_servings_words(entries, message):
    with pytest.raises(ServeError) as failure:
        config.from_list(model_list(*entries))
    assert (failure.value.code, failure.value.message) == (INVALID, message)


def test_config_says_name_path_policy_and_labels():
    models = config.from_list(
        model_list(
            entry("a", "/m/a"),
            entry("b", "file:///m/b", "model_version_policy { latest { num_versions: 2 } }"),
            entry("c", "/m/c", "model_version_policy { all {} }"),
            entry("d", "/m/d", "model_version_policy { specific { versions: 4 versions: 2 } }"),
            entry("e", "/m/e", 'model_version_policy { latest {} } version_labels { key: "stable" value: 3 }'),
            'config { name: "f" base_path: "/m/f" model_type: TENSORFLOW }',
        )
    )
    assert [(model.name, str(model.base_path)) for model in models] == [(n, f"/m/{n}") for n in "abcdef"]
    assert [model.policy for model in models[:5]] == [
        Policy(1), Policy(2), ALL, Policy(specific=frozenset({2, 4})), Policy(1),
    ]  # fmt: skip
    assert models[4].labels == {"stable": 3}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "--model_config_file={}: No such file or directory"),
        ("model_config_list {", "--model_config_file: Invalid protobuf file: '{}': {parsing}: 1:19 : "),
        ("model_konfig_list {}", "--model_config_file: Invalid protobuf file: '{}': {parsing}: 1:1 : "),
        (b"\xff\xfe", "--model_config_file: Invalid protobuf file: '{}': {parsing}: not UTF-8 text"),
    ],
)
def test_config_file_that_cannot_be_read_is_named_in_one_line(tmp_path, content, line):
    path = tmp_path / "models.config"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(FlagError) as failure:
        config.from_flags(Flags(model_config_file=str(path)))
    parsing = "Error parsing text-format tensorflow.serving.ModelServerConfig"
    assert str(failure.value).startswith(line.format(path, parsing=parsing))
    assert "\n" not in str(failure.value)


def manager(labels_ahead=False):
    """Models in this process, with the real loader."""
    return Manager(Loader(Flags(model_base_path="unused")), 0.05, Retries(count=0), labels_ahead)


def ask(models, name, **version):
    """Which version answers."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = name
    for field, value in version.items():
        if field == "label":
            request.model_spec.version_label = value
        else:
            request.model_spec.version.value = value
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.zeros(1, np.float32)))
    answer = respond(models, request.SerializeToString())
    return predict_pb2.PredictResponse.FromString(answer).model_spec.version.value


def configure(models, *entries):
    models.reload(config.from_list(model_list(*entries)))


def refusal(call, *args):
    with pytest.raises(ServeError) as failure:
        call(*args)
    return failure.value.code, failure.value.message


def test_labels_name_versions_and_only_available_ones(counters, until):
    models, every = manager(), "model_version_policy { all {} } "
    stable = 'version_labels { key: "stable" value: 1 } '
    start = entry("a", counters / "a", every + stable)
    assert refusal(configure, models, start) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        UNAVAILABLE_VERSION.format(1, "a"),
    )
    assert not models
    configure(models, entry("a", counters / "a", every))
    until(lambda: models["a"].available() == [3, 2, 1])
    configure(models, start)
    assert (ask(models, "a", label="stable"), ask(models, "a")) == (1, 3)

    wrong = stable + 'version_labels { key: "canary" value: 9 }'
    assert refusal(configure, models, entry("a", counters / "a", every + wrong))[1] == UNAVAILABLE_VERSION.format(
        9, "a"
    )
    with pytest.raises(ServeError) as failure:
        ask(models, "a", label="canary")
    assert (failure.value.code, failure.value.message) == (INVALID, "Unrecognized servable version label: canary")
    assert ask(models, "a", label="stable") == 1


def test_flag_allows_new_labels_on_versions_to_come_but_moves_none_to_them(counters, until):
    models = manager(labels_ahead=True)
    only = "model_version_policy { specific { versions: %d } } "
    label = 'version_labels { key: "stable" value: %d }'
    configure(models, entry("a", counters / "a", only % 1 + label % 1))
    assert ask(models, "a", label="stable") == 1
    moved = entry("a", counters / "a", only % 2 + label % 2)
    assert refusal(configure, models, moved)[1] == UNAVAILABLE_VERSION.format(2, "a")
    assert ask(models, "a", label="stable") == 1


def test_new_config_replaces_the_old_one_whole_and_unloaded_models_stay_listed(counters, until):
    models = manager()
    configure(models, entry("a", counters / "a"))
    configure(models, entry("b", counters / "b"))
    assert ask(models, "b") == 10
    until(lambda: not models["a"].available())
    with pytest.raises(ServeError) as failure:
        ask(models, "a")
    assert failure.value.message == "Servable not found for request: Latest(a)"
    assert [int(status.state) for status in models["a"].statuses().values()] == [END]
    configure(models, entry("a", counters / "a"), entry("b", counters / "b"))
    assert (ask(models, "a"), ask(models, "b")) == (3, 10)


def test_labels_of_a_reload_take_the_place_of_those_before(counters, until):
    models = manager()
    every = "model_version_policy { all {} } "
    label = 'version_labels { key: "%s" value: %d } '
    configure(models, entry("a", counters / "a", every))
    until(lambda: models["a"].available() == [3, 2, 1])
    configure(models, entry("a", counters / "a", every + label % ("stable", 1) + label % ("canary", 2)))
    configure(models, entry("a", counters / "a", every + label % ("stable", 2)))
    assert ask(models, "a", label="stable") == 2
    with pytest.raises(ServeError) as failure:
        ask(models, "a", label="canary")
    assert failure.value.message == "Unrecognized servable version label: canary"


def test_reload_waits_for_a_model_that_another_reload_is_still_loading(counters, until):
    started, go = threading.Event(), threading.Event()

    class Slow:
        def close(self):
            pass

    def load(name, version, path):
        started.set()
        assert go.wait(30), "nobody let the model load"
        return Slow()

    models = Manager(load, poll_seconds=0.01)
    configs = config.from_list(model_list(entry("b", counters / "b")))
    polled = threading.Thread(target=models.reload, args=(configs,), daemon=True)
    polled.start()
    assert started.wait(30)
    available = []
    asked = threading.Thread(
        target=lambda: (models.reload(configs), available.extend(models["b"].available())), daemon=True
    )
    asked.start()
    asked.join(0.5)
    assert (asked.is_alive(), available) == (True, [])
    go.set()
    asked.join(30)
    polled.join(30)
    assert available == [10]
    models.reload(configs)  # all the same, and nothing is waited for


def test_models_taken_out_of_the_config_leave_no_thread_and_no_entry_behind(counters, until):
    models = manager()
    before = threading.active_count()
    for number in range(20):
        configure(models, entry(f"m{number}", counters / "b"))
        assert ask(models, f"m{number}") == 10
    configure(models, entry("last", counters / "b"))
    until(lambda: list(models) == ["last"])
    until(lambda: threading.active_count() == before + 1)
    assert [int(status.state) for status in models["m7"].statuses().values()] == [END]
    configure(models, entry("m7", counters / "b"), entry("last", counters / "b"))
    assert (ask(models, "m7"), len(models)) == (10, 2)


def test_new_model_that_cannot_load_is_an_error_and_one_that_is_awaited_ends_with_the_client(counters, tmp_path):
    (tmp_path / "bad" / "1").mkdir(parents=True)
    models = manager()
    code, message = refusal(configure, models, entry("b", counters / "b"), entry("bad", tmp_path / "bad"))
    assert code is grpc.StatusCode.UNKNOWN
    unavailable = (
        "1 model(s) did not become available: {{{name: bad version: 1} due to error: NOT_FOUND: Could not find"
    )
    assert message.startswith(unavailable)
    assert ask(models, "b") == 10
    models.reload(
        config.from_list(model_list(entry("b", counters / "b"), entry("none", tmp_path / "none"))),
        iter([True, True, False]).__next__,
    )
    assert ask(models, "b") == 10


def test_reload_takes_only_lists_of_models_and_answers_ok():
    models = manager()
    request = model_management_pb2.ReloadConfigRequest()
    message = (
        "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently supported"
    )
    assert refusal(reload, models, request) == (INVALID, message)
    request.config.model_config_list.SetInParent()
    answer = reload(models, request)
    assert (answer.HasField("status"), answer.status.error_code) == (True, 0)


def test_polled_file_that_is_broken_changes_nothing_and_is_logged_once(counters, tmp_path, caplog):
    path, models = tmp_path / "models.config", manager()
    poller = FilePoller(models, str(path))
    write(path, text(entry("a", counters / "a")))
    poller.poll()
    assert ask(models, "a") == 3
    write(path, "model_config_list {")
    for _ in range(3):
        poller.poll()
    write(path, "")
    poller.poll()
    path.unlink()
    poller.poll()
    assert ask(models, "a") == 3
    assert [record.getMessage()[:30] for record in caplog.records if record.levelname == "ERROR"] == [
        "model config file not applied:"
    ] * 2


def test_session_settings_come_from_the_file_and_the_flags_go_over_it(tmp_path):
    file = tmp_path / "session.config"
    file.write_text("intra_op_parallelism_threads: 3 inter_op_parallelism_threads: 4 allow_soft_placement: true")
    flags = Flags(
        model_base_path="m",
        tensorflow_session_config_file=str(file),
        tensorflow_intra_op_parallelism=1,
        per_process_gpu_memory_fraction=0.5,
    )
    made = session_config(flags)
    assert (made.intra_op_parallelism_threads, made.inter_op_parallelism_threads) == (1, 4)
    assert (made.allow_soft_placement, made.gpu_options.per_process_gpu_memory_fraction) == (True, 0.5)
    both = session_config(Flags(model_base_path="m", tensorflow_session_parallelism=2))
    assert (both.intra_op_parallelism_threads, both.inter_op_parallelism_threads) == (2, 2)


def test_tags_choose_the_meta_graph_and_unknown_ones_are_an_error_of_one_line(counters):
    load = Loader(Flags(model_base_path="m", saved_model_tags="serve,tpu"))
    code, message = refusal(load, "a", 1, counters / "a" / "1")
    assert code is grpc.StatusCode.NOT_FOUND
    assert message.startswith("MetaGraphDef associated with tags")
    assert "\n" not in message


def test_batching_parameters_per_model_batch_only_versions_that_bring_them(counters, copy_version, tmp_path):
    load = Loader(Flags(model_base_path="m", enable_batching=True, enable_per_model_batching_parameters=True))
    without = load("a", 1, counters / "a" / "1")
    own = copy_version(counters / "a" / "1", tmp_path / "a" / "1")
    (own / "batching_params.pbtxt").write_text("max_batch_size { value: 4 }")
    batched = load("a", 1, own)
    (own / "batching_params.pbtxt").write_text("max_batch_size { value")
    with pytest.raises(FlagError):
        load("a", 1, own)
    assert (type(without).__name__, type(batched).__name__) == ("Servable", "BatchingSession")
    without.close()
    batched.close()


def test_without_warmup_a_version_loads_whatever_its_requests_are(counters, copy_version, tmp_path):
    path = copy_version(counters / "a" / "1", tmp_path / "a" / "1")
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"no record" * 9)
    assert refusal(Loader(Flags(model_base_path="m")), "a", 1, path)[0] is grpc.StatusCode.DATA_LOSS
    Loader(Flags(model_base_path="m", enable_model_warmup=False))("a", 1, path).close()


# From here on: one server, with a polled config file, a unix socket, health and reflection.


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
    stub, seen = health_pb2_grpc.HealthStub(served.channel), []
    watch = stub.Watch(health_pb2.HealthCheckRequest(service="PredictionService"))
    first = next(watch)

    def follow():
        try:
            for update in watch:
                seen.append(update.status)
        except grpc.RpcError:
            pass

    follower = threading.Thread(target=follow)
    follower.start()
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(60) == 0
    follower.join(60)
    assert (first.status, seen) == (SERVING, [NOT_SERVING])
