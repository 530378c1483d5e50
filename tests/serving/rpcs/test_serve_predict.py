"""Predict and GetModelMetadata answer as TensorFlow Serving does: values, encodings, errors."""

from __future__ import annotations

import grpc
import numpy as np
import pytest
import tensorflow as tf
from genserve.rpcs import predict
from genserve.runtime.saved_model import SavedModelServable
from genserve.runtime.tensors import decode
from genserve.runtime.timing import Timing
from google.protobuf import any_pb2
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
X = np.array([[1, 2, 3]], np.float32)
PAIR = {"a": np.array([5], np.int32), "b": np.array([3], np.int32)}

SAMPLES = {
    "float16": [1.5, -2.0],
    "bfloat16": [1.5, -2.0],
    "float32": [1.25, -1e30],
    "float64": [1.1, -1e300],
    "int8": [-128, 127],
    "int16": [-32768, 32767],
    "int32": [-(2**31), 2**31 - 1],
    "int64": [-(2**63), 2**63 - 1],
    "uint8": [0, 255],
    "uint16": [0, 65535],
    "uint32": [0, 2**32 - 1],
    "uint64": [0, 2**64 - 1],
    "bool": [True, False],
    "complex64": [1 + 2j, -3j],
    "complex128": [1.5 + 2j, -3j],
    "string": [b"\xff\x00binary", b"x" * 300],
}

FIELDS = {"float16": "half_val", "bfloat16": "half_val", "float32": "float_val", "float64": "double_val"}
FIELDS |= {"int64": "int64_val", "uint32": "uint32_val", "uint64": "uint64_val", "bool": "bool_val"}
FIELDS |= {"complex64": "scomplex_val", "complex128": "dcomplex_val", "object": "string_val"}


def tensor(dtype, dims=(), **fields):
    proto = tensor_pb2.TensorProto(dtype=dtype, **fields)
    for size in dims:
        proto.tensor_shape.dim.add(size=size)
    return proto


def varint(value):
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)


def as_content(array):
    """The array in a tensor_content, strings as TensorFlow packs them: the lengths, then the bytes."""
    proto = tensor(tf.as_dtype(array.dtype).as_datatype_enum, array.shape)
    if array.dtype == object:
        proto.tensor_content = b"".join(varint(len(text)) for text in array) + b"".join(array)
    else:
        proto.tensor_content = array.tobytes()
    return proto


def as_values(array):
    """The array in its *_val field: 16-bit floats as integers of their bits, complex numbers as pairs."""
    field = FIELDS.get(array.dtype.name, "int_val")
    view = {"half_val": np.uint16, "scomplex_val": np.float32, "dcomplex_val": np.float64}.get(field, array.dtype)
    proto = tensor(tf.as_dtype(array.dtype).as_datatype_enum, array.shape)
    getattr(proto, field).extend(array.view(view).ravel().tolist())
    return proto


@pytest.mark.parametrize("encoding", [as_content, as_values])
def test_every_dtype_travels_there_and_back_in_both_encodings(toy, values, encoding):
    arrays = {name: np.array(sample, tf.as_dtype(name).as_numpy_dtype) for name, sample in SAMPLES.items()}
    answer = toy.predict("types", **{name: encoding(array) for name, array in arrays.items()})
    outputs = values(answer)
    for name, array in arrays.items():
        assert answer.outputs[f"{name}_out"].dtype == tf.as_dtype(name).as_datatype_enum
        np.testing.assert_array_equal(outputs[f"{name}_out"], array, err_msg=name)


@pytest.fixture(scope="module")
def loaded(toy_path):
    """The toy model in this process."""
    servable = SavedModelServable.load("toy", 3, toy_path / "00000003")
    yield servable
    servable.close()


def outputs(servable, request):
    """What the server answers with `--enable_serialization_as_tensor_content`."""
    return predict_pb2.PredictResponse.FromString(predict.run(servable, request, as_content=True)).outputs


@pytest.mark.parametrize("name", SAMPLES)
def test_answers_as_tensor_content_hold_the_same_values(loaded, toy, name):
    arrays = {other: np.array(sample, tf.as_dtype(other).as_numpy_dtype) for other, sample in SAMPLES.items()}
    request = toy.request("types", [f"{name}_out"], **{other: as_content(array) for other, array in arrays.items()})
    proto = outputs(loaded, request)[f"{name}_out"]
    assert proto == as_content(arrays[name])
    np.testing.assert_array_equal(decode(proto), arrays[name])


