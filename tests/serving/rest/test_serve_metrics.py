"""Prometheus metrics under TensorFlow Serving's names, spans for OpenTelemetry, and the log of requests."""

from __future__ import annotations

import re
import threading
import time

import grpc
import numpy as np
import pytest
from genserve.errors import ServeError, not_found
from genserve.options.flags import FlagError, Flags
from genserve.rpcs.rpc import Call
from genserve.rpcs.services import MODEL_SERVICE, PREDICTION_SERVICE, services
from genserve.runtime.timing import Timing
from genserve.telemetry.config import PROMETHEUS_PATH, prometheus_path
from genserve.telemetry.metrics import MAX_SERIES, Counter, Gauge, Histogram, page
from genserve.telemetry.monitoring import Monitoring
from genserve.telemetry.telemetry import Telemetry
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

PREDICT = "/v1/models/toy:predict"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def samples(rest) -> dict[str, float]:
    """Every line of the page, by name and labels."""
    reply = rest.get("/metrics")
    assert (reply.status, reply.headers["content-type"]) == (200, "text/plain")
    lines = [line for line in reply.text.splitlines() if not line.startswith("#")]
    assert all(re.fullmatch(r"[a-zA-Z_:][\w:]*\{[^{}]*\} [-+.e\d]+", line) for line in lines)
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


def grown(rest, action) -> dict[str, float]:
    """By how much each sample grew."""
    before = samples(rest)
    action()
    return {name: value - before.get(name, 0) for name, value in samples(rest).items()}


def test_requests_are_counted_by_model_and_status(server, rest):
    def ask():
        server.predict(x=[[1.0, 2.0, 3.0]])
        rest.post(PREDICT, {"instances": [[1, 2, 3]]})
        rest.post("/v1/models/none:predict", {"instances": [[1, 2, 3]]})
        with pytest.raises(grpc.RpcError):
            server.predict(name="absent")

    found = grown(rest, ask)
    count = ":tensorflow:serving:request_count"
    assert found[f'{count}{{model_name="toy",status="OK"}}'] == 2
    assert found[f'{count}{{model_name="none",status="NOT_FOUND"}}'] == 1
    assert found[f'{count}{{model_name="absent",status="NOT_FOUND"}}'] == 1


def test_latencies_tell_grpc_from_rest(server, rest):
    found = grown(
        rest, lambda: (server.predict("busy", seconds=np.array([0.2])), rest.post(PREDICT, {"inputs": [[1, 2, 3]]}))
    )
    latency = ":tensorflow:serving:request_latency"
    by_grpc, by_rest = (
        'model_name="toy",API="Predict",entrypoint="GRPC"',
        'model_name="toy",API="predict",entrypoint="REST"',
    )
    assert found[f"{latency}_count{{{by_grpc}}}"] == found[f"{latency}_count{{{by_rest}}}"] == 1
    assert found[f"{latency}_sum{{{by_grpc}}}"] >= 200_000
    assert found[f'{latency}_bucket{{{by_grpc},le="10"}}'] == 0
    assert found[f'{latency}_bucket{{{by_grpc},le="+Inf"}}'] == 1
    assert found[f'{latency}_bucket{{{by_grpc},le="104.976"}}'] == 0
    assert found[':tensorflow:serving:runtime_latency_count{model_name="toy",API="Predict",runtime="TF1"}'] == 2
    assert found[f"genserve_request_compute_seconds_sum{{{by_grpc}}}"] >= 0.2
    assert found[f"genserve_request_serialise_seconds_sum{{{by_rest}}}"] > 0


def test_batches_and_runs_are_counted(server, rest):
    found = grown(rest, lambda: server.predict(x=[[1.0, 2.0, 3.0]] * 5))
    assert found[":tensorflow:core:graph_runs{}"] == 1
    assert found[":tensorflow:core:graph_run_time_usecs{}"] > 0
    assert found[":tensorflow:serving:batching_session:wrapped_run_count{}"] == 1
    assert found[':tensorflow:serving:batching_session:queuing_latency_count{thread_pool_name="batch_threads"}'] == 1
    assert found['genserve_batch_rows_sum{model_name="toy"}'] == 5
    assert found['genserve_batch_requests_sum{model_name="toy"}'] == 1


def test_loads_versions_queue_and_memory_are_shown(rest, toy_path):
    found = samples(rest)
    path = toy_path / "00000003"
    assert found[f':tensorflow:cc:saved_model:load_attempt_count{{model_path="{path}",status="success"}}'] == 1
    assert found[f':tensorflow:cc:saved_model:load_latency{{model_path="{path}"}}'] > 0
    assert found['genserve_version_state{model_name="toy",version="3",state="AVAILABLE"}'] == 1
    assert found['genserve_queue_length{model_name="toy",version="3"}'] == 0
    assert found["process_resident_memory_bytes{}"] > 2**20


