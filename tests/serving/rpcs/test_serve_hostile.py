"""gRPC requests that would cost far more than their bytes, and clients that keep what they do not use."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from genserve.batching.merge import TooMuchPadding, merged
from genserve.errors import ServeError
from genserve.rpcs.admission import FEW, MAX_SENDERS, Admission, InFlight, Senders
from genserve.rpcs.examples import serialised
from genserve.rpcs.health import MAX_WATCHERS
from genserve.rpcs.rpc import handler
from genserve.rpcs.threads import RpcThreads
from genserve.runtime.tensors import TensorError, decode
from genserve.telemetry.metrics import MAX_LABEL, OTHERS, Counter
from grpc_health.v1 import health_pb2, health_pb2_grpc
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import input_pb2, model_management_pb2

INVALID, EXHAUSTED = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
PREDICT = b"/tensorflow.serving.PredictionService/Predict"
STREAMS = 16
SERVING = health_pb2.HealthCheckResponse.SERVING
OWN_CONNECTION = [("grpc.use_local_subchannel_pool", 1)]


@pytest.fixture(scope="module")
def server(run_genserve, toy_path):
    """A server of one thread."""
    flags = ("--grpc_max_threads=1", "--max_queued_requests=20", "--enable_grpc_healthcheck_service")
    return run_genserve(toy_path, "toy", None, *flags).ready()


def good(server):
    """A sound request is answered."""
    response = server.prediction.Predict(server.request(x=np.array([[1, 2, 3]], np.float32)), timeout=20)
    return list(response.outputs["y"].float_val) == [2, 4, 6]


def tensor(sizes, dtype=types_pb2.DT_FLOAT, **fields):
    """A TensorProto of any shape."""
    proto = tensor_pb2.TensorProto(dtype=dtype, **fields)
    for size in sizes:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize(
    "proto",
    [
        tensor([1] * 255, float_val=[1]),
        tensor([1] * 300_000, float_val=[1]),
        tensor([2**40] * 100_000, float_val=[1]),
        tensor([0] * 100_000),
        tensor([-1, 3], float_val=[1]),
        tensor([-(2**63)] * 254, float_val=[1]),
        tensor([2**62, 2, 2], float_val=[1]),
        tensor([2**62, 2, 2, 0], float_val=[1]),
        tensor([10**6, 10**6], float_val=[1]),
        tensor([10**6, 10**6]),
        tensor([10**9], types_pb2.DT_STRING, string_val=[b"x"]),
        tensor([2**63 - 1], types_pb2.DT_STRING, tensor_content=b"\0"),
        tensor([2**31], types_pb2.DT_INT8, int_val=[1]),
        tensor([2**28], types_pb2.DT_COMPLEX128, dcomplex_val=[1, 2]),
        tensor([2**50], types_pb2.DT_HALF, half_val=[1]),
        tensor([3], dtype=99),
    ],
)
def test_shape_that_asks_for_more_than_was_sent_is_refused_before_anything_is_made_of_it(server, fails, proto):
    with pytest.raises(TensorError):
        decode(proto)
    with fails(INVALID, "tensor parsing error: x"):
        server.predict(x=proto)


def test_shape_of_unknown_rank_is_that_of_a_scalar_as_in_tensorflow():
    proto = tensor([], float_val=[5])
    proto.tensor_shape.unknown_rank = True
    assert decode(proto) == 5


def test_most_dimensions_that_numpy_has_are_read():
    assert decode(tensor([1] * 64, float_val=[5])).shape == (1,) * 64


def test_context_is_not_copied_before_any_number_of_examples():
    request = input_pb2.Input()
    listed = request.example_list_with_context
    listed.context.features.feature["x"].bytes_list.value.append(bytes(2**20))
    listed.examples.add()
    assert len(serialised(request)) == 1
    for _ in range(100):
        listed.examples.add()
    with pytest.raises(ServeError, match="is too long for 101 Examples") as failure:
        serialised(request)
    assert failure.value.code is INVALID


def test_long_row_does_not_make_many_short_ones_long():
    many, long = {"x": np.ones((10_000, 1), np.float32)}, {"x": np.ones((1, 100_000), np.float32)}
    with pytest.raises(TooMuchPadding):
        merged([many, long], pad_inner=True)
    assert merged([{"x": many["x"][:2]}, long], pad_inner=True)["x"].shape == (3, 100_000)
    with pytest.raises(TooMuchPadding):
        merged([{"x": np.ones((1, 10**6), np.float32)}], padding=99)


def test_name_of_megabytes_is_no_label_of_a_metric():
    counter = Counter("requests", "Requests.", ("model_name",))
    counter.add(1, "a" * (MAX_LABEL + 1))
    counter.add(1, "a" * MAX_LABEL)
    assert counter.series()[0] == f'requests{{model_name="{OTHERS}"}} 1'
    assert len(counter.series()[1]) > MAX_LABEL


def test_names_and_filters_of_megabytes_and_very_many_inputs_are_refused(server):
    name = "n" * 2**20
    requests = [
        server.request(name=name),
        server.request(signature=name),
        server.request(label=name),
        server.request("", [name], x=[[1.0]]),
        server.request("", ["y"] * 100_000, x=[[1.0]]),
        server.request("", **{f"x{number}": tensor([]) for number in range(20_000)}),
    ]
    for request in requests:
        with pytest.raises(grpc.RpcError) as failure:
            server.prediction.Predict(request, timeout=20)
        assert failure.value.code() not in (grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.INTERNAL)
        assert len(failure.value.details()) < 1100
    assert good(server)


def test_config_of_very_many_models_is_refused(server, fails):
    request = model_management_pb2.ReloadConfigRequest()
    for number in range(20_000):
        request.config.model_config_list.config.add(name=f"m{number}", base_path="/none", model_platform="tensorflow")
    with fails(INVALID, "20000 models in one config: expected at most 1000"):
        server.models.HandleReloadConfigRequest(request, timeout=20)
    assert good(server)


def frame(kind, flags, stream, payload=b""):
    """An HTTP/2 frame (RFC 9113, 4.1)."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def text(value):
    """A string of HPACK, of less than 127 bytes."""
    return bytes([len(value)]) + value


