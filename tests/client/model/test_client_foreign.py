"""Servers and models of other origin: other names, dtypes, shapes and ranges, and responses that leave things out."""

import ml_dtypes
import numpy as np
import pytest
from genclient import Client, ClientError, UsageError
from genclient.images import pixels
from genclient.rpc.channel import METADATA
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2

FLOAT, HALF, DOUBLE, UINT8 = types_pb2.DT_FLOAT, types_pb2.DT_HALF, types_pb2.DT_DOUBLE, types_pb2.DT_UINT8
INT32, INT64, STRING = types_pb2.DT_INT32, types_pb2.DT_INT64, types_pb2.DT_STRING


@pytest.fixture
def foreign(serve, tools):
    """Start a server of a model with one signature; gives its address and the inputs that it got.

    `inputs` are the names of latents and labels, `make` changes the images before they are encoded.
    """

    def start(inputs, outputs, make=lambda images: images, encode=tools.as_values, signature="serving_default"):
        got = []

        def answer(request, context):
            arrays = {name: tools.tf.make_ndarray(proto) for name, proto in request.inputs.items()}
            got.append(arrays)
            latents = next(array for array in arrays.values() if array.dtype.kind == "f").astype(np.float32)
            labels = next((array for array in arrays.values() if array.dtype.kind in "iu"), None)
            response = predict_pb2.PredictResponse()  # no model_spec in it
            response.outputs[next(iter(outputs))].CopyFrom(encode(make(tools.render(latents, labels))))
            return response

        return serve(answer=answer, signatures={signature: (inputs, outputs)}, version=None).target, got

    return start


def expected(tools, seeds, labels=None):
    """The pixels of seeds."""
    return tools.pixels(tools.render(tools.draw(seeds), labels)).astype(int)


LATENTS = {"latents": (FLOAT, [-1, 5])}
IMAGES = {"images": (FLOAT, [-1, 6, 4, 3])}


def test_tensors_have_the_names_that_the_user_says(foreign, tools):
    inputs = {"z": (FLOAT, [-1, 5]), "y": (INT64, [-1])}
    target, got = foreign(
        inputs, {"out": (FLOAT, [-1, 6, 4, 3]), "features": (FLOAT, [-1, 8, 8, 512])}, signature="make"
    )
    names = {"latents": "z", "labels": "y", "images": "out"}
    with Client(target, names=names) as client:
        images = client.sample(3, label=2, signature="make")
        assert client.info().signatures["make"].inputs.keys() == {"z", "y"}
    assert np.abs(images - expected(tools, [0, 1, 2], [2, 2, 2])).max() <= 1
    assert {name: array.dtype for name, array in got[0].items()} == {"z": np.float32, "y": np.int64}


def test_one_tensor_alone_needs_no_name(foreign, tools):
    inputs = {"keras_tensor": (FLOAT, [-1, 5]), "keras_tensor_1": (INT32, [-1, 1])}
    target, got = foreign(inputs, {"output_0": (FLOAT, [-1, 6, 4, 3])})
    with Client(target) as client:
        assert np.abs(client.sample(2, label=1) - expected(tools, [0, 1], [[1], [1]])).max() <= 1
    assert got[0]["keras_tensor_1"].tolist() == [[1], [1]]


