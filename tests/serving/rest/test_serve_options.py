"""Flags set to something other than their defaults, as a user sets them: what comes of it. None is without a test."""

from __future__ import annotations

import dataclasses
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
from genserve.cli import cli
from genserve.loading.loader import Loader
from genserve.options.flags import WITHOUT_EFFECT, Flags
from genserve.runtime import tflite
from tensorflow_serving.apis import (
    classification_pb2,
    inference_pb2,
    model_pb2,
    prediction_log_pb2,
    regression_pb2,
)

SERVING = Path(__file__).parents[1]
HERE = f"rest/{Path(__file__).name}"
# By file, the flags whose effect its tests see.
TRIED = {
    HERE: "num_tflite_pools num_tflite_interpreters_per_pool num_request_iterations_for_warmup rest_api_num_threads "
    "enable_signature_method_name_check max_queued_requests",
    "conftest.py": "model_name model_base_path port",
    "rest/conftest.py": "rest_api_port rest_api_timeout_in_ms rest_api_enable_cors_support monitoring_config_file",
    "rest/test_serve_hostile.py": "rest_api_max_body_bytes rest_api_max_bytes_in_flight rest_api_max_json_values "
    "rest_api_max_connections rest_api_header_timeout_in_ms rest_api_idle_timeout_in_ms rest_api_stall_timeout_in_ms "
    "bind_address",
    "batching/test_batching_server.py": "enable_batching batching_parameters_file",
    "models/test_serve_config.py": "saved_model_tags enable_model_warmup enable_per_model_batching_parameters "
    "tensorflow_session_config_file tensorflow_session_parallelism tensorflow_intra_op_parallelism "
    "tensorflow_inter_op_parallelism per_process_gpu_memory_fraction",
    "models/test_serve_reload.py": "model_config_file model_config_file_poll_wait_seconds grpc_socket_path "
    "allow_version_labels_for_unavailable_models enable_grpc_healthcheck_service",
    "deploy/test_serve_deploy_scripts.py": "imitate_tensor_content_fault",
    "test_serve_lifetime.py": "file_system_poll_wait_seconds keep_socket_in_use",
    "rpcs/test_serve_limits.py": "grpc_channel_arguments grpc_max_threads max_request_rows v",
    "rpcs/test_serve_predict.py": "enable_serialization_as_tensor_content",
    "runtime/test_serve_tflite.py": "prefer_tflite_model",
    "network/test_serve_tls.py": "ssl_config_file",
    "models/test_serve_versions.py": "max_num_load_retries load_retry_interval_micros",
}


def test_every_flag_is_tried_by_a_test():
    assert {field.name for field in dataclasses.fields(Flags)} == set(" ".join(TRIED.values()).split())
    for file, flags in TRIED.items():
        text = (SERVING / file).read_text()
        for flag in flags.split():
            assert re.search(rf"--{flag}\b|\"{flag}\": \d|\b{flag}=", text), f"{flag} is not in {file}"


def loader(*arguments):
    """What loads versions for a command line."""
    options = cli.make_context("genserve", ["--model_base_path=m", *arguments]).params
    return Loader(Flags(**{name: value for name, value in options.items() if name not in WITHOUT_EFFECT}))


class Visits(tf.Module):
    """Answers how often it has been asked."""

    def __init__(self):
        self.count = tf.Variable(0, dtype=tf.int32)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def visit(self, x):
        return {"visits": tf.fill(tf.shape(x)[:1], self.count.assign_add(1))}


@pytest.fixture
def visits(tmp_path):
    """A version that counts, with two warm-up requests."""
    module, version = Visits(), tmp_path / "1"
    tf.saved_model.save(module, str(version), signatures=module.visit)
    record = prediction_log_pb2.PredictionLog()
    record.predict_log.request.inputs["x"].CopyFrom(tf.make_tensor_proto([0.0]))
    (version / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(version / "assets.extra" / "tf_serving_warmup_requests")) as writer:
        for _ in range(2):
            writer.write(record.SerializeToString())
    return version


