"""What keeps the server up: limits, deadlines, load shedding, and ten thousand kinds of nonsense."""

from __future__ import annotations

import contextlib
import json
import random
import re
import socket
import time

import grpc
import numpy as np
import pytest
import tensorflow as tf
from genserve.errors import ServeError
from genserve.loading.loader import RowLimit
from genserve.models.model import Model
from genserve.rest.api import Api
from genserve.rpcs import predict
from genserve.rpcs.rpc import Call
from genserve.runtime.saved_model import SavedModelServable
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_management_pb2, predict_pb2

MUTATIONS = 10_000
RELOADS = 60
X = np.array([[1, 2, 3]], np.float32)
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED
MIB = 2**20
PREDICTION, MODEL = "/tensorflow.serving.PredictionService/", "/tensorflow.serving.ModelService/"


@pytest.fixture(scope="module")
def server(run_genserve, toy_path):
    """A server with small limits; the tests of this file share it."""
    return run_genserve(
        toy_path, "toy", None,
        f"--grpc_channel_arguments=grpc.max_receive_message_length={MIB},grpc.max_concurrent_streams=100",
        "--grpc_max_threads=2",
        "--max_queued_requests=2",
        "--max_request_rows=1000",
        "--v=1",
    ).ready()  # fmt: skip


def call(server, method):
    return server.channel.unary_unary(method)


def good(server):
    """A sound request is answered."""
    return list(server.predict(x=X).outputs["y"].float_val) == [2, 4, 6]


def busy(server, seconds, timeout=30):
    """A request that takes so many seconds."""
    return server.prediction.Predict.future(server.request("busy", seconds=np.array([seconds])), timeout=timeout)


def idle(server):
    """Whether a sound request finds a place."""
    try:
        return good(server)
    except grpc.RpcError:
        return False


def logged(server):
    """The numbers of each request's line in the log, by name."""
    lines = re.findall(r" DEBUG request rpc=Predict code=OK (.*)", server.log.read_text())
    return [{key: float(value) for key, value in (pair.split("=") for pair in line.split())} for line in lines]


def test_request_of_more_bytes_than_the_channel_argument_says_is_refused(server):
    with pytest.raises(grpc.RpcError) as failure:
        server.predict(x=np.zeros((MIB, 3), np.float32))
    assert failure.value.code() is EXHAUSTED
    assert re.search(r"[Rr]eceived message larger than max", failure.value.details())
    assert good(server)


def test_request_of_more_rows_than_the_flag_says_is_refused(server, fails):
    assert server.predict(x=np.zeros((1000, 3), np.float32))
    message = "1001 rows in one request: expected at most 1000 (--max_request_rows)"
    with fails(grpc.StatusCode.INVALID_ARGUMENT, message):
        server.predict(x=np.zeros((1001, 3), np.float32))


def test_the_input_with_most_rows_counts(toy_path):
    limited = RowLimit(SavedModelServable.load("toy", 3, toy_path / "00000003"), 2)
    with pytest.raises(ServeError, match="3 rows in one request: expected at most 2"):
        limited.run({"few": np.zeros((1, 3)), "many": np.zeros((3, 3)), "none": np.zeros(())}, [])


def test_deadline_that_passes_before_the_model_is_free_spares_it(toy_path):
    servable = SavedModelServable.load("toy", 3, toy_path / "00000003")
    info = servable.signatures["serving_default"]
    feeds, fetches = {info.inputs["x"].name: X}, [info.outputs["y"].name]
    assert servable.run(feeds, fetches, deadline=time.monotonic() + 60)
    with pytest.raises(ServeError) as failure:
        servable.run(feeds, fetches, deadline=time.monotonic())
    assert failure.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    request = predict_pb2.PredictRequest()
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(X))
    with pytest.raises(ServeError) as failure:
        predict.run(servable, request, deadline=time.monotonic())
    assert failure.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    servable.close()


