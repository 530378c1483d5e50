"""The library as programs use it: requests are split, run together and retried, and no image is lost."""

import asyncio
import logging
import re
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import genclient
import grpc
import numpy as np
import pytest
from genclient import AsyncClient, Client, ClientError, RpcError, UsageError, VersionGoneError
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2

DOCS = Path(__file__).parents[2] / "docs" / "library.md"


def rows_of(request):
    """How many rows a request has."""
    return next(iter(request.inputs.values())).tensor_shape.dim[0].size


def expected(tools, seeds, **arguments):
    """The pixels of seeds."""
    return tools.pixels(tools.render(tools.draw(seeds), **arguments))


def near(images, wanted):
    """Whether pixels are the same up to a rounding edge."""
    return images.shape == wanted.shape and np.abs(images.astype(int) - wanted).max() <= 1


def closed_port():
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def refusing(served, code, message, most):
    """Have a server refuse requests of more rows than that."""

    def answer(request, context):
        rows = rows_of(request)
        if rows > most:
            context.abort(code, message.format(rows=rows, most=most))
        return served.prediction.generate(request, context)

    served.prediction.answer = answer


def critic(tools, conditional=False):
    """Settings of a server that has the critic of `digits`: the mean of an image, and its label, is its score."""
    labels = {"labels": (types_pb2.DT_INT32, [-1])} if conditional else {}
    images = {"images": (types_pb2.DT_FLOAT, [-1, *tools.IMAGE_SHAPE]), **labels}

    def answer(request, context):
        arrays = {name: tools.tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        scores = arrays["images"].mean(axis=(1, 2, 3)) + arrays.get("labels", 0)
        response = predict_pb2.PredictResponse()
        response.outputs["scores"].CopyFrom(tools.as_values(scores.astype(np.float32)))
        return response

    table = {"discriminate": (images, {"scores": (types_pb2.DT_FLOAT, [-1])})}
    return {"name": "digits-critic", "signatures": table, "answer": answer}


def test_images_come_one_by_one_in_the_order_of_their_seeds(serve, tools):
    with Client(serve().target) as client:
        images = list(client.iter_sample(150, seed=7))
    assert len(images) == 150
    assert near(np.stack(images[::50]), expected(tools, [7, 57, 107]))


def test_a_stream_without_end_asks_only_a_little_ahead(serve, tools):
    served = serve()
    with Client(served.target, concurrency=2) as client:
        stream = client.iter_sample(n=None, seed=2**62)
        some = np.stack(list(islice(stream, 65)))
        stream.close()
    assert near(some[[0, 64]], expected(tools, [2**62, 2**62 + 64]))
    assert len(served.prediction.requests) <= 2 + 2 * 2


def test_a_stream_ends_with_the_last_seed_there_is(serve):
    with Client(serve().target) as client:
        assert len(list(client.iter_sample(n=None, seed=2**63 - 3))) == 3
        with pytest.raises(UsageError, match="leave int64"):
            client.iter_sample(n=4, seed=2**63 - 3)


def test_memory_does_not_grow_with_the_number_of_images(serve, tools):
    image = tools.as_content(np.full((1, 64, 64, 3), 0.5, np.float32)).SerializeToString()

    def answer(request, context):
        response = predict_pb2.PredictResponse()
        response.outputs["images"].ParseFromString(image)
        response.outputs["images"].tensor_shape.dim[0].size = rows_of(request)
        response.outputs["images"].tensor_content *= rows_of(request)
        return response

    served = serve(answer=answer, signatures=tools.signature_table(image_shape=(64, 64, 3)))
    tracemalloc.start()
    try:
        with Client(served.target, concurrency=2, batch_size=16) as client:
            assert sum(int(image[0, 0, 0]) for image in client.iter_sample(2000)) == 2000 * 128
        assert tracemalloc.get_traced_memory()[1] < 20e6  # 2,000 images are 25 MB, as floats 98 MB
    finally:
        tracemalloc.stop()


def test_requests_run_together_and_come_back_in_order_whichever_is_answered_first(serve, tools):
    served = serve()
    later, together, most = threading.Event(), [0], [0]
    lock = threading.Lock()

    def answer(request, context):
        with lock:
            together[0] += 1
            most[0] = max(most[0], together[0])
            number = len(served.prediction.requests)
        if number == 2:  # is answered after one that was sent after it
            later.wait(30)
        elif number > 2:
            later.set()
        with lock:
            together[0] -= 1
        return served.prediction.generate(request, context)

    served.prediction.answer = answer
    with Client(served.target, concurrency=3, batch_size=10) as client:
        batches = list(client.stream(range(95)))
    assert [batch.seeds[0] for batch in batches] == list(range(0, 95, 10))
    assert near(np.concatenate([batch.images for batch in batches]), expected(tools, range(95)))
    assert 2 <= most[0] <= 3


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


def test_a_part_that_is_asked_for_again_does_not_hold_up_others(serve, tools):
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
def test_nothing_but_unavailable_is_asked_for_again(serve, code):
    served = serve()
    refusing(served, grpc.StatusCode[code], "broken", 0)
    with Client(served.target) as client, pytest.raises(RpcError, match=rf"{code}: broken"):
        client.sample(8)
    assert len(served.prediction.requests) == 1


@pytest.mark.parametrize(("code", "details"), [("CANCELLED", "CANCELLED"), ("INTERNAL", "Received RST_STREAM with 2")])
def test_what_a_server_that_ends_gives_up_is_asked_for_again(serve, tools, code, details):
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
    with Client(served.target, timeout_seconds=1) as client, pytest.raises(RpcError, match=r"busy \(asked \d+ times\)"):
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


def test_a_server_that_takes_one_request_at_a_time_is_not_asked_for_more(serve, tools):
    served = serve(at_once=1)
    with Client(served.target, concurrency=4, batch_size=5) as client:
        assert near(client.sample(60), expected(tools, range(60)))


def unload(served):
    """Have a server answer with version 4 from the second request on, and no longer know version 3."""

    def answer(request, context):
        if len(served.prediction.requests) > 1:
            served.prediction.version = 4
            if request.model_spec.HasField("version") and request.model_spec.version.value == 3:
                context.abort(grpc.StatusCode.NOT_FOUND, "Servable not found for request: Specific(digits, 3)")
        return served.prediction.generate(request, context)

    served.prediction.answer = answer


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


def test_latents_may_be_given_instead_of_seeds(serve, tools):
    latents = tools.draw([3, 9])
    with Client(serve().target) as client:
        assert near(client.sample(latents=latents, truncation=0.5), tools.pixels(tools.render(latents * 0.5)))
        assert next(client.stream(latents=latents.astype(np.float64))).seeds.tolist() == [0, 1]
        for wrong, message in (
            (latents[:, :4], "found 4 an image, expected 5"),
            (latents[0], "expected numbers"),
            (latents * np.nan, "not finite"),
        ):
            with pytest.raises(UsageError, match=rf"^latents: .*{message}"):
                client.sample(latents=wrong)
        with pytest.raises(UsageError, match=r"^latents: found some, expected none"):
            client.sample(latents=latents, signature="seeds")


def test_each_image_may_have_a_label_of_its_own(serve, tools):
    served = serve(signatures=tools.signature_table(conditional=True))
    labels = [0, 1, 2, 3, 4]
    with Client(served.target, batch_size=2) as client:
        assert near(client.sample(5, label=labels), expected(tools, range(5), labels=labels))
        assert [batch.labels.tolist() for batch in client.stream(range(5), label=labels)] == [[0, 1], [2, 3], [4]]
        for wrong in ([0, 1], [0, 1, 2, 3, -1], [0.5] * 5):
            with pytest.raises(UsageError, match=r"^label: found"):
                client.sample(5, label=wrong)


def test_the_cheapest_signature_is_found(serve, tools):
    for names, chosen in (("png seeds uint8 serving_default", "uint8"), ("png serving_default", "serving_default")):
        served = serve(signatures={name: tools.signature_table()[name] for name in names.split()})
        with Client(served.target) as client:
            assert near(client.sample(2, signature="auto"), expected(tools, [0, 1]))
        assert [request.model_spec.signature_name for request in served.prediction.requests] == [chosen]


def test_a_batch_says_what_it_cost(serve):
    with Client(serve().target) as client:
        exchange = next(client.stream(range(8))).exchange
    assert exchange.sent_bytes > 8 * 5 * 4
    assert exchange.received_bytes > 8 * 72 * 4
    assert exchange.wait_seconds > 0
    assert exchange.read_seconds > 0
    assert exchange.attempts == 1


def test_images_are_scored_by_the_critic(serve, tools):
    served = serve(**critic(tools))
    images = np.random.default_rng(0).integers(0, 256, (100, *tools.IMAGE_SHAPE), dtype=np.uint8)
    with Client(served.target) as client:
        scores = client.score(images)
        assert scores.dtype == np.float32
        np.testing.assert_allclose(scores, images.mean(axis=(1, 2, 3)) / 255, atol=1e-6)
        np.testing.assert_allclose(client.score(images / 255), scores, atol=1e-6)
        for wrong in (images[0], images[:, :4], images.astype(np.int32), []):
            with pytest.raises(UsageError, match=r"^images: found"):
                client.score(wrong)
        with pytest.raises(UsageError, match=r"^label: found 1, expected none"):
            client.score(images, label=1)
        with pytest.raises(RpcError, match="NOT_FOUND"):
            client.score(images, model="cats-critic")
    with Client(serve(**critic(tools, conditional=True)).target) as client:
        np.testing.assert_allclose(client.score(images[:2], label=[1, 2]), scores[:2] + np.array([1, 2]), atol=1e-5)


def test_what_scores_no_images_is_named(serve, tools):
    settings = {**critic(tools), "signatures": {"discriminate": tools.signature_table()["serving_default"]}}
    with Client(serve(**settings).target) as client, pytest.raises(ClientError, match="is not a critic"):
        client.score(np.zeros((1, *tools.IMAGE_SHAPE)))


def test_a_configuration_is_sent_as_tensorflow_serving_reads_it(serve):
    served = serve()
    text = """model_config_list { config { name: "digits" base_path: "/models/digits" model_platform: "tensorflow"
        model_version_policy { specific { versions: 1 versions: 2 } } version_labels { key: "stable" value: 1 } } }"""
    with Client(served.target) as client:
        client.reload(text)
        config = served.model.configs[0].model_config_list.config[0]
        assert (config.name, config.base_path, config.model_platform) == ("digits", "/models/digits", "tensorflow")
        assert list(config.model_version_policy.specific.versions) == [1, 2]
        assert dict(config.version_labels) == {"stable": 1}
        with pytest.raises(ClientError, match="refused the configuration: no models"):
            client.reload("model_config_list {}")
        with pytest.raises(UsageError, match=r'^model config: 1:21 : .*"modles"'):
            client.reload("model_config_list { modles {} }")


def test_threads_may_share_a_client(serve, tools):
    with Client(serve().target, batch_size=7) as client, ThreadPoolExecutor(6) as pool:
        images = list(pool.map(lambda seed: client.sample(20, seed=seed), range(0, 120, 20)))
    assert near(np.concatenate(images), expected(tools, range(120)))


def test_a_closed_client_says_so(serve):
    client = Client(serve().target)
    client.close()
    with pytest.raises(UsageError, match=r"^this client is closed"):
        client.sample(1)


def test_every_request_is_logged_for_those_who_debug(serve, caplog):
    with caplog.at_level(logging.DEBUG, "genclient"), Client(serve().target) as client:
        client.sample(1)
        with pytest.raises(UsageError):
            client.sample(1, label=3)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == ["GetModelMetadata", "Predict"]
    assert re.fullmatch(r"Predict: sent \d+ B, received \d+ B, \d+\.\d ms", caplog.records[1].getMessage())


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"batch_size": 0},
        {"deadline_seconds": -1},
        {"retry_seconds": float("nan")},
        {"output_range": (1, 1)},
        {"names": {"latent": "z"}},
        {"compression": "brotli"},
        {"max_message_bytes": 10},
        {"model": "a\nb"},
    ],
)
def test_settings_that_cannot_be_meant_are_named(options):
    with pytest.raises(UsageError, match=rf"^({next(iter(options))}|deadline): found"):
        Client(**options)


