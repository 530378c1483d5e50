"""KServe's Open Inference Protocol: readiness, metadata and inference, asked by Triton's client and by hand."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
import tensorflow as tf
import tritonclient.http as triton
from genserve.loading.loader import Loader
from genserve.models import config
from genserve.models.manager import Manager
from genserve.options.flags import Flags
from genserve.rest import open_inference
from genserve.rest.api import Api
from genserve.rpcs.rpc import Call
from model_configs import entry, model_list
from tensorflow.core.framework import types_pb2

INFER = "/v2/models/toy/infer"


@pytest.fixture(scope="module")
def client(rest):
    """Triton's own client."""
    client = triton.InferenceServerClient(f"127.0.0.1:{rest.port}")
    yield client
    client.close()


def tritons(name, array, datatype, binary):
    """An input of Triton's client."""
    made = triton.InferInput(name, array.shape, datatype)
    made.set_data_from_numpy(array, binary_data=binary)
    return made


def test_server_and_models_are_live_ready_and_described(rest, client):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("toy")
    assert client.is_model_ready("toy", "3")
    assert not client.is_model_ready("toy", "4")
    assert not client.is_model_ready("none")
    assert client.get_server_metadata()["name"] == "genserve"
    found = client.get_model_metadata("toy")
    assert (found["name"], found["versions"]) == ("toy", ["3"])
    assert found["inputs"] == [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]
    assert found["outputs"] == [{"name": "y", "datatype": "FP32", "shape": [-1, 3]}]
    assert rest.get("/v2/health/ready").body == {"ready": True}


@pytest.mark.parametrize("binary_in", [True, False])
@pytest.mark.parametrize("binary_out", [True, False])
def test_tensors_travel_as_json_and_as_binary(client, binary_in, binary_out):
    x = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    wanted = [triton.InferRequestedOutput("y", binary_data=binary_out)]
    result = client.infer("toy", [tritons("x", x, "FP32", binary_in)], outputs=wanted, request_id="7")
    assert result.get_response()["model_version"] == "3"
    assert result.get_response()["id"] == "7"
    np.testing.assert_array_equal(result.as_numpy("y"), 2 * x)


@pytest.mark.parametrize("binary", [True, False])
def test_signature_is_chosen_by_a_parameter_and_strings_travel(client, binary):
    words = np.array(["hello", "wörld"], object)
    wanted = [triton.InferRequestedOutput(name, binary_data=binary) for name in ("upper", "length")]
    result = client.infer(
        "toy", [tritons("s", words, "BYTES", binary)], outputs=wanted, parameters={"signature_name": "text"}
    )
    assert result.as_numpy("length").tolist() == [5, 6]
    upper = [word.decode() if isinstance(word, bytes) else word for word in result.as_numpy("upper")]
    assert upper == ["HELLO", "WöRLD"]


def test_bytes_that_are_no_text_travel_as_base64(rest):
    blob = {
        "parameters": {"signature_name": "blob"},
        "inputs": [
            {"name": "s", "shape": [1], "datatype": "BYTES", "data": ["/wA="], "parameters": {"content_type": "base64"}}
        ],
    }
    (output,) = rest.post("/v2/models/examples/infer", blob).body["outputs"]
    assert (output["data"], output["parameters"]) == (["/wA="], {"content_type": "base64"})
    del blob["inputs"][0]["parameters"]
    blob["inputs"][0]["data"] = ["a"]  # text, but the output's name ends in _bytes
    (output,) = rest.post("/v2/models/examples/infer", blob).body["outputs"]
    assert (output["data"], output["parameters"]) == (["YQ=="], {"content_type": "base64"})


def test_binary_tensors_lie_in_the_order_of_the_inputs_and_all_outputs_may_be_asked_for_as_binary(client):
    five, two = np.array([5], np.int32), np.array([2], np.int32)
    inputs = [tritons("b", two, "INT32", True), tritons("a", five, "INT32", True)]
    result = client.infer("toy", inputs, parameters={"signature_name": "pair"})
    assert (result.as_numpy("sum").tolist(), result.as_numpy("difference").tolist()) == ([7], [3])
    for output in result.get_response()["outputs"]:  # Triton's client asks for them so where it names none
        assert output["parameters"] == {"binary_data_size": 4}


def test_input_with_a_default_may_be_left_out_and_lists_may_be_nested(rest):
    request = {
        "parameters": {"signature_name": "pair_with_default"},
        "inputs": [{"name": "a", "shape": [2], "datatype": "INT32", "data": [[3], [4]]}],
        "outputs": [{"name": "sum"}],
    }
    (output,) = rest.post(INFER, request).body["outputs"]
    assert output == {"name": "sum", "datatype": "INT32", "shape": [2], "data": [13, 14]}


