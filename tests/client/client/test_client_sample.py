"""The library against real servers: every encoding, every signature, and every answer that is not images."""

import io
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from genclient import Client, ClientError, UsageError
from genclient.client.base import MAX_BATCH_SIZE
from PIL import Image
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2


def answering(**outputs):
    """An answer to any request: these tensors, by name."""

    def answer(request, context):
        response = predict_pb2.PredictResponse()
        for name, proto in outputs.items():
            response.outputs[name].CopyFrom(proto)
        return response

    return answer


@pytest.mark.parametrize("signature", ["serving_default", "uint8", "png", "seeds"])
@pytest.mark.parametrize("encoding", ["as_values", "as_content"])
def test_a_seed_is_the_same_image_through_every_signature_and_encoding(serve, tools, signature, encoding):
    served = serve(encode=getattr(tools, encoding))
    with Client(served.target) as client:
        images = client.sample(3, seed=5, signature=signature)
    assert images.dtype == np.uint8
    expected = tools.pixels(tools.render(tools.draw([5, 6, 7])))
    assert np.abs(images.astype(int) - expected).max() <= 1  # a latent differs by 1e-7, which may cross a rounding edge


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_images_of_other_float_types_are_read(serve, tools, dtype):
    served = serve(encode=lambda images: tools.as_values(images.astype(dtype)))
    with Client(served.target) as client:
        assert np.abs(client.sample(2).astype(int) - tools.pixels(tools.render(tools.draw([0, 1])))).max() <= 1