@pytest.mark.parametrize(
    ("inputs", "outputs", "names", "message"),
    [
        ({"a": (FLOAT, [-1, 5]), "b": (FLOAT, [-1, 5])}, IMAGES, {}, "expected inputs latents or seeds.*--map"),
        ({**LATENTS, "seeds": (INT64, [-1])}, IMAGES, {}, "expected inputs latents or seeds"),
        (LATENTS, {"a": (FLOAT, [-1, 6, 4, 3]), "b": (FLOAT, [-1, 6, 4, 3])}, {}, "expected an output images.*--map"),
        ({**LATENTS, "noise": (FLOAT, [-1, 9, 9])}, IMAGES, {}, "expected no input 'noise'"),
        ({"latents": (FLOAT, [-1, 5]), "labels": (FLOAT, [-1])}, IMAGES, {}, "expected labels to be integers"),
        ({"latents": (FLOAT, [-1, 5]), "labels": (INT32, [-1, 10])}, IMAGES, {}, "expected labels to be integers"),
        (LATENTS, IMAGES, {"latents": "z"}, "names: found 'z' for latents, expected one of latents"),
        (LATENTS, IMAGES, {"images": "z"}, "names: found 'z' for images, expected one of images"),
    ],
)
def test_what_is_ambiguous_is_reported(foreign, inputs, outputs, names, message):
    target, got = foreign(inputs, outputs)
    with Client(target, names=names) as client, pytest.raises(ClientError, match=message):
        client.sample(1)
    assert not got


@pytest.mark.parametrize(("declared", "dtype"), [(HALF, np.float16), (DOUBLE, np.float64)])
def test_latents_travel_in_the_models_own_type(foreign, tools, declared, dtype):
    target, got = foreign({"latents": (declared, [-1, 5])}, IMAGES)
    with Client(target) as client:
        images = client.sample(2)
    assert got[0]["latents"].dtype == dtype
    assert np.abs(images - expected(tools, [0, 1])).max() <= 3


@pytest.mark.parametrize("declared", [INT32, INT64, UINT8])
@pytest.mark.parametrize("shape", [[-1], [-1, 1]])
def test_labels_travel_in_the_models_own_type_and_shape(foreign, declared, shape):
    target, got = foreign({**LATENTS, "labels": (declared, shape)}, IMAGES)
    with Client(target) as client:
        client.sample(2, label=[1, 2])
        if declared == UINT8:
            with pytest.raises(UsageError, match=r"^label: found 256"):
                client.sample(1, label=256)
    assert got[0]["labels"].tolist() == ([1, 2] if shape == [-1] else [[1], [2]])
    assert got[0]["labels"].dtype == {INT32: np.int32, INT64: np.int64, UINT8: np.uint8}[declared]


def test_pixels_in_minus_one_to_one_are_seen_by_themselves(foreign, tools):
    target, _ = foreign(LATENTS, IMAGES, lambda images: images * 2 - 1)
    with Client(target, batch_size=10) as client:
        assert np.abs(client.sample(35) - expected(tools, range(35))).max() <= 1


def test_pixels_up_to_255_are_seen_by_themselves(foreign, tools):
    target, _ = foreign(LATENTS, IMAGES, lambda images: images * 255)
    with Client(target) as client:
        assert np.abs(client.sample(35) - expected(tools, range(35))).max() <= 1


@pytest.mark.parametrize("span", [(-1, 1), (0, 255), (-2, 6), (0, 1)])
def test_the_range_of_pixels_can_be_said(foreign, tools, span):
    low, high = span
    target, _ = foreign(LATENTS, IMAGES, lambda images: np.clip(images, 0.5, 1) * (high - low) + low)  # no dark pixels
    with Client(target, output_range=span) as client:
        assert np.abs(client.sample(3) - np.maximum(expected(tools, [0, 1, 2]), 128)).max() <= 1


def test_a_range_that_turns_out_late_is_refused_and_not_guessed(foreign):
    calls = []

    def make(images):
        calls.append(1)
        return images if len(calls) == 1 else images * 2 - 1

    target, _ = foreign(LATENTS, IMAGES, make)
    with Client(target, batch_size=5) as client, pytest.raises(ClientError, match=r"output_range says which"):
        client.sample(10)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("first", [False, True])