@pytest.mark.parametrize("dtype", sorted(set(open_inference.DATATYPES) - {types_pb2.DT_STRING}))
def test_every_datatype_reads_the_same_from_json_and_from_binary(dtype):
    values = np.array([0, 1, 1, 0], tf.as_dtype(dtype).as_numpy_dtype)
    described = {"shape": [2, 2], "datatype": open_inference.DATATYPES[dtype]}
    from_binary = open_inference.tensor(described, dtype, memoryview(values.tobytes()))
    from_json = open_inference.tensor(described | {"data": values.tolist()}, dtype, None)
    for found in (from_binary, from_json):
        assert (found.dtype, found.tolist()) == (values.dtype, values.reshape(2, 2).tolist())


def of(**changes):
    """A request for the default signature, changed."""
    return {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]} | changes]}


@pytest.mark.parametrize(
    ("request_", "status", "error"),
    [
        (of(datatype="FP64"), 400, "input x: expected datatype FP32, found 'FP64'"),
        (of(shape=[2, 3]), 400, "input x: shape [2, 3] for 3 values"),
        (of(shape=[-1, 3]), 400, "input x: shape: expected a list of up to 32 sizes"),
        (of(shape=[1] * 100), 400, "input x: shape: expected a list of up to 32 sizes"),
        (of(data="abc"), 400, "input x: data: expected a list"),
        (of(data=["a", 1, 2]), 400, 'input x: JSON Value: "a" Type: String is not of expected type: float'),
        (of(name="z"), 400, "inputs: expected x; found z"),
        (of(parameters={"binary_data_size": 4}), 400, "input x: binary_data_size 4, but 0 bytes are left"),
        ({"inputs": 3}, 400, "inputs: expected a list of objects with a name"),
        ({"inputs": [*of()["inputs"], *of()["inputs"]]}, 400, "inputs: a name stands twice"),
        (of() | {"outputs": [{"name": "q"}]}, 400, "outputs: expected y; found q"),
        (of() | {"parameters": 3}, 400, "parameters: expected an object"),
        (of() | {"parameters": {"signature_name": "q"}}, 400, 'Serving signature name: "q" not found in signature def'),
    ],
)
def test_request_that_does_not_fit_is_refused_in_one_line(rest, request_, status, error):
    reply = rest.post(INFER, request_)
    assert (reply.status, reply.body) == (status, {"error": error})


@pytest.mark.parametrize(
    ("length", "body"),
    [
        ("x", b"{}"),
        ("99999", b"{}"),
        ("2", b"{}left over"),
        (None, b"no JSON"),
    ],
)
def test_binary_that_does_not_add_up_is_refused(rest, length, body):
    headers = {} if length is None else {"Inference-Header-Content-Length": length}
    assert rest.ask("POST", INFER, body, headers).status == 400


def test_string_that_is_cut_short_is_refused(rest):
    data = struct.pack("<I", 100) + b"short"
    text = json.dumps(
        {
            "parameters": {"signature_name": "text"},
            "inputs": [{"name": "s", "shape": [1], "datatype": "BYTES", "parameters": {"binary_data_size": len(data)}}],
        }
    ).encode()
    reply = rest.ask("POST", INFER, text + data, {"Inference-Header-Content-Length": str(len(text))})
    assert (reply.status, reply.body) == (400, {"error": "input s: a string is cut short"})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/models/none", 404),
        ("GET", "/v2/models/none/ready", 404),
        ("POST", "/v2/models/none/infer", 404),
        ("POST", "/v2/models/toy/versions/7/infer", 404),
        ("GET", f"/v2/models/toy/versions/{'9' * 5000}", 400),
        ("GET", "/v2/nothing", 404),
        ("GET", INFER, 404),
    ],
)
def test_path_that_leads_nowhere_is_said_to(rest, method, path, status):
    assert rest.ask(method, path, json.dumps(of()).encode()).status == status


def test_server_is_not_ready_while_a_model_of_the_config_is_missing(toy_path, tmp_path):
    models = Manager(Loader(Flags(model_base_path="unused")), 0.05)
    listed = [entry("toy", toy_path), entry("late", tmp_path / "late")]

    def ask(what):
        reply = Api(models).respond("GET", f"/v2/health/{what}", b"", Call(None, lambda: True, tuple))
        return reply.status, json.loads(reply.body)

    models.reload(config.from_list(model_list(listed[0])))
    assert ask("ready") == (200, {"ready": True})
    models.reload(config.from_list(model_list(*listed)), lambda: False)
    assert ask("ready") == (503, {"ready": False, "not_ready": ["late"]})
    assert ask("live") == (200, {"live": True})
    models.reload([])
