"""The REST side of the same server, where it has one: rows, columns, bytes, status, metadata, errors, metrics."""

from __future__ import annotations

import base64
from http.client import HTTPException

import numpy as np
import pytest
import tensorflow as tf

SEEDS = [3, 4]


@pytest.fixture(scope="module")
def path(rest):
    """The model's path."""
    return f"/v1/models/{rest.model}"


@pytest.fixture(scope="module")
def rows(wire):
    """A signature's inputs of SEEDS as REST has them: an object a row."""

    def make(signature):
        inputs = wire.inputs(signature, SEEDS)
        return [{name: value[row].tolist() for name, value in inputs.items()} for row in range(len(SEEDS))]

    return make


def test_rows_are_answered_as_predictions(rest, wire, path, rows):
    reply = rest.post(f"{path}:predict", {"signature_name": "seeds", "instances": rows("seeds")})
    assert reply.status == 200
    assert list(reply.body) == ["predictions"]
    np.testing.assert_array_equal(np.array(reply.body["predictions"], np.uint8), wire.predict("seeds", SEEDS))


def test_columns_are_answered_as_outputs(rest, wire, path):
    columns = {name: value.tolist() for name, value in wire.inputs("serving_default", SEEDS).items()}
    reply = rest.post(f"{path}:predict", {"inputs": columns})
    assert reply.status == 200
    assert list(reply.body) == ["outputs"]
    np.testing.assert_allclose(reply.body["outputs"], wire.predict("serving_default", SEEDS), atol=1e-5)


TOGETHER = (
    "this server answers gRPC in tensor_content, and REST reads fields that are empty then: take "
    "--enable_serialization_as_tensor_content away, or close REST with --rest_api_port=0"
)


def test_rest_is_not_open_beside_tensor_content_unless_it_can_read_it(rest, wire, path):
    """TensorFlow Serving 2.19 and 2.20 cannot: garbage, or the end of the process (util/json_tensor.cc)."""
    inputs = wire.inputs("serving_default", SEEDS)
    (output,) = wire.answer(wire.request("serving_default", **inputs)).outputs.values()
    columns = {name: value.tolist() for name, value in inputs.items()}
    try:
        found = rest.post(f"{path}:predict", {"inputs": columns}).body["outputs"]
        same = np.allclose(found, tf.make_ndarray(output), atol=1e-5)
    except (OSError, HTTPException):  # the process has ended
        same = False
    assert same, TOGETHER if output.tensor_content else "REST and gRPC have different numbers"


def test_bytes_travel_as_base64(rest, wire, path, rows):
    reply = rest.post(f"{path}:predict", {"signature_name": "png", "instances": rows("png")})
    assert reply.status == 200
    texts = [base64.b64decode(prediction["b64"]) for prediction in reply.body["predictions"]]
    assert texts == list(wire.predict("png", SEEDS))


def test_status_has_the_version_as_a_string(rest, wire, path):
    reply = rest.get(path)
    assert reply.status == 200
    versions = {entry["version"]: entry for entry in reply.body["model_version_status"]}
    assert set(versions) == {str(entry.version) for entry in wire.status().model_version_status}
    available = [entry for entry in versions.values() if entry["state"] == "AVAILABLE"]
    assert available[0]["status"] == {"error_code": "OK", "error_message": ""}


def test_version_in_the_path_is_asked(rest, wire, path, rows):
    version = wire.metadata("signature_def").model_spec.version.value
    reply = rest.post(f"{path}/versions/{version}:predict", {"signature_name": "seeds", "instances": rows("seeds")})
    assert reply.status == 200
    reply = rest.get(f"{path}/versions/{version}")
    assert [entry["version"] for entry in reply.body["model_version_status"]] == [str(version)]


def test_metadata_has_the_signatures(rest, path):
    reply = rest.get(f"{path}/metadata")
    assert reply.status == 200
    assert reply.body["model_spec"]["name"] == rest.model
    assert isinstance(reply.body["model_spec"]["version"], str)
    assert {"serving_default", "uint8", "png", "seeds"} <= set(reply.body["metadata"]["signature_def"]["signature_def"])


def test_unknown_model_is_404_with_the_message_of_grpc(rest):
    reply = rest.post("/v1/models/no-such-model:predict", {"instances": [1]})
    assert reply.status == 404
    assert reply.body == {"error": "Servable not found for request: Latest(no-such-model)"}


def test_path_that_is_none_is_called_malformed(rest):
    reply = rest.post("/v1/nonsense", {"instances": [1]})
    assert (reply.status, reply.body) == (400, {"error": "Malformed request: POST /v1/nonsense"})


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"instances": 3}', b'{"inputs": {}, "instances": []}', b'{"instances": [{"nope": 1}]}']
)
def test_body_that_is_no_request_is_400_with_an_error(rest, path, body):
    reply = rest.post(f"{path}:predict", body)
    assert reply.status == 400
    assert list(reply.body) == ["error"]


def test_metrics_count_the_requests(rest, wire):
    wire.predict("seeds", SEEDS)
    reply = rest.get("/monitoring/prometheus/metrics")
    if reply.status == 404:
        pytest.skip("no metrics: --monitoring_config_file is not set")
    assert reply.status == 200
    assert "# TYPE :tensorflow:serving:request_count counter" in reply.body
    assert f':tensorflow:serving:request_count{{model_name="{rest.model}",status="OK"}}' in reply.body
