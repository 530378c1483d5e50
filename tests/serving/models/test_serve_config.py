"""Several models in one process: what a config says and may not say, labels, reloading, and how versions are loaded."""

from __future__ import annotations

import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf
from genserve.errors import ServeError
from genserve.loading.loader import Loader, session_config
from genserve.models import config
from genserve.models.manager import Manager
from genserve.models.reload import FilePoller, reload
from genserve.models.states import Retries
from genserve.options.flags import FlagError, Flags
from genserve.repository.versions import ALL, Policy
from genserve.rpcs import config_service
from genserve.rpcs.predict import respond
from genserve.rpcs.rpc import Call
from model_configs import entry, model_list, text, write
from tensorflow_serving.apis import model_management_pb2, predict_pb2

END = 50
INVALID = grpc.StatusCode.INVALID_ARGUMENT
UNAVAILABLE_VERSION = (
    "Request to assign label to version {} of model {}, which is not currently available for inference"
)


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
    answer = respond(models, request.SerializeToString(), Call(None, lambda: True, tuple))
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
    configure(models, entry("b", counters / "b"), entry("a", counters / "a"))
    assert (ask(models, "a"), ask(models, "b")) == (3, 10)
    assert [each.name for each in models.configs] == ["b", "a"]


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


def test_models_taken_out_of_the_config_leave_no_thread_and_no_entry_behind(counters, until, monkeypatch):
    monkeypatch.setattr("genserve.models.manager.REMEMBERED", 15)
    models = manager()
    before = threading.active_count()
    for number in range(20):
        configure(models, entry(f"m{number}", counters / "b"))
        assert ask(models, f"m{number}") == 10
    configure(models, entry("last", counters / "b"))
    until(lambda: list(models) == ["last"])
    until(lambda: threading.active_count() == before + 1)
    assert sum(f"m{number}" in models for number in range(20)) == 15
    assert [int(status.state) for status in models["m19"].statuses().values()] == [END]
    configure(models, entry("m19", counters / "b"), entry("last", counters / "b"))
    assert (ask(models, "m19"), list(models)) == (10, ["last", "m19"])


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
    labelled = entry("bad", tmp_path / "bad", 'version_labels { key: "stable" value: 1 }')
    assert refusal(configure, models, entry("b", counters / "b"), labelled)[1] == UNAVAILABLE_VERSION.format(1, "bad")
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


def test_one_model_is_set_in_its_place_and_others_only_as_long_as_there_is_room(monkeypatch):
    before = config.from_list(model_list(entry("a", "/m/a"), entry("b", "/m/b")))
    (changed,) = model_list(entry("a", "/m/c")).config
    after = config_service.set_one(before, changed)
    assert [(each.name, str(each.base_path)) for each in after] == [("a", "/m/c"), ("b", "/m/b")]
    monkeypatch.setattr(config, "MAX_MODELS", 2)
    assert len(config_service.set_one(before, changed)) == 2
    changed.name = "c"
    message = "2 models are in the config: expected at most 2"
    assert refusal(config_service.set_one, before, changed) == (INVALID, message)


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
    assert (
        session_config(Flags(model_base_path="m", tensorflow_inter_op_parallelism=5)).inter_op_parallelism_threads == 5
    )
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
    assert (type(without).__name__, type(batched).__name__) == ("SavedModelServable", "BatchingSession")
    without.close()
    batched.close()


def test_without_warmup_a_version_loads_whatever_its_requests_are(counters, copy_version, tmp_path):
    path = copy_version(counters / "a" / "1", tmp_path / "a" / "1")
    (path / "assets.extra").mkdir()
    (path / "assets.extra" / "tf_serving_warmup_requests").write_bytes(b"no record" * 9)
    assert refusal(Loader(Flags(model_base_path="m")), "a", 1, path)[0] is grpc.StatusCode.DATA_LOSS
    Loader(Flags(model_base_path="m", enable_model_warmup=False))("a", 1, path).close()