def run_async(target, act, **options):
    """What a coroutine gives that is given an AsyncClient."""

    async def main():
        async with AsyncClient(target, **options) as client:
            return await act(client)

    return asyncio.run(main())


def test_the_asynchronous_client_does_the_same(serve, tools):
    served = serve()

    async def act(client):
        assert await client.wait(30) == 3
        assert [version.state for version in await client.status()] == ["AVAILABLE"]
        assert (await client.info()).version == 3
        both = await asyncio.gather(client.sample(70), client.sample(3, seed=5, signature="png"))
        batches = [batch async for batch in client.stream(range(25), truncation=0.5)]
        images = [image async for image in client.iter_sample(25)]
        return *both, batches, images

    many, some, batches, images = run_async(served.target, act, batch_size=10)
    assert near(many, expected(tools, range(70)))
    assert near(some, expected(tools, [5, 6, 7]))
    assert [len(batch.seeds) for batch in batches] == [10, 10, 5]
    assert near(np.stack(images), expected(tools, range(25)))


def test_the_asynchronous_client_scores_reloads_and_begins_anew(serve, tools):
    images = np.full((3, *tools.IMAGE_SHAPE), 51, np.uint8)
    scores = run_async(serve(**critic(tools)).target, lambda client: client.score(images))
    np.testing.assert_allclose(scores, [0.2, 0.2, 0.2], atol=1e-6)
    served = serve()
    run_async(served.target, lambda client: client.reload('model_config_list { config { name: "a" } }'))
    assert len(served.model.configs) == 1
    unload(served)
    assert near(run_async(served.target, lambda client: client.sample(100), concurrency=1), expected(tools, range(100)))


