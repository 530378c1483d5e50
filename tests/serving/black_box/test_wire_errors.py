"""Every refusal that facts about TensorFlow Serving name: the code and the message that its clients match on."""

from __future__ import annotations

import random
import re

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

INVALID, NOT_FOUND = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
NOWHERE = "no-such-model"
NEVER = 987654321  # a version that nobody published


@pytest.fixture(scope="module")
def inputs(wire):
    """Two rows that serving_default takes."""
    return wire.inputs("serving_default", [1, 2])


@pytest.mark.parametrize("method", ["Predict", "GetModelMetadata", "GetModelStatus"])
def test_request_without_a_model_spec_is_refused(wire, refused, method):
    requests = {
        "Predict": (wire.prediction, predict_pb2.PredictRequest()),
        "GetModelMetadata": (
            wire.prediction,
            get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"]),
        ),
        "GetModelStatus": (wire.models, get_model_status_pb2.GetModelStatusRequest()),
    }
    stub, request = requests[method]
    with refused(INVALID, "Missing ModelSpec"):
        getattr(stub, method)(request)


def test_empty_model_name_is_refused(wire, refused, inputs):
    with refused(INVALID, "ModelSpec has no name specified."):
        wire.answer(wire.request(name="", **inputs))
    with refused(INVALID, "ModelSpec has no name specified."):
        wire.metadata("signature_def", name="")


def test_unknown_model_is_not_found(wire, refused, inputs):
    with refused(NOT_FOUND, f"Servable not found for request: Latest({NOWHERE})"):
        wire.answer(wire.request(name=NOWHERE, **inputs))
    with refused(NOT_FOUND, f"Servable not found for request: Latest({NOWHERE})"):
        wire.metadata("signature_def", name=NOWHERE)


def test_unknown_version_is_not_found(wire, refused, inputs):
    message = f"Servable not found for request: Specific({wire.model}, {NEVER})"
    with refused(NOT_FOUND, message):
        wire.answer(wire.request(version=NEVER, **inputs))
    with refused(NOT_FOUND, message):
        wire.metadata("signature_def", version=NEVER)


def test_unknown_label_is_refused(wire, refused, inputs):
    with refused(INVALID, "Unrecognized servable version label: no-such-label"):
        wire.answer(wire.request(label="no-such-label", **inputs))


def test_unknown_signature_is_a_failed_precondition(wire, refused, inputs):
    with refused(grpc.StatusCode.FAILED_PRECONDITION, 'Serving signature key "nope" not found.'):
        wire.answer(wire.request("nope", **inputs))


@pytest.mark.parametrize("sent", [[], ["b", "a", "c"]])
def test_missing_and_extra_inputs_are_named_in_order(wire, refused, sent):
    needed = sorted(wire.signatures["serving_default"].inputs)
    extra, missing = ("{" + ",".join(sorted(names)) + "}" for names in (sent, needed))
    counts = f"{len(sent)}!={len(needed)} len({extra}) != len({missing})"
    with refused(
        INVALID,
        f"input size does not match signature: {counts}. Sent extra: {extra}. Missing but required: {missing}.",
    ):
        wire.answer(wire.request(**dict.fromkeys(sent, 1.0)))


def tensor(**fields):
    """A float TensorProto of shape (2, 8) with other fields as given."""
    shape = tf.TensorShape([2, 8]).as_proto()
    return tensor_pb2.TensorProto(**{"dtype": tf.float32.as_datatype_enum, "tensor_shape": shape, **fields})


@pytest.mark.parametrize(
    "broken",
    [
        tensor(tensor_content=b"abc"),
        tensor(tensor_content=b"0" * 65),
        tensor(tensor_shape={"dim": [{"size": -3}, {"size": 8}]}, tensor_content=b"0" * 64),
        tensor(tensor_shape={"dim": [{"size": 2**40}, {"size": 2**40}]}, tensor_content=b"0" * 64),
        tensor(dtype=0, tensor_content=b"0" * 64),
    ],
    ids=["short", "long", "negative-dimension", "overflow", "no-dtype"],
)
def test_tensor_that_cannot_be_read_is_named(wire, refused, inputs, broken):
    with refused(INVALID, "tensor parsing error: latents"):
        wire.answer(wire.request(**{**inputs, "latents": broken}))


def test_wrong_dtype_is_refused(wire, inputs):
    with pytest.raises(grpc.RpcError) as failure:
        wire.answer(wire.request(**{**inputs, "latents": inputs["latents"].astype(np.int32)}))
    assert failure.value.code() is INVALID
    assert re.fullmatch(r"Expects arg\[\d\] to be float but int32 is provided", failure.value.details())


def test_wrong_shape_is_refused(wire, refused, inputs):
    with refused(INVALID):
        wire.answer(wire.request(**{**inputs, "latents": inputs["latents"][:, 1:]}))


def test_unknown_output_is_refused(wire, refused, inputs):
    message = "output tensor alias not found in signature: foo Outputs expected to be in the set {images}."
    with refused(INVALID, message):
        wire.answer(wire.request(outputs=["foo"], **inputs))


def test_output_that_is_asked_for_twice_is_refused(wire, refused, inputs):
    with refused(INVALID, "duplicate output tensor alias: images"):
        wire.answer(wire.request(outputs=["images", "images"], **inputs))


def test_status_of_what_never_was_is_not_found(wire, refused):
    with refused(NOT_FOUND, f"Could not find any versions of model {NOWHERE}"):
        wire.status(name=NOWHERE)
    with refused(NOT_FOUND, f"Could not find version {NEVER} of model {wire.model}"):
        wire.status(version=NEVER)


def test_metadata_takes_signature_def_and_nothing_else(wire, refused):
    with refused(INVALID, "GetModelMetadataRequest must specify at least one metadata_field"):
        wire.metadata()
    with refused(INVALID, "Metadata field foo is not supported"):
        wire.metadata("foo")


def test_messages_are_cut_at_1024_characters(wire, refused, inputs):
    message = f"Servable not found for request: Latest({'m' * 2000})"
    with refused(NOT_FOUND, message[:1024] + "...TRUNCATED"):
        wire.answer(wire.request(name="m" * 2000, **inputs))


def code(wire, request: bytes):
    """The code that Predict answers bytes with."""
    try:
        wire.raw("/tensorflow.serving.PredictionService/Predict", request)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_good_request_is_answered_after_200_broken_ones(wire, inputs, rough):
    good = wire.request(**inputs).SerializeToString()
    rng, codes = random.Random(1), set()
    for _ in range(200):
        broken = bytearray(good)
        for _ in range(rng.randint(1, 8)):
            broken[rng.randrange(len(broken))] = rng.randrange(256)
        codes.add(code(wire, bytes(broken[: rng.randint(1, len(broken))])))
    assert not codes & {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}
    assert wire.predict("seeds", [1, 2]).shape[0] == 2