def test_single_and_missing_values_are_no_tensor_content(loaded, toy):
    scalars = outputs(loaded, toy.request("scalar", x=np.float32(2)))
    assert list(scalars["y"].float_val) == [3]
    assert scalars["word"].string_val[0].startswith(b"2")
    empty = outputs(loaded, toy.request(x=np.zeros((0, 3), np.float32)))["y"]
    assert decode(empty).shape == (0, 3)


def test_time_is_told_apart_by_what_it_was_spent_on(loaded, toy):
    timing = Timing()
    predict.run(loaded, toy.request("busy", seconds=np.array([0.05])), timing=timing)
    assert timing.compute >= 0.05
    assert 0 < timing.serialise < timing.compute


def test_answer_names_model_signature_and_version_and_uses_val_fields(toy):
    answer = toy.predict(x=X)
    spec = answer.model_spec
    assert (spec.name, spec.signature_name, spec.version.value) == ("toy", "serving_default", 3)
    assert list(answer.outputs["y"].float_val) == [2, 4, 6]
    assert not answer.outputs["y"].tensor_content
    assert [dim.size for dim in answer.outputs["y"].tensor_shape.dim] == [1, 3]


def test_scalars_have_a_shape_without_dimensions(toy):
    answer = toy.predict("scalar", x=np.float32(2))
    assert list(answer.outputs["y"].float_val) == [3]
    assert answer.outputs["word"].string_val[0].startswith(b"2")
    assert all(proto.HasField("tensor_shape") and not proto.tensor_shape.dim for proto in answer.outputs.values())


def test_output_filter_chooses_outputs(toy, values):
    assert {name: list(value) for name, value in values(toy.predict("pair", ["difference"], **PAIR)).items()} == {
        "difference": [2]
    }
    assert values(toy.predict("pair", **PAIR)).keys() == {"sum", "difference"}


def test_input_left_out_takes_the_signatures_default(toy, values):
    assert values(toy.predict("pair_with_default", a=PAIR["a"]))["sum"] == [15]
    assert values(toy.predict("pair_with_default", **PAIR))["sum"] == [8]


def test_version_can_be_named(toy):
    assert toy.predict(x=X, version=3).model_spec.version.value == 3


@pytest.mark.parametrize("encoding", [as_content, as_values])
def test_empty_batch_is_answered_with_no_rows(toy, digits, values, encoding):
    empty = np.zeros((0, 3), np.float32)
    latents, words = np.zeros((0, 8), np.float32), np.zeros(0, object)
    assert values(toy.predict(x=encoding(empty)))["y"].shape == (0, 3)
    assert values(digits.predict("uint8", latents=encoding(latents)))["images"].shape == (0, 8, 8, 1)
    assert values(toy.predict("text", s=encoding(words)))["upper"].shape == (0,)


def test_short_val_field_repeats_its_last_value_and_a_long_one_is_cut(toy, values):
    short = tensor(types_pb2.DT_FLOAT, (2, 3), float_val=[1, 2])
    np.testing.assert_array_equal(values(toy.predict(x=short))["y"], [[2, 4, 4], [4, 4, 4]])
    long = tensor(types_pb2.DT_FLOAT, (1, 3), float_val=[1, 2, 3, 4, 5])
    np.testing.assert_array_equal(values(toy.predict(x=long))["y"], [[2, 4, 6]])
    none = tensor(types_pb2.DT_FLOAT, (1, 3))
    np.testing.assert_array_equal(values(toy.predict(x=none))["y"], [[0, 0, 0]])
    words = tensor(types_pb2.DT_STRING, (3,), string_val=[b"a", b"b"])
    assert list(values(toy.predict("text", s=words))["upper"]) == [b"A", b"B", b"B"]


def test_messages_beyond_grpcs_default_of_4_mib_pass_both_ways(toy, values):
    rows = np.ones((1_000_000, 3), np.float32)
    assert values(toy.predict(x=rows))["y"].sum() == 6_000_000


def test_images_are_those_of_the_keras_model(digits, generator, latents, values):
    images = (generator.predict(latents, verbose=0) + 1) / 2
    np.testing.assert_allclose(values(digits.predict(latents=latents))["images"], images, atol=1e-6)
    pixels = values(digits.predict("uint8", latents=latents))["images"]
    assert pixels.dtype == np.uint8
    np.testing.assert_allclose(pixels, images * 255, atol=0.51)