def test_page_is_nowhere_but_under_its_path(rest):
    assert rest.get(PROMETHEUS_PATH).status == 404
    assert rest.post("/metrics", b"").status == 404


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('prometheus_config { enable: true path: "/x" }', "/x"),
        ("prometheus_config { enable: true }", PROMETHEUS_PATH),
        ('prometheus_config { path: "/x" }', ""),
        ("", ""),
    ],
)
def test_monitoring_config_says_where_the_page_is(tmp_path, text, path):
    (tmp_path / "monitoring.config").write_text(text)
    assert prometheus_path(str(tmp_path / "monitoring.config")) == path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prometheus { }", "Error parsing text-format tensorflow.serving.MonitoringConfig: 1:1 : "),
        (
            'prometheus_config { enable: true path: "metrics" }',
            "expected a path such as /monitoring/prometheus/metrics",
        ),
        ('prometheus_config { enable: true path: "/v1/metrics" }', "not under /v1/, found '/v1/metrics'"),
    ],
)
def test_monitoring_config_that_cannot_be_used_is_one_line(tmp_path, text, message):
    file = tmp_path / "monitoring.config"
    file.write_text(text)
    with pytest.raises(FlagError, match=re.escape(message)) as failure:
        prometheus_path(str(file))
    assert str(failure.value).startswith("--monitoring_config_file: ")
    assert str(file) in str(failure.value)


def test_page_has_the_format_of_prometheus():
    counter = Counter("/test/path/total", "Things.", ("na", "b"))
    counter.add(2, 'a"b\\\n', "c")
    histogram = Histogram("/test/times", "Times.", ("x",), [1, 2.5])
    for value in (0.5, 1, 2, 30):
        histogram.add(value, "y")
    gauge = Gauge("now", "Now.", (), lambda: [((), 1.5)])
    assert page([counter, histogram, gauge, Counter("none", "Nothing.")]).decode() == (
        "# HELP :test:path:total Things.\n# TYPE :test:path:total counter\n"
        ':test:path:total{na="a\\"b\\\\\\n",b="c"} 2\n'
        "# HELP :test:times Times.\n# TYPE :test:times histogram\n"
        ':test:times_bucket{x="y",le="1"} 2\n:test:times_bucket{x="y",le="2.5"} 3\n'
        ':test:times_bucket{x="y",le="+Inf"} 4\n'
        ':test:times_sum{x="y"} 33.5\n:test:times_count{x="y"} 4\n'
        "# HELP now Now.\n# TYPE now gauge\nnow{} 1.5\n"
    )


def test_load_and_warm_up_that_fail_are_counted(tmp_path):
    monitoring = Monitoring({})
    for measured in (monitoring.loading, monitoring.warming):
        with pytest.raises(ServeError), measured(tmp_path):
            raise not_found("no such version")
    lines = monitoring.page().decode().splitlines()
    assert f':tensorflow:cc:saved_model:load_attempt_count{{model_path="{tmp_path}",status="fail"}} 1' in lines
    assert f':tensorflow:serving:model_warmup_latency_count{{model_path="{tmp_path}",status="NOT_FOUND"}} 1' in lines


def test_seconds_are_counted_in_the_unit_of_each_name_and_latencies_only_of_what_went_well(tmp_path, monkeypatch):
    monitoring = Monitoring({}, "threads")
    timing = Timing(queue=0.5, compute=0.25, serialise=0.125)
    for code in (grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND):
        monitoring.request("toy", "predict", "REST", code, 1.0, timing)
    monitoring._ran(0.25)
    with monkeypatch.context() as patch:
        patch.setattr(time, "perf_counter", iter([1.0, 3.0]).__next__)
        with monitoring.loading(tmp_path):
            pass
    lines = monitoring.page().decode().splitlines()
    request, serving = 'model_name="toy",API="predict",entrypoint="REST"', ":tensorflow:serving"
    for line in [
        f'{serving}:request_count{{model_name="toy",status="NOT_FOUND"}} 1',
        f"{serving}:request_latency_sum{{{request}}} 1000000",
        f"{serving}:request_latency_count{{{request}}} 1",
        f'{serving}:runtime_latency_sum{{model_name="toy",API="Predict",runtime="TF1"}} 750000',
        f'{serving}:batching_session:queuing_latency_sum{{thread_pool_name="threads"}} 500000',
        f"genserve_request_queue_seconds_sum{{{request}}} 0.5",
        f"genserve_request_compute_seconds_sum{{{request}}} 0.25",
        f"genserve_request_serialise_seconds_sum{{{request}}} 0.125",
        ":tensorflow:core:graph_run_time_usecs{} 250000",
        ":tensorflow:core:graph_run_time_usecs_histogram_sum{} 250000",
        f':tensorflow:cc:saved_model:load_latency{{model_path="{tmp_path}"}} 2000000',
    ]:
        assert line in lines