def test_many_seeds_travel_in_batches_and_come_back_in_order(serve, tools):
    served = serve()
    seeds = [9, -3, *range(2 * MAX_BATCH_SIZE)]
    with Client(served.target) as client:
        images = client.sample(seeds=seeds)
        alone = client.sample(seeds=seeds[-1:])
    sizes = [len(request.inputs["latents"].tensor_content) // (4 * tools.Z) for request in served.prediction.requests]
    assert sorted(sizes) == [1, 2, MAX_BATCH_SIZE, MAX_BATCH_SIZE]  # the second and the third travel together
    assert images.shape == (len(seeds), *tools.IMAGE_SHAPE)
    np.testing.assert_array_equal(images[-1:], alone)


def test_one_call_keeps_to_one_version_of_the_model(serve):
    served = serve()
    with Client(served.target) as client:
        batches = client.stream(np.arange(MAX_BATCH_SIZE + 1))
        assert next(batches).version == 3
        list(batches)
        served.prediction.version = 4
        client.sample(1)
    specs = [request.model_spec for request in served.prediction.requests]
    assert [spec.version.value if spec.HasField("version") else None for spec in specs] == [None, 3, None]


def test_a_reply_without_a_version_or_a_name_is_enough(serve, tools):
    with Client(serve(version=None).target) as client:
        assert next(client.stream(np.arange(2))).version is None


def test_a_reply_larger_than_grpcs_default_arrives(serve, tools):
    image = np.zeros((16, 300, 300, 3), np.float32)
    image[0, 0, 0] = 1
    served = serve(
        answer=answering(images=tools.as_content(image)), signatures=tools.signature_table(image_shape=(300, 300, 3))
    )
    with Client(served.target) as client:
        assert client.sample(16).sum() == 3 * 255


def test_truncation_scales_the_latents(serve, tools):
    with Client(serve().target) as client:
        images = client.sample(2, truncation=0.5)
    assert np.abs(images.astype(int) - tools.pixels(tools.render(tools.draw([0, 1]) * 0.5))).max() <= 1


@pytest.mark.parametrize("signature", ["serving_default", "png", "seeds"])
def test_a_label_goes_to_every_row(serve, tools, signature):
    served = serve(signatures=tools.signature_table(conditional=True))
    with Client(served.target) as client:
        images = client.sample(2, label=4, signature=signature)
    expected = tools.pixels(tools.render(tools.draw([0, 1]), [4, 4]))
    assert np.abs(images.astype(int) - expected).max() <= 1


@pytest.mark.parametrize(
    ("conditional", "arguments", "message"),
    [
        (True, {}, "label: found none, expected the index of a class"),
        (False, {"label": 1}, "label: found 1, expected none"),
        (True, {"label": -1}, "label: found -1"),
        (True, {"label": 2**31}, "label: found 2147483648"),
        (False, {"truncation": float("nan")}, "truncation: found nan, expected a number"),
        (False, {"truncation": float("inf")}, "truncation: found inf"),
        (
            False,
            {"truncation": 0.7, "signature": "seeds"},
            "truncation: found 0.7, expected 1 with a signature that takes seeds",
        ),
        (False, {"seeds": []}, "seeds: found"),
        (False, {"n": 0}, "n: found 0"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_before_anything_is_sent(serve, tools, conditional, arguments, message):
    served = serve(signatures=tools.signature_table(conditional=conditional))
    with Client(served.target) as client, pytest.raises(UsageError) as raised:
        client.sample(**arguments)
    assert str(raised.value).startswith(message)
    assert not served.prediction.requests


@pytest.mark.parametrize("target", ["", "localhost:", "http://localhost:8500", "a b:1", ":8500", "unix:"])
def test_a_target_without_a_port_is_refused(target):
    with pytest.raises(UsageError, match=r"^target: found .*, expected HOST:PORT"):
        Client(target)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf")])
def test_a_timeout_is_a_time(seconds):
    with pytest.raises(UsageError, match=r"^timeout: found"):
        Client(timeout_seconds=seconds)


def test_a_signature_that_is_not_there_is_named_with_those_that_are(serve):
    with Client(serve().target) as client, pytest.raises(ClientError) as raised:
        client.sample(1, signature="jpeg")
    assert str(raised.value) == "model 'digits' has no signature 'jpeg'; it has: png, seeds, serving_default, uint8"


@pytest.mark.parametrize(
    ("inputs", "outputs", "found"),
    [
        ({"x": (types_pb2.DT_FLOAT, [-1, 3])}, {"y": (types_pb2.DT_FLOAT, [-1])}, "x float32 (N, 3) → y float32 (N)"),
        ({"latents": (types_pb2.DT_FLOAT, [-1, 3])}, {"y": (types_pb2.DT_FLOAT, [-1])}, "expected an output images"),
        ({"latents": (types_pb2.DT_FLOAT, [-1, -1])}, {"images": (types_pb2.DT_FLOAT, [-1])}, "with Z from 1"),
        ({"latents": (types_pb2.DT_FLOAT, [-1, 2**40])}, {"images": (types_pb2.DT_FLOAT, [-1])}, "with Z from 1"),
        ({"latents": (types_pb2.DT_INT32, [-1, 3])}, {"images": (types_pb2.DT_FLOAT, [-1])}, "latents to be float32"),
        ({"latents": (types_pb2.DT_VARIANT, [-1, 3])}, {"images": (types_pb2.DT_FLOAT, [-1])}, "DT_21 (N, 3)"),
    ],
)
def test_a_model_that_is_no_generator_is_described(serve, inputs, outputs, found):
    served = serve(signatures={"serving_default": (inputs, outputs)})
    with Client(served.target) as client, pytest.raises(ClientError) as raised:
        client.sample(1)
    assert str(raised.value).startswith("model 'digits' is not a generator: signature 'serving_default' is ")
    assert found in str(raised.value)


def test_replies_that_are_not_images_are_refused(serve, tools):
    ok = np.zeros((1, 2, 2, 1), np.float32)
    bad = {
        "the response has outputs ['probabilities']": {"probabilities": tools.as_values(ok)},
        "images: found values that are not finite": {"images": tools.as_values(ok * np.nan)},
        "images: found shape (2, 2, 2, 1), expected 1 rows": {"images": tools.as_values(np.repeat(ok, 2, 0))},
        "images: found shape (1, 4), expected (N, H, W, C)": {"images": tools.as_values(ok.reshape(1, 4))},
        "images: found shape (1, 0, 2, 1)": {"images": tools.as_values(ok[:, :0])},
        "images: found dtype int32": {"images": tools.as_values(ok.astype(np.int32))},
        "png_bytes: found an element that is no PNG": {"png_bytes": tools.as_strings([b"\xff\xd8\xff jpeg"])},
        "png_bytes: a PNG picture is damaged": {
            "png_bytes": tools.as_strings([tools.png(np.ones((99, 99, 3), "u1"))[:80]])
        },
        "png_bytes: found shape (0), expected 1 rows": {"png_bytes": tools.as_strings([])},
        "png_bytes: found a PNG picture of mode I;16": {
            "png_bytes": tools.as_strings([tools.png(np.ones((9, 9), "u2"))])
        },
    }
    served = serve()
    with Client(served.target) as client:
        for message, outputs in bad.items():
            served.prediction.answer = answering(**outputs)
            with pytest.raises(ClientError) as raised:
                client.sample(1)
            assert str(raised.value).startswith(message)
            assert raised.value.exit_code == 1


def test_pictures_of_different_sizes_are_refused(serve, tools):
    pictures = [tools.png(np.ones((height, 9, 3), np.uint8)) for height in (8, 9)]
    served = serve(answer=answering(png_bytes=tools.as_strings(pictures)))
    with Client(served.target) as client, pytest.raises(ClientError, match=r"^png_bytes: found pictures of different"):
        client.sample(2)


def test_pictures_that_claim_a_huge_size_are_refused_unopened(serve, tools, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 89478485)  # Pillow's own, which others in this process may change
    served = serve()
    for side, message in ((9000, "found 4 pictures of"), (12000, "found a picture of a size that is refused")):
        content = io.BytesIO()
        Image.new("L", (side, side)).save(content, "PNG")
        served.prediction.answer = answering(png_bytes=tools.as_strings([content.getvalue()] * 4))
        with Client(served.target) as client, pytest.raises(ClientError, match=rf"^png_bytes: {message}"):
            client.sample(4, signature="png")


def test_images_that_change_their_size_between_batches_are_refused(serve, tools):
    def answer(request, context):
        side = 2 + len(served.prediction.requests)
        rows = request.inputs["latents"].tensor_shape.dim[0].size
        return answering(images=tools.as_values(np.zeros((rows, side, 2, 1), np.float32)))(request, context)

    served = serve(answer=answer)
    with (
        Client(served.target) as client,
        pytest.raises(ClientError, match=r"^images: found \(4, 2, 1\) after \(3, 2, 1\)"),
    ):
        client.sample(MAX_BATCH_SIZE + 1)


def test_values_outside_the_range_are_clipped_and_the_rest_rounded_to_the_nearest(serve, tools):
    images = np.array([-0.5, 0, 0.4999 / 255, 0.5001 / 255, 254.4 / 255, 1, 7], np.float32).reshape(1, 7, 1, 1)
    with Client(serve(answer=answering(images=tools.as_values(images))).target) as client:
        assert client.sample(1).ravel().tolist() == [0, 0, 0, 1, 254, 255, 255]


def test_a_reply_that_does_not_parse_is_refused():
    server = grpc.server(ThreadPoolExecutor(1))
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: b"\xff\xff\xff")
    services = {"GetModelMetadata": handler}
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", services)]
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with Client(f"127.0.0.1:{port}") as client, pytest.raises(ClientError, match=r"that does not parse"):
            client.sample(1)
    finally:
        server.stop(None).wait()


def test_an_rpc_error_keeps_its_status_and_its_words(serve):
    def answer(request, context):
        context.abort(
            grpc.StatusCode.INVALID_ARGUMENT, "Task size 64 is larger than\nmaximum \x1b[31minput batch size 32"
        )

    with Client(serve(answer=answer).target) as client, pytest.raises(ClientError) as raised:
        client.sample(1)
    assert raised.value.exit_code == 64 + 3
    assert str(raised.value).endswith("INVALID_ARGUMENT: Task size 64 is larger than maximum ?[31minput batch size 32")


def test_a_host_that_does_not_answer_is_given_up_within_seconds():
    with socket.create_server(("127.0.0.1", 0)) as silent, Client(f"127.0.0.1:{silent.getsockname()[1]}") as client:
        start = time.monotonic()
        with pytest.raises(ClientError, match=r"^no server is ready at 127.0.0.1:") as raised:
            client.sample(1)
    assert raised.value.exit_code == 64 + 14
    assert time.monotonic() - start < 10


def test_status_lists_the_newest_version_first(serve):
    served = serve(versions=[(2, "END", "Out of memory"), (10, "AVAILABLE", ""), (3, "LOADING", "")])
    with Client(served.target) as client:
        versions = client.status()
        assert client.wait() == 10
    assert [(v.version, v.state, v.message) for v in versions] == [
        (10, "AVAILABLE", ""),
        (3, "LOADING", ""),
        (2, "END", "Out of memory"),
    ]


def test_wait_returns_once_a_version_becomes_available(serve):
    served = serve(versions=[(1, "LOADING", "")])

    def become_available():
        served.model.answered.wait(30)  # the client has seen it loading
        served.model.versions = [(1, "AVAILABLE", "")]

    thread = threading.Thread(target=become_available)
    thread.start()
    with Client(served.target) as client:
        assert client.wait(30) == 1
    thread.join()


def test_wait_tells_what_it_last_saw(serve):
    served = serve(versions=[(1, "END", "NOT_FOUND: no saved_model.pb")])
    with Client(served.target) as client, pytest.raises(ClientError) as raised:
        client.wait(0.3)
    assert str(raised.value) == (
        "model 'digits' not available after 0.3 s; last seen: version 1 END NOT_FOUND: no saved_model.pb"
    )
    with Client(served.target, "cats") as client, pytest.raises(ClientError, match=r"NOT_FOUND: Could not find any"):
        client.wait(0.3)


def test_wait_does_not_wait_for_a_server_that_has_no_status():
    server = grpc.server(ThreadPoolExecutor(1))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with Client(f"127.0.0.1:{port}") as client, pytest.raises(ClientError, match=r"UNIMPLEMENTED"):
            client.wait(30)
    finally:
        server.stop(None).wait()
