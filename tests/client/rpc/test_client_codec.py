"""Tensors on the wire: genclient's messages and TensorFlow Serving's read each other, and bad ones are refused."""

import subprocess
import sys
import tracemalloc
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from genclient import ClientError
from genclient.rpc import codec, wire
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

FLOATS = np.linspace(-2, 2, 24, dtype=np.float32).reshape(2, 3, 4)


def received(proto):
    """A TensorProto as genclient reads it off the wire."""
    return codec.decode(wire.Tensor.FromString(proto.SerializeToString()), "images")


def shaped(dtype, shape, **fields):
    """A TensorProto of a dtype, a shape and whatever fields."""
    proto = tensor_pb2.TensorProto(dtype=tf.as_dtype(dtype).as_datatype_enum, **fields)
    for size in shape:
        proto.tensor_shape.dim.add(size=size)
    return proto


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.int64])
@pytest.mark.parametrize("shape", [(), (1,), (24,), (2, 3, 4), (0, 5)])
def test_tensorflow_reads_what_is_sent(dtype, shape):
    array = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    proto = tensor_pb2.TensorProto.FromString(codec.encode(array).SerializeToString())
    read = tf.make_ndarray(proto)
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)
    assert tf.io.parse_tensor(proto.SerializeToString(), dtype).shape == shape


def test_a_request_reads_as_tensorflow_servings():
    request = wire.PredictRequest(model_spec=wire.ModelSpec(name="digits", signature_name="uint8"))
    request.model_spec.version.value = 7
    request.inputs["latents"].CopyFrom(codec.encode(FLOATS))
    read = predict_pb2.PredictRequest.FromString(request.SerializeToString())
    assert (read.model_spec.name, read.model_spec.signature_name, read.model_spec.version.value) == (
        "digits",
        "uint8",
        7,
    )
    np.testing.assert_array_equal(tf.make_ndarray(read.inputs["latents"]), FLOATS)


def test_every_field_has_tensorflow_servings_number_and_wire_type():
    pairs = {
        "Tensor": tensor_pb2.TensorProto,
        "LooseTensor": tensor_pb2.TensorProto,
        "PredictRequest": predict_pb2.PredictRequest,
        "PredictResponse": predict_pb2.PredictResponse,
        "MetadataRequest": get_model_metadata_pb2.GetModelMetadataRequest,
        "MetadataResponse": get_model_metadata_pb2.GetModelMetadataResponse,
        "Signatures": get_model_metadata_pb2.SignatureDefMap,
        "StatusRequest": get_model_status_pb2.GetModelStatusRequest,
        "StatusResponse": get_model_status_pb2.GetModelStatusResponse,
    }
    seen = set()

    def compare(ours, theirs):
        if ours.full_name in seen:
            return
        seen.add(ours.full_name)
        for field in ours.fields:
            other = theirs.fields_by_number[field.number]
            assert field.is_repeated == other.is_repeated or field.type == field.TYPE_BYTES, field.full_name
            same = {field.type, other.type}
            packed = other.is_repeated and other.type not in (field.TYPE_STRING, field.TYPE_MESSAGE)
            bytes_for_packed = field.type == field.TYPE_BYTES and packed
            assert len(same) == 1 or bytes_for_packed or same == {field.TYPE_INT32, field.TYPE_ENUM}
            if field.message_type is not None:
                compare(field.message_type, other.message_type)

    for name, theirs in pairs.items():
        compare(getattr(wire, name).DESCRIPTOR, theirs.DESCRIPTOR)


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "uint8", "int8", "int16", "uint16", "int32", "int64"]
)
@pytest.mark.parametrize("encoding", ["as_values", "as_content"])
def test_numbers_arrive_in_either_encoding(tools, dtype, encoding):
    array = (np.arange(24).reshape(2, 3, 4) * 5).astype(dtype)
    read = received(getattr(tools, encoding)(array))
    assert read.dtype == array.dtype
    np.testing.assert_array_equal(read, array)


@pytest.mark.parametrize("array", [np.array([True, False]), np.array([b"a\0", b"", b"\0\xff" * 200], object)])
def test_tensorflows_own_encoding_of_other_types_arrives(array):
    read = received(tf.make_tensor_proto(array))
    assert read.tolist() == array.tolist()