def head(path):
    """The header block of an RPC (RFC 7541), without Huffman codes."""
    others = [(b"content-type", b"application/grpc"), (b"te", b"trailers")]
    literal = b"".join(b"\0" + text(name) + text(value) for name, value in others)
    return b"\x83\x86\x04" + text(path) + b"\x01" + text(b"x") + literal  # POST, http, the path, the authority


def test_streams_that_never_send_their_message_leave_threads_for_others(server):
    paths = [PREDICT, b"/grpc.health.v1.Health/Check", b"/grpc.health.v1.Health/Watch"]
    paths += [b"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"]
    for path in paths:
        with socket.create_connection(("127.0.0.1", server.port), 20) as client:
            client.sendall(PREFACE + frame(4, 0, 0))
            client.sendall(b"".join(frame(1, 4, 2 * number + 1, head(path)) for number in range(STREAMS)))
            for _ in range(3):
                assert good(server)
    assert good(server)
    assert "Traceback" not in server.log.read_text()


def watching(server, stack, count):
    """The statuses that so many new streams of Health/Watch see, on a connection of their own; the stack closes it."""
    channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{server.port}", OWN_CONNECTION))
    stub = health_pb2_grpc.HealthStub(channel)
    streams = [stub.Watch(health_pb2.HealthCheckRequest(), timeout=60) for _ in range(count)]
    for stream in streams:
        stack.callback(stream.cancel)
    return [next(stream).status for stream in streams]