ERRORS = {
    "empty name": ({"name": "", "x": X}, INVALID, "ModelSpec has no name specified."),
    "unknown model": ({"name": "cat", "x": X}, NOT_FOUND, "Servable not found for request: Latest(cat)"),
    "unknown version": ({"version": 7, "x": X}, NOT_FOUND, "Servable not found for request: Specific(toy, 7)"),
    "version of unknown model": (
        {"name": "cat", "version": 7, "x": X},
        NOT_FOUND,
        "Servable not found for request: Specific(cat, 7)",
    ),
    "unknown label": ({"label": "stable", "x": X}, INVALID, "Unrecognized servable version label: stable"),
    "unknown signature": (
        {"signature": "nope", "x": X},
        grpc.StatusCode.FAILED_PRECONDITION,
        'Serving signature key "nope" not found.',
    ),
    "wrong and extra input": (
        {"b": X, "a": X},
        INVALID,
        "input size does not match signature: 2!=1 len({a,b}) != len({x}). "
        "Sent extra: {a,b}. Missing but required: {x}.",
    ),
    "missing input": (
        {"signature": "pair", "a": PAIR["a"]},
        INVALID,
        "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but required: {b}.",
    ),
    "renamed input": (
        {"signature": "pair", "a": PAIR["a"], "z": PAIR["b"]},
        INVALID,
        "Signature input alias: b(feed name: pair_b:0) not found in request and no default value provided. "
        "Inputs expected to be in the request {a,z}, or default input alias set: ",
    ),
    "input beside a default": (
        {"signature": "pair_with_default", "a": PAIR["a"], "z": PAIR["b"]},
        INVALID,
        "Inputs contains invalid name. Used request inputs: a, request input: a,z",
    ),
    "wrong dtype": (
        {"x": np.array([[1, 2, 3]], np.int32)},
        INVALID,
        "Expects arg[0] to be float but int32 is provided",
    ),
    "wrong dtype of the second input": (
        {"signature": "pair", "a": PAIR["a"], "b": np.array([b"x"])},
        INVALID,
        "Expects arg[1] to be int32 but string is provided",
    ),
    "unknown output": (
        {"signature": "pair", "outputs": ["foo"], **PAIR},
        INVALID,
        "output tensor alias not found in signature: foo Outputs expected to be in the set {difference,sum}.",
    ),
    "repeated output": (
        {"signature": "pair", "outputs": ["sum", "sum"], **PAIR},
        INVALID,
        "duplicate output tensor alias: sum",
    ),
    "undecodable before a wrong filter": (
        {"outputs": ["foo"], "x": tensor(types_pb2.DT_FLOAT, (1, 3), tensor_content=b"123")},
        INVALID,
        "tensor parsing error: x",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_request_gets_tensorflow_servings_code_and_words(toy, fails, case):
    request, code, message = ERRORS[case]
    with fails(code, message):
        toy.predict(**request)


def test_request_without_model_spec(toy, fails):
    with fails(INVALID, "Missing ModelSpec"):
        toy.prediction.Predict(predict_pb2.PredictRequest())


def test_wrong_shape_gets_the_failing_ops_own_message(toy):
    with pytest.raises(grpc.RpcError) as failure:
        toy.predict("dense", x=np.ones((1, 4), np.float32))
    assert failure.value.code() is INVALID
    assert failure.value.details().startswith("Matrix size-incompatible: In[0]: [1,4], In[1]: [3,2]")


def test_long_messages_are_cut_at_1024_bytes(toy, fails):
    name = "n" * 2000
    message = f"Servable not found for request: Latest({name})"
    with fails(NOT_FOUND, f"{message[:1024]}...TRUNCATED"):
        toy.predict(name=name, x=X)


HOSTILE = {
    "negative dimension": tensor(types_pb2.DT_FLOAT, (-1, 3), float_val=[1]),
    "two negative dimensions": tensor(types_pb2.DT_FLOAT, (-2, -3), tensor_content=b"\0" * 24),
    "terabytes from one value": tensor(types_pb2.DT_FLOAT, (2**40,), float_val=[1]),
    "terabytes from no value": tensor(types_pb2.DT_FLOAT, (2**40,)),
    "terabytes of strings": tensor(types_pb2.DT_STRING, (2**40,), string_val=[b"x"]),
    "terabytes of content": tensor(types_pb2.DT_FLOAT, (2**40,), tensor_content=b"\0" * 8),
    "overflow to a small product": tensor(types_pb2.DT_FLOAT, (2**62, 4, 1), tensor_content=b"\0" * 4),
    "overflow beside a zero": tensor(types_pb2.DT_FLOAT, (2**62, 2**62, 0)),
    "more dimensions than there are": tensor(types_pb2.DT_FLOAT, [1] * 300, float_val=[1]),
    "short content": tensor(types_pb2.DT_FLOAT, (1, 3), tensor_content=b"\0" * 11),
    "long content": tensor(types_pb2.DT_FLOAT, (1, 3), tensor_content=b"\0" * 13),
    "no dtype": tensor(types_pb2.DT_INVALID, (1, 3), float_val=[1]),
    "a dtype of the future": tensor(99, (1, 3), float_val=[1]),
    "a resource": tensor(types_pb2.DT_RESOURCE, (1,)),
    "a variant": tensor(types_pb2.DT_VARIANT, (1,)),
    "strings cut short": tensor(types_pb2.DT_STRING, (2,), tensor_content=b"\x03\x03abc"),
    "a string length without end": tensor(types_pb2.DT_STRING, (1,), tensor_content=b"\xff" * 12),
    "more strings than bytes": tensor(types_pb2.DT_STRING, (2**40,), tensor_content=b"\x00" * 9),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_tensor_is_refused_and_the_next_request_served(toy, fails, case):
    with fails(INVALID, "tensor parsing error: x"):
        toy.predict(x=HOSTILE[case])
    assert list(toy.predict(x=X).outputs["y"].float_val) == [2, 4, 6]


@pytest.mark.parametrize("method", ["Predict", "GetModelMetadata"])
def test_garbage_for_a_request_is_refused_and_the_next_one_served(toy, method):
    call = toy.channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}")
    with pytest.raises(grpc.RpcError) as failure:
        call(b"\xff\xff garbage")
    assert failure.value.code() is grpc.StatusCode.INTERNAL
    assert toy.predict(x=X).outputs


def test_many_different_filters_and_failures_leave_the_server_well(toy):
    for outputs in (["sum"], ["difference"], ["sum", "difference"], ["difference", "sum"]) * 30:
        assert set(toy.predict("pair", outputs, **PAIR).outputs) == set(outputs)
    assert toy.process.poll() is None


def test_metadata_holds_every_signature(digits):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "digits"
    answer = digits.prediction.GetModelMetadata(request)
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("digits", 1)
    assert list(answer.metadata) == ["signature_def"]
    assert isinstance(answer.metadata["signature_def"], any_pb2.Any)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert answer.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "uint8"} <= signatures.signature_def.keys()
    latents = signatures.signature_def["uint8"].inputs["latents"]
    assert [dim.size for dim in latents.tensor_shape.dim] == [-1, 8]
    assert signatures.signature_def["uint8"].outputs["images"].dtype == types_pb2.DT_UINT8


METADATA_ERRORS = {
    "no field": ("toy", None, [], INVALID, "GetModelMetadataRequest must specify at least one metadata_field"),
    "other field": ("toy", None, ["signature_def", "foo"], INVALID, "Metadata field foo is not supported"),
    "empty name": ("", None, ["signature_def"], INVALID, "ModelSpec has no name specified."),
    "unknown model": ("cat", None, ["signature_def"], NOT_FOUND, "Servable not found for request: Latest(cat)"),
    "unknown version": ("toy", 7, ["signature_def"], NOT_FOUND, "Servable not found for request: Specific(toy, 7)"),
}


@pytest.mark.parametrize("case", METADATA_ERRORS)
def test_bad_metadata_request(toy, fails, case):
    name, version, fields, code, message = METADATA_ERRORS[case]
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = name
    if version is not None:
        request.model_spec.version.value = version
    with fails(code, message):
        toy.prediction.GetModelMetadata(request)


def test_metadata_request_without_model_spec(toy, fails):
    with fails(INVALID, "Missing ModelSpec"):
        toy.prediction.GetModelMetadata(get_model_metadata_pb2.GetModelMetadataRequest())


def test_a_method_that_tensorflow_serving_has_not_is_unimplemented(toy):
    with pytest.raises(grpc.RpcError) as failure:
        toy.channel.unary_unary("/tensorflow.serving.PredictionService/Draw")(b"", timeout=30)
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_log_has_a_line_for_each_event_and_none_for_requests(toy):
    toy.predict(x=X)
    lines = toy.log.read_text().splitlines()
    assert [line.split(" INFO ")[1].split(" in ")[0] for line in lines] == [
        "toy version 3 loaded",
        f"serving toy version 3 on 0.0.0.0:{toy.port}",
    ]