def test_bfloat16_arrives_as_float32():
    array = np.array([0.5, -1.25, 3], ml_dtypes.bfloat16)
    for proto in (
        shaped("bfloat16", [3], half_val=array.view(np.uint16).tolist()),
        shaped("bfloat16", [3], tensor_content=array.tobytes()),
    ):
        np.testing.assert_array_equal(received(proto), np.array([0.5, -1.25, 3], np.float32))


def test_strings_packed_as_content_arrive_as_tensorflow_reads_them():
    strings = [b"first", b"", b"x" * 300, b"y" * 40_000]  # whose length takes three bytes
    proto = shaped(tf.string, [4], tensor_content=b"\x05\x00\xac\x02\xc0\xb8\x02" + b"".join(strings))
    assert tf.io.parse_tensor(proto.SerializeToString(), tf.string).numpy().tolist() == strings
    assert received(proto).tolist() == strings


@pytest.mark.parametrize(
    "content", [b"\x05\x00", b"\x05\x00\xff\xff\xff\xff\x0f" + b"x" * 9, b"\x00\x00\x00!", b"\x80\x80"]
)
def test_strings_packed_wrongly_are_refused(content):
    with pytest.raises(ClientError, match=r"^images: found .* bytes that do not hold 3 strings"):
        received(shaped(tf.string, [3], tensor_content=content))


def test_packed_numbers_may_come_in_chunks():
    proto = shaped(tf.float32, FLOATS.shape)
    chunks = [shaped(tf.float32, [], float_val=part).SerializeToString() for part in np.array_split(FLOATS.ravel(), 3)]
    whole = wire.Tensor.FromString(proto.SerializeToString() + b"".join(chunks))
    assert len(whole.float_val) == 3
    np.testing.assert_array_equal(codec.decode(whole, "images"), FLOATS)


@pytest.mark.parametrize(("dtype", "tag"), [(np.float32, b"\x2d"), (np.float64, b"\x31")])
def test_numbers_need_not_be_packed(dtype, tag):
    array = FLOATS.astype(dtype)
    loose = b"".join(tag + value.tobytes() for value in array.ravel())
    head = shaped(dtype, FLOATS.shape).SerializeToString()
    np.testing.assert_array_equal(codec.decode(wire.Tensor.FromString(head + loose), "images"), array)
    packed = shaped(dtype, [], **{f"{'float' if dtype == np.float32 else 'double'}_val": [1]}).SerializeToString()
    with pytest.raises(ClientError, match=r"^images: found .* packed and unpacked"):
        codec.decode(wire.Tensor.FromString(head + packed + loose), "images")


@pytest.mark.parametrize("values", [[], [0.5], [0.25, 0.75]])
def test_a_short_list_of_values_goes_on_with_its_last_as_in_tensorflow(values):
    proto = shaped(tf.float32, [2, 3], float_val=values)
    expected = tf.io.parse_tensor(proto.SerializeToString(), tf.float32).numpy()
    np.testing.assert_array_equal(received(proto), expected)


def test_strings_may_be_left_out_too():
    assert received(shaped(tf.string, [2], string_val=[b"x"])).tolist() == [b"x", b"x"]
    assert received(shaped(tf.string, [1])).tolist() == [b""]