def test_health_is_watched_however_many_others_watch_or_are_silent(server):
    with contextlib.ExitStack() as stack:
        silent = stack.enter_context(socket.create_connection(("127.0.0.1", server.port), 20))
        # Its window of 0 bytes takes no response.
        silent.sendall(PREFACE + frame(4, 0, 0, struct.pack(">HI", 4, 0)))
        for number in range(STREAMS):
            silent.sendall(frame(1, 4, 4 * number + 1, head(b"/grpc.health.v1.Health/Watch")))
            silent.sendall(frame(1, 4, 4 * number + 3, head(b"/grpc.health.v1.Health/Watch")))
            silent.sendall(frame(0, 1, 4 * number + 3, bytes(5)))
        for _ in range(MAX_SENDERS // MAX_WATCHERS + 1):  # more than there are threads
            assert watching(server, stack, MAX_WATCHERS) == MAX_WATCHERS * [SERVING]
        assert good(server)
        check = health_pb2_grpc.HealthStub(server.channel).Check
        assert check(health_pb2.HealthCheckRequest(), timeout=20).status == SERVING


def test_connection_has_no_more_than_so_many_watch_streams(server, fails):
    with contextlib.ExitStack() as stack:
        with fails(EXHAUSTED, f"more than {MAX_WATCHERS} Watch streams"):
            watching(server, stack, MAX_WATCHERS + 1)
        assert watching(server, stack, 1) == [SERVING]
    stub = health_pb2_grpc.HealthStub(server.channel)
    for _ in range(2 * MAX_WATCHERS):  # those that have ended do not count
        stream = stub.Watch(health_pb2.HealthCheckRequest(), timeout=20)
        assert next(stream).status == SERVING
        stream.cancel()


def test_service_that_is_not_known_has_a_health_of_its_own(server, fails):
    with fails(grpc.StatusCode.NOT_FOUND, "service name unknown"), contextlib.ExitStack() as stack:
        stub = health_pb2_grpc.HealthStub(server.channel)
        request = health_pb2.HealthCheckRequest(service="unknown")
        watch = stub.Watch(request, timeout=20)
        stack.callback(watch.cancel)
        assert next(watch).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        stub.Check(request, timeout=20)


@pytest.fixture
def echo():
    """A server whose only RPC sends its message back, and that gives up late messages where more than two are."""
    admission = Admission(2, 0)
    admission.senders = Senders(2)
    server = grpc.server(ThreadPoolExecutor(20))
    handlers = {"Echo": handler("Echo", lambda data, call: data, admission)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield admission.senders, port
    server.stop(0)


@pytest.mark.parametrize(("few", "many", "left"), [(1, 6, 2), (5, 12, 5)])
def test_where_too_many_messages_are_late_those_of_the_greediest_connection_are_given_up(echo, until, few, many, left):
    senders, port = echo
    senders._most = few + many  # at first nobody is given up
    with contextlib.ExitStack() as stack:
        modest, greedy = (stack.enter_context(socket.create_connection(("127.0.0.1", port), 20)) for _ in range(2))
        for client, streams in ((modest, range(1, 2 * few, 2)), (greedy, range(1, 2 * many, 2))):
            client.sendall(PREFACE + frame(4, 0, 0))
            client.sendall(b"".join(frame(1, 4, stream, head(b"/test/Echo")) for stream in streams))
        until(lambda: senders.count == few + many)
        senders._most = left
        greedy.sendall(frame(1, 4, 2 * many + 1, head(b"/test/Echo")))
        until(lambda: senders.count == left)
        message = b"late, but read"
        for stream in range(1, 2 * few, 2):
            modest.sendall(frame(0, 1, stream, b"\0" + struct.pack(">I", len(message)) + message))
        received = b""
        while received.count(message) < few:
            part = modest.recv(2**16)
            assert part
            received += part


def test_client_is_answered_while_others_hold_all_threads(until):
    admission, streams = Admission(8, 200), range(1, 81, 2)  # in all more than there are threads
    admission.senders = Senders(4)
    admission.senders._watched = True  # so that nobody is given up
    server = grpc.server(RpcThreads(8, admission.senders))
    handlers = {"Echo": handler("Echo", lambda data, call: data, admission)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with contextlib.ExitStack() as stack:
        greedy = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 20)) for _ in range(3)]
        for client in greedy:
            client.sendall(PREFACE + frame(4, 0, 0))
            client.sendall(b"".join(frame(1, 4, stream, head(b"/test/Echo")) for stream in streams))
        until(lambda: admission.senders.count >= 8)
        channel = stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{port}"))
        for _ in range(2 * FEW):
            assert channel.unary_unary("/test/Echo")(b"soon", timeout=20) == b"soon"
        message = b"\0" + struct.pack(">I", 5) + b"later"
        for client in greedy:
            client.sendall(b"".join(frame(0, 1, stream, message) for stream in streams))
        for client in greedy:
            received = b""
            while received.count(b"later") < len(streams):  # those that waited for a thread too
                received += (part := client.recv(2**16))
                assert part
    server.stop(0)