@pytest.mark.parametrize(
    ("arguments", "replayed"),
    [
        ([], 2),
        (["--num_request_iterations_for_warmup=3"], 6),
        (["--num_request_iterations_for_warmup=0"], 2),
        (["--num_request_iterations_for_warmup=3", "--enable_model_warmup=false"], 0),
    ],
)
def test_each_warmup_request_is_replayed_as_often_as_the_flag_says(visits, arguments, replayed):
    servable = loader(*arguments)("visits", 1, visits)
    signature = servable.signatures["serving_default"]
    feeds, fetches = {signature.inputs["x"].name: np.zeros(1, np.float32)}, [signature.outputs["visits"].name]
    assert servable.run(feeds, fetches)[0].tolist() == [replayed + 1]
    servable.close()


def test_interpreters_are_as_many_as_pools_times_those_of_a_pool(tmp_path, monkeypatch):
    doubled = tf.function(lambda x: {"y": 2.0 * x}, input_signature=[tf.TensorSpec([1, 3], tf.float32, name="x")])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([doubled.get_concrete_function()])
    (tmp_path / "model.tflite").write_bytes(converter.convert())
    opened = []

    class Counted(tflite.Interpreter):
        def __init__(self, *args, **kwargs):
            opened.append(self)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(tflite, "Interpreter", Counted)
    flags = ["--prefer_tflite_model", "--num_tflite_pools=3", "--num_tflite_interpreters_per_pool=2"]
    loader(*flags)("doubled", 1, tmp_path).close()
    assert len(opened) == 6


@pytest.fixture(scope="module")
def tuned(run_genserve, toy_path, examples_path, new_rest, tmp_path_factory, until):
    """A server whose flags are none of the defaults."""
    file, rest = tmp_path_factory.mktemp("tuned") / "models.config", new_rest()
    models = (("toy", toy_path), ("examples", examples_path))
    listed = (f'config {{ name: "{n}" base_path: "{p}" model_platform: "tensorflow" }}' for n, p in models)
    file.write_text(f"model_config_list {{ {' '.join(listed)} }}")
    server = run_genserve(
        None, "toy", None,
        f"--model_config_file={file}",
        f"--rest_api_port={rest.port}",
        "--rest_api_num_threads=1",
        "--max_queued_requests=0",
        "--enable_signature_method_name_check",
    ).ready()  # fmt: skip
    until(rest.listens)
    server.rest = rest
    return server


def test_method_name_of_a_signature_is_checked_by_every_way_to_ask(tuned, fails):
    def spec(signature):
        return model_pb2.ModelSpec(name="examples", signature_name=signature)

    found = "Was: tensorflow/serving/predict"
    classes = f"Expected classification signature method_name to be tensorflow/serving/classify. {found}"
    numbers = f"Expected regression signature method_name to be tensorflow/serving/regress. {found}"
    with fails(grpc.StatusCode.INVALID_ARGUMENT, classes):
        tuned.prediction.Classify(classification_pb2.ClassificationRequest(model_spec=spec("flat")), timeout=30)
    with fails(grpc.StatusCode.INVALID_ARGUMENT, numbers):
        tuned.prediction.Regress(regression_pb2.RegressionRequest(model_spec=spec("double")), timeout=30)
    for method, signature, message in (("classify", "flat", classes), ("regress", "double", numbers)):
        request = inference_pb2.MultiInferenceRequest()
        request.tasks.add(model_spec=spec(signature), method_name=f"tensorflow/serving/{method}")
        with fails(grpc.StatusCode.INVALID_ARGUMENT, message):
            tuned.prediction.MultiInference(request, timeout=30)
        body = {"signature_name": signature, "examples": [{"x": 1.0}]}
        reply = tuned.rest.post(f"/v1/models/examples:{method}", body)
        assert (reply.status, reply.body) == (400, {"error": message})
    body = {"signature_name": "regress", "examples": [{"x": 1.0}]}
    assert tuned.rest.post("/v1/models/examples:regress", body).body == {"results": [10.0]}


def test_rest_requests_beyond_the_threads_and_the_queue_are_refused(tuned):
    def ask(_):
        body = {"signature_name": "busy", "instances": [0.5]}
        return tuned.rest.post("/v1/models/toy:predict", body)

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(ask, range(8)))
    assert {reply.status for reply in replies} == {200, 429}
    (error,) = {reply.text for reply in replies if reply.status == 429}
    assert "Concurrent REST limit exceeded!" in error