def test_deadline_that_has_passed_spares_the_model_over_rest_too(toy_path):
    model = Model("toy", toy_path, SavedModelServable.load)
    model.poll()
    infer = {"inputs": [{"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1, 2, 3]}]}
    api = Api({"toy": model})
    for path, body in (("/v1/models/toy:predict", {"inputs": X.tolist()}), ("/v2/models/toy/infer", infer)):
        late, soon = (Call(deadline, lambda: True, tuple) for deadline in (time.monotonic(), None))
        assert api.respond("POST", path, json.dumps(body).encode(), late).status == 504
        assert api.respond("POST", path, json.dumps(body).encode(), soon).status == 200
        assert late.timing.compute == 0 < soon.timing.compute
    model.retire()
    model.poll()


def test_request_whose_deadline_passes_while_it_waits_for_a_thread_is_never_run(server, until):
    running = [busy(server, 1.5) for _ in range(2)]  # as many as there are threads
    time.sleep(0.5)  # for they take their places as they arrive, and not as they are sent
    late = busy(server, 1.0, timeout=0.2)
    assert late.exception().code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert all(one.result().outputs["turns"].int_val for one in running)
    until(lambda: idle(server))
    size = server.request("busy", seconds=np.array([1.5])).ByteSize()
    assert sum(line["compute_ms"] > 0 and line["bytes_in"] == size for line in logged(server)) == 2


def test_more_requests_than_threads_and_queue_hold_are_shed_and_the_others_answered(server, until):
    until(lambda: idle(server))
    calls = [busy(server, 0.4) for _ in range(12)]
    codes = [one.exception().code() if one.exception() else None for one in calls]
    assert codes.count(None) >= 2
    assert set(codes) == {None, EXHAUSTED}
    assert next(one for one in calls if one.exception()).exception().details() == "Concurrent RPC limit exceeded!"
    until(lambda: idle(server))


def test_answer_carries_its_times_as_trailers_and_each_request_has_a_log_line(server, until):
    request = server.request("busy", ["turns"], seconds=np.array([0.05]))
    answer, rpc = server.prediction.Predict.with_call(request, timeout=30)
    assert answer.outputs["turns"].int_val
    times = {key: int(value) for key, value in rpc.trailing_metadata() if key.startswith("genserve-")}
    assert times.keys() == {"genserve-queue-us", "genserve-compute-us", "genserve-serialise-us"}
    assert times["genserve-compute-us"] >= 50_000
    with pytest.raises(grpc.RpcError):
        server.predict(name="cat", x=X)
    until(lambda: re.search(r" DEBUG request rpc=Predict .*code=NOT_FOUND ms=", server.log.read_text()))
    (line,) = [line for line in logged(server) if line["bytes_in"] == request.ByteSize()]
    assert line["queue_ms"] == 0
    assert line["ms"] >= line["compute_ms"] >= 50
    assert abs(1000 * line["compute_ms"] - times["genserve-compute-us"]) <= 1
    assert line["bytes_out"] == answer.ByteSize()


def test_idle_connections_and_one_that_stops_in_the_middle_disturb_nobody(server):
    connections = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(200)]
    connections[0].sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00")
    connections[1].sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert good(server)
    for connection in connections:
        connection.close()
    assert good(server)


def samples(server, path):
    """Sound requests of every RPC, as bytes."""
    metadata = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    metadata.model_spec.name = "toy"
    status = get_model_status_pb2.GetModelStatusRequest()
    status.model_spec.name = "toy"
    status.model_spec.version.value = 3
    content = tf.make_tensor_proto(X)
    values = tf.make_tensor_proto(X)
    values.ClearField("tensor_content")
    values.float_val.extend([1, 2, 3])
    predicts = [
        server.request(x=content),
        server.request(x=values),
        server.request("pair", ["sum"], a=np.array([1], np.int32), b=np.array([2], np.int32)),
        server.request("text", s=np.array([b"abc"], object)),
        server.request("types", float16=np.ones(2, np.float16), string=np.array([b"x"], object)),
        server.request(x=X, version=3),
        server.request(x=X, label="stable"),
    ]
    return [
        *((PREDICTION + "Predict", request.SerializeToString()) for request in predicts),
        (PREDICTION + "GetModelMetadata", metadata.SerializeToString()),
        (MODEL + "GetModelStatus", status.SerializeToString()),
    ]


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The bytes with one to four of: a bit turned over, bytes replaced, cut out, doubled, put in, cut off."""
    result = bytearray(data)
    for _ in range(chance.randint(1, 4)):
        at, length = chance.randrange(len(result) + 1), chance.randint(1, 8)
        kind = chance.randrange(6)
        if kind == 0 and at < len(result):
            result[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            result[at : at + length] = chance.choice([b"\xff" * length, b"\x00" * length, chance.randbytes(length)])
        elif kind == 2:
            del result[at : at + length]
        elif kind == 3:
            result[at:at] = result[at : at + length]
        elif kind == 4:
            result[at:at] = chance.randbytes(length)
        else:
            del result[at:]
    return bytes(result)


def test_mutated_requests_get_a_clean_status_and_the_next_good_one_its_answer(server, toy_path, until):
    until(lambda: idle(server))
    chance, codes = random.Random(0), {}
    requests = samples(server, toy_path)
    for number in range(MUTATIONS):
        method, data = chance.choice(requests)
        try:
            call(server, method)(mutated(data, chance), timeout=30)
            code = None
        except grpc.RpcError as error:
            code = error.code()
        codes[code] = codes.get(code, 0) + 1
        if number % 100 == 0:
            assert good(server)
    assert good(server)
    assert server.process.poll() is None
    odd = codes.keys() - {None, grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND,
                          grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.INTERNAL}  # fmt: skip
    assert not odd, codes
    assert "Traceback" not in server.log.read_text()


def test_mutated_reload_requests_leave_a_server_that_the_next_good_one_puts_right(server, toy_path):
    chance = random.Random(1)
    request = model_management_pb2.ReloadConfigRequest()
    request.config.model_config_list.config.add(name="toy", base_path=str(toy_path), model_platform="tensorflow")
    sound = request.SerializeToString()
    for _ in range(RELOADS):
        with contextlib.suppress(grpc.RpcError):
            call(server, MODEL + "HandleReloadConfigRequest")(mutated(sound, chance), timeout=0.3)
    call(server, MODEL + "HandleReloadConfigRequest")(sound, timeout=30)
    assert good(server)
    assert "Traceback" not in server.log.read_text()