def test_the_asynchronous_client_splits_retries_and_reports_alike(serve, tools):
    served = serve()
    refusing(served, grpc.StatusCode.INVALID_ARGUMENT, "Task size {rows} is larger than maximum input batch size 9", 9)
    assert near(run_async(served.target, lambda client: client.sample(64)), expected(tools, range(64)))
    port = int(served.target.rpartition(":")[2])

    async def interrupted(client):
        images = []
        async for image in client.iter_sample(60):
            images.append(image)
            if len(images) == 12:
                served.stop()
                threading.Timer(1, serve, kwargs={"port": port}).start()
        return np.stack(images)

    assert near(run_async(served.target, interrupted, batch_size=5, concurrency=2), expected(tools, range(60)))
    with pytest.raises(RpcError) as raised:
        run_async(f"127.0.0.1:{closed_port()}", lambda client: client.sample(1))
    assert raised.value.exit_code == 78
    with pytest.raises(UsageError, match=r"^label: found 1"):
        run_async(serve().target, lambda client: client.sample(1, label=1))


def test_an_asynchronous_stream_can_be_left_and_cancelled(serve):
    served = serve()
    began, gone = threading.Event(), threading.Event()

    def answer(request, context):
        context.add_callback(gone.set)
        began.set()
        gone.wait(30)

    async def leave(client):
        async for _ in client.iter_sample(n=None):
            break
        await client.info()
        served.prediction.answer = answer
        task = asyncio.create_task(client.sample(1))
        assert await asyncio.to_thread(began.wait, 30)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_async(served.target, leave)
    assert gone.wait(30)


