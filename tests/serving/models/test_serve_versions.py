"""Versions come, go, break and are swapped while clients go on asking."""

from __future__ import annotations

import itertools
import re
import shutil
import threading
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_status_pb2, predict_pb2, prediction_log_pb2

AVAILABLE, END = 30, 50
RETRY = ["--max_num_load_retries=1", "--load_retry_interval_micros=50000"]
X = np.zeros(2, np.float32)

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def base_path(tmp_path_factory):
    return tmp_path_factory.mktemp("counters") / "toy"


@pytest.fixture(scope="module")
def server(run_genserve, base_path, save_counter):
    """A server of counters: the answer of version n is n. The tests of this file share it and its folder."""
    save_counter(base_path / str(next(numbers)), 1)
    return run_genserve(base_path, "toy", None, *RETRY).ready()


@pytest.fixture
def publish(server, base_path, save_counter, until):
    """Publishes the next version and waits until it alone is served."""

    def run():
        version = next(numbers)
        save_counter(base_path / str(version), version)
        until(lambda: server.states().get(version) == AVAILABLE)
        until(lambda: list(server.states().values()).count(AVAILABLE) == 1)
        return version

    return run


def answer_of(server, **kwargs):
    """The version that the answer names, and the one that its value is of."""
    answer = server.predict(x=X, **kwargs)
    return answer.model_spec.version.value, set(tf.make_ndarray(answer.outputs["y"]).tolist())


def test_swap_under_load_fails_no_request_and_mixes_no_versions(server, publish):
    before = publish()
    stop, wrong, seen = threading.Event(), [], []

    def ask():
        while not stop.is_set():
            try:
                version, values = answer_of(server)
            except grpc.RpcError as error:
                wrong.append(error)
                return
            seen.append(version)
            if values != {version}:
                wrong.append((version, values))

    clients = [threading.Thread(target=ask) for _ in range(4)]
    for client in clients:
        client.start()
    after = [publish() for _ in range(3)]
    stop.set()
    for client in clients:
        client.join()
    assert not wrong
    assert {before, *after} == set(seen)
    assert seen[-1] == after[-1]


def test_old_version_ends_once_the_new_one_serves(server, publish):
    old, new = publish(), publish()
    assert {version: server.states()[version] for version in (old, new)} == {old: END, new: AVAILABLE}
    assert server.statuses()[old].status.error_code == 0
    with pytest.raises(grpc.RpcError) as failure:
        server.predict(x=X, version=old)
    assert failure.value.details() == f"Servable not found for request: Specific(toy, {old})"


@pytest.mark.parametrize("damage", ["empty", "garbage", "half a graph", "half the variables"])
def test_broken_version_never_displaces_the_good_one_and_is_served_once_mended(
    server, publish, base_path, save_counter, until, damage, tmp_path
):
    good = publish()
    broken = next(numbers)
    whole = save_counter(tmp_path / str(broken), broken)
    half = tmp_path / "half"
    if damage == "empty":
        half.mkdir()
    elif damage == "garbage":
        half.mkdir()
        (half / "saved_model.pb").write_bytes(b"\xff\x00garbage" * 100)
    else:
        shutil.copytree(whole, half)
        (cut,) = half.glob("saved_model.pb" if damage == "half a graph" else "variables/*.data-*")
        cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    half.rename(base_path / str(broken))

    until(lambda: server.states().get(broken) == END)
    status = server.statuses()[broken].status
    assert status.error_code != 0
    assert status.error_message
    assert answer_of(server) == (good, {good})
    log = server.log.read_text()
    assert log.count(f"toy version {broken} failed to load") == 2
    assert "(try 2 of 2 in 0.05 s)" in log

    shutil.copytree(whole, base_path / str(broken), dirs_exist_ok=True)
    until(lambda: server.states()[broken] == AVAILABLE)
    assert server.statuses()[broken].status.error_code == 0
    assert answer_of(server) == (broken, {broken})


def test_deleting_the_newest_version_rolls_back_to_the_one_before(server, publish, base_path, until):
    old, new = publish(), publish()
    shutil.rmtree(base_path / str(new))
    until(lambda: server.states()[new] == END)
    assert answer_of(server) == (old, {old})