@pytest.mark.parametrize(
    ("proto", "message"),
    [
        (shaped(tf.float32, [2], float_val=[1, 2, 3]), "found 3 values, expected 2"),
        (shaped(tf.float32, [2], tensor_content=b"abcd"), "found 4 bytes, expected 8"),
        (shaped(tf.float32, [-1], float_val=[1]), "found shape"),
        (shaped(tf.float32, [1] * 40, float_val=[1]), "found shape"),
        (shaped(tf.uint8, [2], int_val=[0, 256]), "found values 0 to 256, expected them to fit uint8"),
        (shaped(tf.float16, [1], half_val=[70000]), "found values 70000 to 70000, expected them to fit float16"),
        (shaped(tf.complex64, [1], scomplex_val=[1, 2]), "found dtype DT_8"),
        (tensor_pb2.TensorProto(float_val=[1]), "found dtype DT_0"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(proto, message):
    with pytest.raises(ClientError, match=rf"^images: {message}"):
        received(proto)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.int64, np.bool_])
def test_integers_of_every_length_arrive(tools, dtype):
    if dtype == np.bool_:
        array = np.array([True, False, True])
    else:
        limits = np.iinfo(dtype)
        array = np.array([limits.min, limits.max, 0, 1, limits.max // 2, limits.min // 3], dtype)
        noise = np.random.default_rng(3).integers(limits.min, limits.max, 1000, dtype, endpoint=True)
        array = np.concatenate([array, noise])
    np.testing.assert_array_equal(received(tf.make_tensor_proto(array)), array)
    if dtype != np.bool_:
        np.testing.assert_array_equal(received(tools.as_values(array)), array)


@pytest.mark.parametrize(("dtype", "tag"), [("uint8", 0x38), ("int64", 0x50), ("bool", 0x58), ("float16", 0x68)])
def test_integers_need_not_be_packed(dtype, tag):
    array = np.array([1, 0, 1], dtype)
    bits = array.view(np.uint16) if dtype == "float16" else array
    loose = b"".join(bytes([tag]) + varint(int(value)) for value in bits)
    tensor = wire.Tensor.FromString(shaped(dtype, [3]).SerializeToString() + loose)
    np.testing.assert_array_equal(codec.decode(tensor, "images"), array)


def varint(number):
    """A number as protobuf writes it."""
    head = b""
    while number > 0x7F:
        head += bytes([number & 0x7F | 0x80])
        number >>= 7
    return head + bytes([number])


@pytest.mark.parametrize("encoding", ["as_values", "as_content"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, np.uint8])
def test_decoding_makes_no_python_object_for_each_number(tools, encoding, dtype):
    array = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3)).astype(dtype)
    tensor = wire.Tensor.FromString(getattr(tools, encoding)(array).SerializeToString())
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += 1

    sys.setprofile(count)
    try:
        read = codec.decode(tensor, "images")
    finally:
        sys.setprofile(None)
    np.testing.assert_array_equal(read, array)
    assert calls < 500  # for 49,152 numbers


def test_a_shape_of_unknown_rank_is_refused():
    proto = shaped(tf.float32, [], float_val=[1])
    proto.tensor_shape.unknown_rank = True
    with pytest.raises(ClientError, match=r"^images: found shape"):
        received(proto)


def test_a_shape_that_no_array_has_is_refused_even_without_values():
    with pytest.raises(ClientError, match=r"^images: found shape .* which is no array's"):
        received(shaped(tf.float32, [0, 2**62, 2**62]))


def test_bytes_that_are_no_whole_floats_are_refused():
    with pytest.raises(ClientError, match="found 3 bytes of float_val"):
        codec.decode(wire.Tensor(dtype=1, float_val=[b"abc"]), "images")


@pytest.mark.parametrize("fields", [{"float_val": [1.0]}, {"float_val": [1.0, 2.0]}, {"tensor_content": b"1234"}, {}])
@pytest.mark.parametrize("shape", [[2**40], [2**62, 2**62, 2**62], [64, 4096, 4096, 3]])
def test_a_huge_shape_costs_no_memory(fields, shape):
    proto = shaped(tf.float32, shape, **fields)
    tracemalloc.start()
    try:
        with pytest.raises(ClientError, match=r"^images: found"):
            received(proto)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_the_descriptor_is_what_protoc_makes_of_the_proto(tmp_path):
    folder = Path(wire.__file__).parent
    made = tmp_path / "wire.binpb"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"--descriptor_set_out={made}", "wire.proto"]
    subprocess.run(command, check=True, timeout=60)
    assert made.read_bytes() == (folder / "wire.binpb").read_bytes()


def test_the_messages_live_beside_tensorflow_servings_whichever_comes_first():
    assert wire.PredictRequest.DESCRIPTOR.file.pool is not predict_pb2.PredictRequest.DESCRIPTOR.file.pool
    program = (
        "import genclient.rpc.wire as w, tensorflow_serving.apis.predict_pb2 as p\n"
        "p.PredictRequest(), w.PredictRequest()"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