def test_the_examples_of_the_documentation_run(serve, tools, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    target = serve(signatures=tools.signature_table()).target
    critics = serve(**critic(tools)).target
    examples = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    assert len(examples) >= 5
    for example in examples:
        program = example.replace("critic-box:8500", critics)
        exec(program.replace("gpu-box:8500", target).replace("localhost:8500", target), {"__name__": "example"})


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
        assert client.sample(100).shape == (100, side, side, 3)
    assert [rows_of(request) for request in served.prediction.requests][: len(sizes)] == sizes


def test_neither_pillow_nor_tensorflow_is_loaded_for_pixels(serve):
    program = f"""
import sys
from genclient import Client
with Client({serve().target!r}) as client:
    client.sample(2)
print(sorted({{"PIL", "tensorflow", "tensorflow_serving"}} & {{name.split(".")[0] for name in sys.modules}}))
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, timeout=60)
    assert done.stdout == b"[]\n"


def test_an_unknown_name_of_the_package_is_an_error():
    with pytest.raises(AttributeError, match="has no attribute 'Clint'"):
        genclient.Clint  # noqa: B018


def test_parts_that_wait_for_an_earlier_one_do_not_pile_up(serve):
    served = serve()
    full, overrun = threading.Event(), threading.Event()

    def answer(request, context):
        number = len(served.prediction.requests)
        if number == 5:  # the first, the one that is held, and three more
            full.set()
        elif number > 5:
            overrun.set()
        if number == 2:
            full.wait(30)
            held.append(overrun.wait(0.3))
        return served.prediction.generate(request, context)

    held = []
    served.prediction.answer = answer
    with Client(served.target, concurrency=2, batch_size=1) as client:
        assert client.sample(20).shape[0] == 20
    assert held == [False]
