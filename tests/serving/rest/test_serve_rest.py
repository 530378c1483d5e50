"""The REST API: rows and columns, bytes, status, metadata and errors as TensorFlow Serving has them, and its limits."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import math
import random
import signal
import socket

import numpy as np
import pytest

PREDICT = "/v1/models/toy:predict"


def predict(rest, signature="serving_default", **body):
    return rest.post(PREDICT, {"signature_name": signature, **body})


def test_rows_come_back_as_predictions_in_the_layout_of_tensorflow_serving(rest):
    reply = rest.post(PREDICT, {"instances": [[1, 2, 3], [0.1, 5, 6.5]]})
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json")
    assert reply.text == '{\n    "predictions": [[2.0, 4.0, 6.0], [0.2, 10.0, 13.0]\n    ]\n}'


def test_columns_come_back_as_outputs(rest):
    assert predict(rest, inputs=[[1, 2, 3]]).body == {"outputs": [[2.0, 4.0, 6.0]]}
    assert predict(rest, inputs={"x": [[1, 2, 3]]}).body == {"outputs": [[2.0, 4.0, 6.0]]}


def test_several_inputs_and_outputs_are_objects(rest):
    rows = [{"a": 5, "b": 2}, {"b": 7, "a": 1}]
    expected = [{"difference": 3, "sum": 7}, {"difference": -6, "sum": 8}]
    assert predict(rest, "pair", instances=rows).body == {"predictions": expected}
    columns = predict(rest, "pair", inputs={"a": [5, 1], "b": [2, 7]}).body
    assert columns == {"outputs": {"difference": [3, -6], "sum": [7, 8]}}


def test_rows_without_names_and_with_them_are_the_same(rest):
    named = predict(rest, instances=[{"x": [1, 2, 3]}])
    assert named.text == predict(rest, instances=[[1, 2, 3]]).text


def test_scalar_travels_in_a_column(rest):
    assert predict(rest, "scalar", inputs=2).body == {"outputs": {"word": "2.000000", "y": 3.0}}


def test_strings_come_as_text_or_as_base64(rest):
    reply = predict(rest, "text", instances=['grün, "b"', {"b64": "YWJj"}])
    assert reply.body["predictions"] == [{"length": 10, "upper": 'GRüN, "B"'}, {"length": 3, "upper": "ABC"}]


def test_output_whose_name_ends_in_bytes_comes_as_base64(rest):
    reply = rest.post("/v1/models/examples:predict", {"signature_name": "blob", "instances": [{"b64": "AP8="}]})
    assert reply.body == {"predictions": [{"b64": "AP8="}]}


def test_numbers_that_json_lacks_have_names(rest):
    reply = rest.post(PREDICT, b'{"instances": [[NaN, Infinity, -Infinity]]}')
    assert "[[NaN, Infinity, -Infinity]" in reply.text


def test_no_rows_are_answered_with_none_in_columns(rest):
    assert predict(rest, "pair", inputs={"a": [], "b": []}).body == {"outputs": {"difference": [], "sum": []}}


def test_answers_are_those_of_grpc(server, values):
    rows = [[0.1, 1e-20, 3e30], [-1 / 3, 16777215, 0]]
    answered = predict(server.rest, instances=rows).body["predictions"]
    # A float32 that has been written and read is the same float32.
    np.testing.assert_array_equal(np.array(answered, np.float32), values(server.predict(x=rows))["y"])


def test_version_in_the_path_is_asked(rest):
    assert rest.post("/v1/models/toy/versions/3:predict", {"instances": [[1, 2, 3]]}).status == 200
    reply = rest.post("/v1/models/toy/versions/7:predict", {"instances": [[1, 2, 3]]})
    assert (reply.status, reply.body) == (404, {"error": "Servable not found for request: Specific(toy, 7)"})
    reply = rest.post("/v1/models/toy/labels/stable:predict", {"instances": [[1, 2, 3]]})
    assert (reply.status, reply.body) == (400, {"error": "Unrecognized servable version label: stable"})


def test_status_is_the_one_of_grpc_with_numbers_of_64_bits_as_strings(rest):
    status = {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    for path in ("/v1/models/toy", "/v1/models/toy/versions/3", "/V1/Models/toy"):
        assert rest.get(path).body == {"model_version_status": [status]}
    assert rest.get("/v1/models/toy").text.startswith('{\n "model_version_status": [\n  {\n   "version": "3",\n')


def test_metadata_has_every_signature(rest):
    reply = rest.get("/v1/models/toy/metadata")
    assert reply.body["model_spec"] == {"name": "toy", "signature_name": "", "version": "3"}
    signature = reply.body["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert [dim["size"] for dim in signature["inputs"]["x"]["tensor_shape"]["dim"]] == ["-1", "3"]
    assert signature["method_name"] == "tensorflow/serving/predict"


def test_models_are_listed(rest):
    models = {model["name"]: model["model_version_status"] for model in rest.get("/v1/models").body["models"]}
    assert [entry["state"] for entry in models["toy"]] == ["AVAILABLE"]
    assert set(models) == {"toy", "examples"}


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("POST", "/v1/models/none:predict", 404, "Servable not found for request: Latest(none)"),
        ("GET", "/v1/models/none", 404, "Could not find any versions of model none"),
        ("GET", "/v1/models/toy/versions/7", 404, "Could not find version 7 of model toy"),
        ("GET", "/v1/models/none/metadata", 404, "Servable not found for request: Latest(none)"),
        ("GET", f"/v1/models/toy/versions/{2**64}", 400, f"Failed to convert version: {2**64} to numeric."),
        ("POST", "/v1/models/toy", 400, "Malformed request: POST /v1/models/toy"),
        ("POST", "/v1/models/toy:guess", 400, "Malformed request: POST /v1/models/toy:guess"),
        ("GET", PREDICT, 400, f"Malformed request: GET {PREDICT}"),
        ("GET", "/v1/models/toy/versions/x", 400, "Malformed request: GET /v1/models/toy/versions/x"),
        ("PUT", "/v1/models/toy", 400, "Malformed request: PUT /v1/models/toy"),
        ("GET", "/v1/models/versions/3", 400, "Missing model name in request."),
        ("GET", "/v1/models/toy/metadata?a", 400, "Malformed request: GET /v1/models/toy/metadata?a"),
        ("GET", "/v1/models/toy?a=b", 404, "Could not find any versions of model toy?a=b"),
        ("POST", f"{PREDICT}?a=b", 400, f"Malformed request: POST {PREDICT}?a=b"),
        ("GET", "/favicon.ico", 404, "Not found: /favicon.ico"),
    ],
)
def test_path_that_leads_nowhere_is_said_to(rest, method, path, status, error):
    reply = rest.ask(method, path, b'{"instances": [[1, 2, 3]]}' if method == "POST" else b"")
    assert (reply.status, reply.body) == (status, {"error": error})


ELEMENT = "Failed to process element: "
OF_LIST = " of 'instances' list. Error: INVALID_ARGUMENT: "


@pytest.mark.parametrize(
    ("signature", "body", "error"),
    [
        ("", "", "JSON Parse error: The document is empty"),
        ("", "{", "JSON Parse error: Missing a name for object member. at offset: 1"),
        ("", "nonsense", "JSON Parse error: Invalid value. at offset: 0"),
        ("", '{"a": [1 2]}', "JSON Parse error: Missing a comma or ] after an array element. at offset: 9"),
        ("", "[]", "JSON Value: [] Is not object"),
        ("", "{}", "Missing 'inputs' or 'instances' key"),
        ("", '{"instances": 3}', "JSON Value: {\n    \"instances\": 3\n} Expecting 'instances' to be an list/array"),
        ("", '{"instances": []}', "JSON Value: {\n    \"instances\": []\n} No values in 'instances' array"),
        (
            "",
            '{"inputs": 1, "instances": [2]}',
            'JSON Value: {\n    "inputs": 1,\n    "instances": [2]\n} Not formatted correctly '
            "expecting only one of 'inputs' or 'instances' keys to exist ",
        ),
        (
            "",
            '{"signature_name": 3, "inputs": 1}',
            'JSON Value: {\n    "signature_name": 3,\n    "inputs": 1\n} not formatted correctly. '
            "'signature_name' key must be a string value.",
        ),
        ("none", '{"inputs": 1}', 'Serving signature name: "none" not found in signature def'),
        ("", '{"instances": [{"z": 1}]}', f"{ELEMENT}0 key: z{OF_LIST}JSON object: does not have named input: z"),
        ("", '{"instances": [[1, 2, 3], [1, 2]]}', f"{ELEMENT}1{OF_LIST}Expecting tensor size: 3 but got: 2"),
        ("", '{"instances": [[[1, 2]], [[1], [2]]]}', f"{ELEMENT}1{OF_LIST}Expecting shape [1,2] but got: [2,1]"),
        (
            "",
            '{"instances": [["a"]]}',
            f'{ELEMENT}0{OF_LIST}JSON Value: "a" Type: String is not of expected type: float',
        ),
        (
            "",
            '{"instances": [[true]]}',
            f"{ELEMENT}0{OF_LIST}JSON Value: true Type: True is not of expected type: float",
        ),
        ("", '{"inputs": [1e999999]}', "JSON Parse error: Number too big to be stored in double. at offset: 12"),
        (
            "",
            '{"inputs": ["e9", 1, -%s]}' % ("9" * 400),
            "JSON Parse error: Number too big to be stored in double. at offset: 21",
        ),
        (
            "",
            '{"signature_name": 3, "inputs": [' + ", ".join(["123456789.0"] * 100) + "]}",
            'JSON Value: {\n    "signature_name": 3,\n    "inputs": ['
            + ", ".join(["123456789.0"] * 17)
            + " not formatted"
            " correctly. 'signature_name' key must be a string value.",
        ),
        ("", '{"instances": [[1], {"x": [1]}]}', "Expecting value/list but got object at item 1 of input list"),
        ("", '{"instances": [{"x": [1]}, [1]]}', "Expecting object but got list at item 1 of input list"),
        (
            "pair",
            '{"instances": [1]}',
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map",
        ),
        (
            "pair",
            '{"instances": [{"a": 1}]}',
            f"{ELEMENT}0 of 'instances' list. JSON object: {{\n    \"a\": 1\n}} keys must be equal to: a,b",
        ),
        ("pair", '{"inputs": {"a": [1]}}', "Missing named input: b in 'inputs' object."),
        ("pair", '{"inputs": {"a": [1.0], "b": [1]}}', "JSON Value: 1.0 Type: Number is not of expected type: int32"),
        ("text", '{"inputs": [{"b64": "?"}]}', "Unable to base64 decode"),
        (
            "",
            '{"inputs": [[1, 2], 3]}',
            "JSON Value: 3 found at incorrect level: 2 in the JSON DOM. Expected at level: 2",
        ),
        ("", '{"inputs": [[1], [[2]]]}', "Encountered list at unexpected level: 2 expected < 2"),
        ("", '{"inputs": [[1], [2, 3]]}', "Encountered list at unexpected size: 2 at level: 1 expected size: 1"),
    ],
)
def test_body_that_is_no_request_is_400_in_the_words_of_tensorflow_serving(rest, signature, body, error):
    if signature:
        body = f'{{"signature_name": "{signature}", {body[1:]}'
    reply = rest.post(PREDICT, body.encode())
    assert (reply.status, reply.body) == (400, {"error": error})


@pytest.mark.parametrize(
    ("body", "predictions"),
    [
        ('{"instances": [[1700000000]]}', [[3400000000.0]]),
        ('{"instances": [[16777217, 9007199254740993]]}', [[33554432.0, 1.8014399e16]]),
        ('{"instances": [[1e39, -1e39]]}', [[math.inf, -math.inf]]),
        ('{"instances": [[18446744073709551616]]}', [[3.689349e19]]),
        ('\ufeff{"instances": [[1]]}', [[2.0]]),
        ('{"instances": [[1]]} and what follows is not read: \x00{', [[2.0]]),
        ('{"instances": [[1]], "instances": [[7]]}', [[2.0]]),
        ('{"instances": [{"x": [1], "x": [7]}]}', [[2.0]]),
        ('{"inputs": {"x": [1], "x": [7]}}', [2.0]),
        ('{"signature_name": "none", "signature_name": "", "inputs": [1]}', None),
    ],
)
def test_numbers_and_documents_are_read_as_rapidjson_reads_them(rest, body, predictions):
    reply = rest.post(PREDICT, body.encode())
    if predictions is None:
        assert (reply.status, reply.body["error"][:29]) == (400, 'Serving signature name: "none')
    else:
        assert (reply.status, next(iter(reply.body.values()))) == (200, predictions)


@pytest.mark.parametrize(
    "text", ["aGVsbG8gd29ybGQ=", "aGVsbG8gd29ybGQ", "aGVs\\nbG8g\\r\\nd29y bGQ=\\n", "aGVsbG8gd29ybGQ==", "aGVsbA="]
)
def test_base64_may_be_wrapped_and_unpadded_but_not_padded_wrongly(rest, text):
    reply = rest.post(PREDICT, f'{{"signature_name": "text", "inputs": [{{"b64": "{text}"}}]}}'.encode())
    if text in ("aGVsbG8gd29ybGQ==", "aGVsbA="):
        assert (reply.status, reply.body) == (400, {"error": "Unable to base64 decode"})
    else:
        assert reply.status == 200
        assert reply.body["outputs"]["upper"] == ["HELLO WORLD"]


def test_request_may_name_a_whole_uri(rest):
    body = b'{"instances": [[1]]}'
    with rest.connect() as client:
        line = f"POST http://somewhere:80{PREDICT} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        client.sendall(line.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        answer = b"".join(iter(lambda: client.recv(1000), b""))
    assert (answer[:13], b"predictions" in answer) == (b"HTTP/1.1 200 ", True)


def test_dtype_that_json_has_no_values_for_is_501(rest):
    reply = predict(rest, "types", inputs={name: [1] for name in rest.inputs("types")})
    assert (reply.status, reply.body) == (501, {"error": "Conversion of JSON Value: 1 to type: bfloat16"})


def test_error_of_the_graph_is_told(rest):
    reply = predict(rest, inputs=[[1, 2]])
    assert reply.status == 200  # the signature's shape is not checked, nor is it here
    reply = predict(rest, "dense", inputs=[[1, 2]])
    assert (reply.status, "Matrix size-incompatible" in reply.body["error"]) == (400, True)


def test_answer_that_takes_too_long_is_504_and_the_next_is_answered(rest):
    reply = predict(rest, "busy", inputs=[3.0])
    assert (reply.status, reply.body) == (504, {"error": "Timed out waiting for notification"})
    assert predict(rest, inputs=[[1, 2, 3]]).status == 200


def test_body_may_be_gzip(rest):
    body = gzip.compress(b'{"instances": [[1, 2, 3]]}')
    assert rest.ask("POST", PREDICT, body, {"Content-Encoding": "gzip"}).body == {"predictions": [[2.0, 4.0, 6.0]]}
    assert rest.ask("POST", PREDICT, b"no gzip", {"Content-Encoding": "gzip"}).status == 400
    assert rest.ask("POST", PREDICT, body, {"Content-Encoding": "br"}).status == 415


def test_body_that_unpacks_to_too_much_is_413(rest):
    bomb = gzip.compress(bytes(300 * 2**20), 1)
    assert rest.ask("POST", PREDICT, bomb, {"Content-Encoding": "gzip"}).status == 413


def test_body_that_is_announced_too_large_is_413_at_once(rest):
    with rest.connect() as client:
        client.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n".encode())
        response = client.recv(1000)
    assert response.startswith(b"HTTP/1.1 413 ")
    assert b"\r\nconnection: close\r\n" in response.lower(), "what is not read of the body is no next request"


def test_pages_of_other_origins_may_call(rest):
    headers = {
        "access-control-allow-origin": "*",
        "access-control-allow-methods": "POST, GET",
        "access-control-allow-headers": "Content-Type",
    }
    for reply in (rest.ask("OPTIONS", PREDICT), rest.get("/v1/models/toy")):
        assert (reply.status, {name: reply.headers[name] for name in headers}) == (200, headers)


def test_several_requests_use_one_connection(rest):
    connection = http.client.HTTPConnection("127.0.0.1", rest.port)
    for _ in range(3):
        connection.request("POST", PREDICT, b'{"instances": [[1, 2, 3]]}')
        assert connection.getresponse().read().startswith(b'{\n    "predictions"')
    connection.close()


def test_idle_connections_and_slow_clients_hold_up_nobody(rest):
    start = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode()
    with contextlib.ExitStack() as stack:
        for index in range(300):
            client = stack.enter_context(rest.connect())
            client.sendall([b"", b"POST /v1", start][index % 3])
        assert predict(rest, inputs=[[1, 2, 3]]).status == 200


def test_client_that_never_reads_holds_up_nobody(rest):
    body = json.dumps({"inputs": [[1, 2, 3]] * 300_000}).encode()
    with rest.connect() as client:
        client.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (PREDICT.encode(), len(body)))
        client.sendall(body)
        assert client.recv(1) == b"H"  # and no byte more of several millions
        assert predict(rest, inputs=[[1, 2, 3]]).status == 200


def test_client_that_leaves_and_one_that_speaks_no_http_harm_nobody(rest):
    with rest.connect() as client:
        client.sendall(f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())
    with rest.connect() as client:
        client.sendall(b"\x16\x03\x01\x00\xff\x00\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert predict(rest, inputs=[[1, 2, 3]]).status == 200


def test_mutated_requests_get_a_status_every_time(rest):
    generator = random.Random(0)
    good = json.dumps({"signature_name": "pair", "instances": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]}).encode()
    connection = http.client.HTTPConnection("127.0.0.1", rest.port)
    for _ in range(500):
        body = bytearray(good)
        for _ in range(generator.randint(1, 4)):
            at = generator.randrange(len(body))
            body[at : at + generator.randint(0, 2)] = generator.choice(
                [b"", b"[", b"}", b'"', b"\xff", b"9" * 30, b"null"]
            )
        connection.request("POST", PREDICT, bytes(body))
        reply = connection.getresponse()
        answer = json.loads(reply.read())
        assert (reply.status, list(answer)) in [(200, ["predictions"]), (400, ["error"])], bytes(body)
    connection.close()
    assert predict(rest, inputs=[[1, 2, 3]]).status == 200


def test_sigterm_finishes_what_is_in_flight(genserve, toy_path, new_rest):
    rest = new_rest()
    server = genserve(toy_path, "toy", None, f"--rest_api_port={rest.port}").ready()
    body = b'{"signature_name": "busy", "inputs": [1.0]}'
    head = b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (PREDICT.encode(), len(body))
    with rest.connect() as client, rest.connect() as slow:
        client.sendall(head + body)
        slow.sendall(head + body[:5])
        assert rest.get("/v1/models").status == 200  # so what came before has been read
        assert server.stop(signal.SIGTERM) == 0
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
        assert slow.recv(1000).startswith(b"HTTP/1.1 503 ")


def test_port_that_is_taken_ends_the_start(genserve, toy_path):
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = taken.getsockname()[1]
        server = genserve(toy_path, "toy", None, f"--rest_api_port={port}")
        assert server.process.wait(60) == 1
    assert f"cannot listen on 0.0.0.0:{port}" in server.log.read_text()