def test_no_versions_left_unloads_all_and_a_missing_base_path_changes_nothing(
    server, publish, base_path, until, save_counter
):
    last = publish()
    aside = base_path.with_name("aside")
    base_path.rename(aside)
    until(lambda: "could not read base path" in server.log.read_text())
    assert answer_of(server) == (last, {last})

    base_path.mkdir()
    until(lambda: server.states()[last] == END)
    with pytest.raises(grpc.RpcError) as failure:
        server.predict(x=X)
    assert failure.value.details() == "Servable not found for request: Latest(toy)"

    version = next(numbers)
    save_counter(base_path / str(version), version)
    until(lambda: server.states().get(version) == AVAILABLE)
    assert answer_of(server) == (version, {version})


def test_names_that_are_not_wholly_integers_are_no_versions(server, publish, base_path, save_counter, until):
    before = publish()
    for name in (f"{before + 1000}-tmp", "v9999", "９９９９"):
        save_counter(base_path / name, 9999)
    (base_path / "9998").write_text("a file")
    padded = next(numbers)
    save_counter(base_path / f"{padded:08d}", padded)
    until(lambda: server.states().get(padded) == AVAILABLE)
    assert max(server.states()) == padded
    assert answer_of(server) == (padded, {padded})


def test_status_lists_the_newest_version_first_and_knows_what_it_never_saw(server, publish, fails):
    publish()
    versions = list(server.statuses())
    assert versions == sorted(versions, reverse=True)
    request = get_model_status_pb2.GetModelStatusRequest()
    with fails(grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec"):
        server.models.GetModelStatus(request)
    request.model_spec.name = "cat"
    with fails(grpc.StatusCode.NOT_FOUND, "Could not find any versions of model cat"):
        server.models.GetModelStatus(request)
    request.model_spec.name = "toy"
    request.model_spec.version.value = 123456
    with fails(grpc.StatusCode.NOT_FOUND, "Could not find version 123456 of model toy"):
        server.models.GetModelStatus(request)
    request.model_spec.version.value = versions[0]
    (only,) = server.models.GetModelStatus(request).model_version_status
    assert (only.version, only.state, only.status.error_code) == (versions[0], AVAILABLE, 0)


def write_warmup(version_path: Path, requests, log_type="predict_log"):
    path = version_path / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            record = prediction_log_pb2.PredictionLog()
            getattr(record, log_type).SetInParent()
            if log_type == "predict_log":
                record.predict_log.request.CopyFrom(request)
            writer.write(record.SerializeToString())


def warmup_request(rows, alias="x"):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "a name that nobody checks"
    request.inputs[alias].CopyFrom(tf.make_tensor_proto(np.zeros(rows, np.float32)))
    return request


def test_warmup_requests_are_replayed_before_the_version_serves(server, base_path, save_counter, until, tmp_path):
    version = next(numbers)
    saved = save_counter(tmp_path / str(version), version)
    write_warmup(saved, [warmup_request(rows) for rows in (1, 4, 16, 64)])
    saved.rename(base_path / str(version))
    until(lambda: server.states().get(version) == AVAILABLE)
    log = server.log.read_text()
    assert f"toy version {version} warmed up with 4 requests" in log
    assert log.index(f"version {version} warmed up") < log.index(f"version {version} loaded")


@pytest.mark.parametrize(
    ("write", "code", "message"),
    [
        (
            lambda path: write_warmup(path, [warmup_request(1), warmup_request(1, "z")]),
            grpc.StatusCode.INVALID_ARGUMENT,
            r"warm-up record 2 of .*/tf_serving_warmup_requests: Signature input alias: x",
        ),
        (
            lambda path: write_warmup(path, [warmup_request(1)] * 1001),
            grpc.StatusCode.INVALID_ARGUMENT,
            r"Number of warmup records exceeds the maximum \(1000\) at .*",
        ),
        (
            lambda path: write_warmup(path, [None], "session_run_log"),
            grpc.StatusCode.UNIMPLEMENTED,
            r"warm-up record 1 of .*: Unsupported log_type for warmup: 5",
        ),
        (
            lambda path: write_warmup(path, []) or next(path.glob("assets.extra/*")).write_bytes(b"no record" * 9),
            grpc.StatusCode.DATA_LOSS,
            r".*Please verify your warmup data is in TFRecord format\.",
        ),
    ],
    ids=["failing", "too many", "another API", "no TFRecord"],
)
def test_bad_warmup_refuses_the_version(
    server, publish, base_path, save_counter, until, tmp_path, write, code, message
):
    good = publish()
    version = next(numbers)
    saved = save_counter(tmp_path / str(version), version)
    write(saved)
    saved.rename(base_path / str(version))
    until(lambda: server.states().get(version) == END)
    status = server.statuses()[version].status
    assert status.error_code == code.value[0]
    assert re.match(message, status.error_message), status.error_message
    assert answer_of(server) == (good, {good})
