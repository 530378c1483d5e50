"""Requests are split and retried, and no image is lost."""

from __future__ import annotations

import asyncio
import threading
import time
from itertools import islice

import grpc
import numpy as np
import pytest
from genclient import AsyncClient, Client, ClientError, RpcError, VersionGoneError
from library_servers import expected, near, refusing, rows_of, unload
from tensorflow_serving.apis import predict_pb2


@pytest.mark.parametrize(
    ("code", "message", "rows"),
    [
        ("INVALID_ARGUMENT", "Task size {rows} is larger than maximum input batch size {most}", [64, 20, 20, 20, 4]),
        ("INVALID_ARGUMENT", "{rows} rows in one request: expected at most {most} (--max_request_rows)", [64, 20]),
        ("RESOURCE_EXHAUSTED", "SERVER: Sent message larger than max ({rows}000 vs. {most}000)", [64, 20]),
        ("RESOURCE_EXHAUSTED", "OOM when allocating tensor with shape[{rows},1,1]", [64, 32, 16]),
    ],
)
def test_a_request_that_is_too_large_is_split_and_the_limit_remembered(serve, tools, code, message, rows):
    served = serve()
    refusing(served, grpc.StatusCode[code], message, 20)
    with Client(served.target, concurrency=1) as client:
        assert near(client.sample(64), expected(tools, range(64)))
        sizes = [rows_of(request) for request in served.prediction.requests]
        assert sizes[: len(rows)] == rows
        served.prediction.requests.clear()
        assert near(client.sample(64), expected(tools, range(64)))
    assert all(rows_of(request) <= 20 for request in served.prediction.requests)


@pytest.mark.parametrize("where", ["server receives", "server sends", "client receives"])
def test_grpcs_own_limits_of_messages_are_learned(serve, tools, where):
    z, limit = 500, 20_000
    options = {"server receives": "grpc.max_receive_message_length", "server sends": "grpc.max_send_message_length"}
    image = np.linspace(0, 1, 300, dtype=np.float32).reshape(1, 10, 10, 3)

    def answer(request, context):
        response = predict_pb2.PredictResponse()
        response.outputs["images"].CopyFrom(tools.as_content(np.repeat(image, rows_of(request), 0)))
        return response

    served = serve(
        answer=answer,
        options=[(options[where], limit)] if where in options else [],
        signatures=tools.signature_table(z=z, image_shape=(10, 10, 3)),
    )
    with Client(served.target, max_message_bytes=limit if where == "client receives" else 2**28) as client:
        images = client.sample(100)
    assert images.shape == (100, 10, 10, 3)
    assert (images == tools.pixels(image)).all()


def test_a_row_that_is_too_large_alone_is_an_error_in_the_servers_words(serve):
    served = serve()
    refusing(served, grpc.StatusCode.INVALID_ARGUMENT, "Task size {rows} is larger than maximum input batch size 0", 0)
    with Client(served.target) as client, pytest.raises(RpcError) as raised:
        client.sample(8)
    assert raised.value.details == "Task size 1 is larger than maximum input batch size 0"
    assert (raised.value.code, raised.value.exit_code) == (grpc.StatusCode.INVALID_ARGUMENT, 67)


def test_a_part_that_is_retried_does_not_hold_up_others(serve, tools):
    served = serve()
    others = threading.Event()

    def answer(request, context):
        first = int(tools.tf.make_ndarray(request.inputs["seeds"])[0])
        if first == 10 and not others.is_set():
            context.abort(grpc.StatusCode.UNAVAILABLE, "The batch scheduling queue is full")
        if first == 30:  # sent while the second part was to be sent again
            others.set()
        return served.prediction.generate(request, context)

    served.prediction.answer = answer
    with Client(served.target, batch_size=10, concurrency=2, timeout_seconds=30) as client:
        assert near(client.sample(40, signature="seeds"), expected(tools, range(40)))


def test_a_part_that_fails_is_asked_for_again_alone(serve, tools):
    served = serve()
    failures = [0]

    def answer(request, context):
        seeds = tools.tf.make_ndarray(request.inputs["seeds"])
        if seeds[0] == 20 and failures[0] < 7:  # more than the attempts that gRPC makes of its own
            failures[0] += 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "The batch scheduling queue is full")
        return served.prediction.generate(request, context)

    served.prediction.answer = answer
    with Client(served.target, batch_size=10) as client:
        images = client.sample(40, signature="seeds")
    assert near(images, expected(tools, range(40)))
    firsts = [int(tools.tf.make_ndarray(request.inputs["seeds"])[0]) for request in served.prediction.requests]
    assert sorted(firsts) == [0, 10, *[20] * 8, 30]