def test_requests_that_wait_are_worked_on_in_the_order_they_came(until):
    admission, go, order = Admission(1, 10), threading.Event(), []

    def work(data, call):
        order.append(data)
        go.wait(20)
        return data

    server = grpc.server(ThreadPoolExecutor(8))
    handlers = {"Work": handler("Work", work, admission)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    requests = [b"first", b"second", b"third", b"fourth"]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        calls = []
        for number, request in enumerate(requests):
            calls.append(channel.unary_unary("/test/Work").future(request, timeout=20))
            until(lambda number=number: len(order) + len(admission.slots._waiting) == number + 1)
        go.set()
        assert [call.result() for call in calls] == requests
    server.stop(0)
    assert order == requests


def test_streams_without_end_are_given_up_soon(server, until):
    with socket.create_connection(("127.0.0.1", server.port), 20) as client:
        client.sendall(PREFACE + frame(4, 0, 0))
        client.sendall(b"".join(frame(1, 4, 2 * number + 1, head(PREDICT)) for number in range(2 * MAX_SENDERS)))
        until(lambda: code_of(server.prediction.Predict, server.request(x=[[1.0, 2, 3]])) is None)
    assert good(server)


def test_call_without_a_message_is_refused_as_grpc_does(server):
    call = server.channel.stream_unary(PREDICT.decode())
    with pytest.raises(grpc.RpcError) as failure:
        call(iter([]), timeout=20)
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert failure.value.details() == '"Predict" requires exactly one request message.'


def test_answers_that_nobody_reads_are_bounded(until):
    admission, path = Admission(4, 4), "/test/Big"
    in_flight = admission.in_flight = InFlight(25 * 2**20)
    server = grpc.server(ThreadPoolExecutor(4))
    big = handler(path, lambda data, call: bytes(10 * 2**20), admission)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test", {"Big": big}),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.max_receive_message_length", -1)]) as channel:
        call = channel.unary_unary(path)

        def others_are_refused():
            """Beside a client that reads nothing; a connection that the server has closed meanwhile is made anew."""
            with socket.create_connection(("127.0.0.1", port), 20) as client, contextlib.suppress(AssertionError):
                client.sendall(PREFACE + frame(4, 0, 0) + frame(4, 1, 0))
                for stream in (1, 3, 5):
                    client.sendall(frame(1, 4, stream, head(path.encode())) + frame(0, 1, stream, bytes(5)))
                return until(lambda: in_flight.count == 3 and code_of(call) is EXHAUSTED, 10)

        until(others_are_refused)
        until(lambda: code_of(call) is None)
    server.stop(0)


def code_of(call, data=b""):
    """The code of a call, None for OK."""
    try:
        call(data, timeout=20)
    except grpc.RpcError as error:
        return error.code()
    return None