def test_requests_that_tensorflow_serving_does_not_count_are_not_counted():
    monitoring, call = Monitoring({}), Call(None, lambda: True, tuple, model="toy")
    telemetry = Telemetry(monitoring, "/metrics")
    for api in ("GetModelStatus", "Predict", "HandleReloadConfigRequest"):
        telemetry.rpc(api, None, call, 1.0)
    for verb in ("", "status", "predict", "metadata"):
        telemetry.rest(verb, None, 0, 0, call, 1.0)
    assert b':request_count{model_name="toy",status="OK"} 2' in monitoring.page()


def test_client_cannot_make_series_without_end():
    histogram = Histogram("times", "Times.", ("model_name",), [1.0])
    for index in range(MAX_SERIES + 50):
        histogram.add(1.0, f"model-{index}")
    assert histogram.series()[-1] == 'times_count{model_name="(others)"} 50'
    counter = Counter("requests", "Requests.", ("model_name",))
    for index in range(MAX_SERIES + 50):
        counter.add(1, f"model-{index}")
    lines = counter.series()
    assert len(lines) == MAX_SERIES + 1
    assert lines[-1] == 'requests{model_name="(others)"} 50'


def test_counting_from_many_threads_loses_nothing():
    histogram = Histogram("times", "Times.", ("x",), [1.0])

    def count():
        for _ in range(2000):
            histogram.add(1.0, "y")

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert histogram.series()[-2:] == ['times_sum{x="y"} 16000', 'times_count{x="y"} 16000']


@pytest.mark.parametrize(
    ("service", "method", "request_type"),
    [
        (PREDICTION_SERVICE, "Predict", predict_pb2.PredictRequest),
        (PREDICTION_SERVICE, "Classify", classification_pb2.ClassificationRequest),
        (PREDICTION_SERVICE, "Regress", regression_pb2.RegressionRequest),
        (PREDICTION_SERVICE, "MultiInference", inference_pb2.MultiInferenceRequest),
        (PREDICTION_SERVICE, "GetModelMetadata", get_model_metadata_pb2.GetModelMetadataRequest),
        (MODEL_SERVICE, "GetModelStatus", get_model_status_pb2.GetModelStatusRequest),
    ],
)
def test_model_that_a_request_names_is_known_to_its_call(service, method, request_type):
    respond = services({}, Flags(model_base_path="/none"))[service][method]
    named, nameless, broken = (Call(None, lambda: True, tuple) for _ in range(3))
    request = request_type()
    with pytest.raises(ServeError):
        respond(request.SerializeToString(), nameless)
    (request.tasks.add() if method == "MultiInference" else request).model_spec.name = "toy"
    with pytest.raises(ServeError):
        respond(request.SerializeToString(), named)
    with pytest.raises(DecodeError):
        respond(b"\x0a\x02\x0a\xff", broken)
    assert [call.model for call in (named, nameless, broken)] == ["toy", "", ""]


def test_request_has_a_span_with_its_parts_in_the_trace_of_the_client(server, rest, collector, until):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    request = server.request(x=[[1.0, 2.0, 3.0]])
    server.prediction.Predict(request, metadata=[("traceparent", PARENT)])
    rest.post(PREDICT, {"inputs": [[1, 2, 3]]}, traceparent=PARENT)

    def both():
        mine = [span for span in collector.spans() if span.trace_id.hex() == TRACE]
        return mine if len(mine) >= 8 else None

    spans = until(both)
    by_name = {span.name: span for span in spans}
    for name in ("GRPC Predict", "REST predict"):
        span = by_name[name]
        assert span.parent_span_id.hex() == "00f067aa0ba902b7"
        parts = [part for part in spans if part.parent_span_id == span.span_id]
        assert {part.name for part in parts} == {"queue", "compute", "serialise"}
        assert all(span.start_time_unix_nano <= part.start_time_unix_nano for part in parts)
        assert all(part.end_time_unix_nano <= span.end_time_unix_nano for part in parts)
        assert {entry.key: entry.value.string_value for entry in span.attributes}["genserve.model"] == "toy"


def test_span_of_a_failure_says_why(rest, collector, until):
    pytest.importorskip("opentelemetry.exporter.otlp.proto.http")
    rest.post("/v1/models/nobody:predict", {"inputs": 1})
    (span,) = until(lambda: [each for each in collector.spans() if "Latest(nobody)" in each.status.message])
    assert span.status.message == "NOT_FOUND: Servable not found for request: Latest(nobody)"


def test_request_is_a_line_in_the_log(server, rest, until):
    rest.post(PREDICT, {"inputs": [[1, 2, 3]]})
    pattern = (
        r"DEBUG request rest=predict code=OK ms=[.\d]+ queue_ms=[.\d]+ compute_ms=[.\d]+ serialise_ms=[.\d]+ bytes_in="
    )
    assert until(lambda: re.search(pattern, server.log.read_text()))