@pytest.mark.parametrize("code", ["INTERNAL", "UNKNOWN", "RESOURCE_EXHAUSTED", "ABORTED"])
def test_nothing_but_unavailable_is_retried(serve, code):
    served = serve()
    refusing(served, grpc.StatusCode[code], "broken", 0)
    with Client(served.target) as client, pytest.raises(RpcError, match=rf"{code}: broken"):
        client.sample(8)
    assert len(served.prediction.requests) == 1


@pytest.mark.parametrize(("code", "details"), [("CANCELLED", "CANCELLED"), ("INTERNAL", "Received RST_STREAM with 2")])
def test_what_a_server_that_ends_gives_up_is_retried(serve, tools, code, details):
    served = serve()
    generate, refused = served.prediction.generate, []

    def answer(request, context):
        if not refused:
            refused.append(request)
            context.abort(grpc.StatusCode[code], details)
        return generate(request, context)

    served.prediction.answer = answer
    with Client(served.target, batch_size=4) as client:
        assert near(client.sample(8), expected(tools, range(8)))
    assert len(served.prediction.requests) == 3


def test_retries_can_be_limited_and_switched_off(serve):
    served = serve()
    refusing(served, grpc.StatusCode.UNAVAILABLE, "busy", 0)
    with Client(served.target, retry_seconds=0) as client, pytest.raises(RpcError, match="busy") as raised:
        client.sample(8)
    assert raised.value.exit_code == 78
    assert len(served.prediction.requests) == 1
    with Client(served.target, timeout_seconds=1) as client, pytest.raises(RpcError, match=r"busy \(\d+ attempts\)"):
        client.sample(8)


def test_a_server_that_dies_and_comes_back_loses_no_image(serve, tools):
    served = serve()
    port = int(served.target.rpartition(":")[2])
    with Client(served.target, batch_size=5, concurrency=2) as client:
        stream = client.iter_sample(60)
        images = list(islice(stream, 12))
        served.stop()
        thread = threading.Timer(1, serve, kwargs={"port": port})  # later than gRPC's own attempts end
        thread.start()
        images += stream
        thread.join()
    assert near(np.stack(images), expected(tools, range(60)))


def test_a_version_that_is_unloaded_meanwhile_ends_a_stream_and_has_sample_begin_anew(serve, tools):
    served = serve()
    unload(served)
    with Client(served.target, concurrency=1) as client:
        stream = client.stream(range(100))
        assert next(stream).version == 3
        with pytest.raises(VersionGoneError, match=r"version 3, which made the images so far, is gone"):
            next(stream)
    served = serve()
    unload(served)
    with Client(served.target, concurrency=1) as client:
        assert near(client.sample(100), expected(tools, range(100)))
    versions = [request.model_spec.version.value for request in served.prediction.requests]
    assert versions == [0, 3, 0, 4]


def test_a_call_has_a_deadline_of_its_own(serve):
    served = serve()
    with Client(served.target, deadline_seconds=0.5, batch_size=1, concurrency=1) as client:
        start = time.monotonic()
        with pytest.raises(ClientError) as raised:
            for _ in client.iter_sample(n=None):
                pass
    assert raised.value.exit_code == 68
    assert time.monotonic() - start < 20


@pytest.mark.parametrize(
    ("side", "declared", "sizes"),
    [(6, True, [64, 36]), (128, True, [21, 21]), (160, True, [16, 16]), (6, False, [16, 64])],
)
def test_requests_are_cut_by_the_bytes_that_images_have(serve, tools, side, declared, sizes):
    image = np.full((1, side, side, 3), 0.5, np.float32)

    def answer(request, context):
        response = predict_pb2.PredictResponse()
        response.outputs["images"].CopyFrom(tools.as_content(np.repeat(image, rows_of(request), 0)))
        return response

    shape = (side, side, 3) if declared else (-1, -1, 3)
    served = serve(answer=answer, signatures=tools.signature_table(image_shape=shape))
    with Client(served.target, concurrency=1) as client:
        assert client.sample(100, signature="serving_default").shape == (100, side, side, 3)
    assert [rows_of(request) for request in served.prediction.requests][: len(sizes)] == sizes


@pytest.mark.parametrize("awaited", [False, True])
def test_what_a_model_said_of_itself_is_forgotten_once_another_version_responds(serve, awaited):
    """The first call after the change is the old request still; what follows goes by the new version."""
    served = serve()

    async def later():
        async with AsyncClient(served.target) as client:
            before = await client.info()
            served.prediction.version = 4
            await client.sample(1)
            return before, await client.info()

    def now():
        with Client(served.target) as client:
            before = client.info()
            served.prediction.version = 4
            client.sample(1)
            return before, client.info()

    before, after = asyncio.run(later()) if awaited else now()
    assert (before.version, after.version) == (3, 4)