def test_channels_may_be_first_or_last(foreign, tools, channels, first):
    def make(images):
        images = np.concatenate([images] * 3, axis=2)[..., [0, 1, 2, 0][:channels]]  # 6 × 12
        return images.transpose(0, 3, 1, 2) if first else images

    target, _ = foreign(LATENTS, {"images": (FLOAT, [-1, -1, -1, -1])}, make)
    with Client(target) as client:
        images = client.sample(2)
    assert images.shape == (2, 6, 12, channels)
    reference = np.concatenate([expected(tools, [0, 1])] * 3, axis=2)[..., [0, 1, 2, 0][:channels]]
    assert np.abs(images - reference).max() <= 1


def test_grey_images_need_no_channel(foreign, tools):
    target, _ = foreign(LATENTS, {"images": (FLOAT, [-1, 6, 4])}, lambda images: images[..., 0])
    with Client(target) as client:
        assert np.abs(client.sample(2) - expected(tools, [0, 1])[..., :1]).max() <= 1


@pytest.mark.parametrize("encoding", ["as_values", "as_content"])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, ml_dtypes.bfloat16, np.uint8])
def test_images_come_in_every_type_and_encoding(foreign, tools, encoding, dtype):
    def encode(images):
        if dtype == ml_dtypes.bfloat16:
            proto = tools.as_content(images)
            proto.dtype = types_pb2.DT_BFLOAT16
            proto.tensor_content = images.astype(dtype).tobytes()
            if encoding == "as_values":
                proto.half_val.extend(images.astype(dtype).view(np.uint16).ravel().tolist())
                proto.ClearField("tensor_content")
            return proto
        array = tools.pixels(images) if dtype == np.uint8 else images.astype(dtype)
        return getattr(tools, encoding)(array)

    target, _ = foreign(LATENTS, IMAGES, encode=encode)
    with Client(target) as client:
        assert np.abs(client.sample(3) - expected(tools, [0, 1, 2])).max() <= 2


def test_png_files_packed_as_content_are_read(foreign, tools):
    def encode(images):
        proto = tools.as_strings([tools.png(image) for image in tools.pixels(images)])
        packed = tools.tf.io.parse_tensor(proto.SerializeToString(), tools.tf.string)
        lengths = b"".join(varint(len(string)) for string in packed.numpy())
        proto.tensor_content = lengths + b"".join(packed.numpy())
        proto.ClearField("string_val")
        return proto

    def varint(number):
        low, high = number & 0x7F, number >> 7
        return bytes([low | 0x80, high]) if high else bytes([low])

    target, _ = foreign(LATENTS, {"png_bytes": (STRING, [-1])}, encode=encode)
    with Client(target) as client:
        assert np.abs(client.sample(3) - expected(tools, [0, 1, 2])).max() <= 1


def test_a_model_of_fixed_batch_gets_such_batches(foreign, tools):
    target, got = foreign({"latents": (FLOAT, [2, 5])}, {"images": (FLOAT, [2, 6, 4, 3])})
    with Client(target) as client:
        assert np.abs(client.sample(6) - expected(tools, range(6))).max() <= 1
    assert [len(inputs["latents"]) for inputs in got] == [2, 2, 2]


def test_metadata_may_leave_out_all_but_the_signatures(foreign):
    target, _ = foreign(LATENTS, {"images": (FLOAT, [-1, 6, 4, 3])})
    with Client(target) as client:
        response = client._channel.call(METADATA, client._info_request("digits"))
        assert not response.HasField("model_spec")
        assert client.info().version is None
        assert client.sample(2).shape == (2, 6, 4, 3)


@pytest.mark.parametrize(
    ("low", "high", "span"),
    [
        (-0.05, 1.05, pixels.UNIT),  # what a network gives beyond 0 and 1
        (0.0, 1.9, pixels.UNIT),
        (-0.2, 0.3, pixels.SIGNED),
        (-1.05, 1.05, pixels.SIGNED),
        (-3.0, 1.0, pixels.UNIT),  # no image's range
        (0.0, 2.5, pixels.BYTES),
    ],
)
def test_the_range_of_pixels_is_judged_by_the_lowest_and_the_highest(low, high, span):
    assert pixels.range_of(low, high) == span
