"""What a server says of its models: metadata, status, health and reflection."""

from __future__ import annotations

import grpc
import pytest
from tensorflow.core.framework import types_pb2

HEALTH = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
SERVING = b"\x08\x01"  # HealthCheckResponse { status: SERVING }


def described(tensors):
    """Name → dtype and dimensions."""
    return {
        name: (types_pb2.DataType.Name(info.dtype), [dim.size for dim in info.tensor_shape.dim])
        for name, info in tensors.items()
    }


def test_metadata_has_the_four_signatures(wire):
    signatures = wire.signatures
    assert {"serving_default", "uint8", "png", "seeds"} <= set(signatures)
    latents = described(signatures["serving_default"].inputs)["latents"]
    height, width, channels = described(signatures["serving_default"].outputs)["images"][1][1:]
    assert latents[0] == "DT_FLOAT"
    assert latents[1][0] == -1
    assert min(latents[1][1], height, width) > 0
    assert channels in (1, 3)
    assert described(signatures["seeds"].inputs)["seeds"] == ("DT_INT64", [-1])
    assert described(signatures["seeds"].outputs) == {"images": ("DT_UINT8", [-1, height, width, channels])}
    assert described(signatures["uint8"].outputs) == {"images": ("DT_UINT8", [-1, height, width, channels])}
    assert described(signatures["png"].outputs) == {"png_bytes": ("DT_STRING", [-1])}
    assert signatures["serving_default"].method_name == "tensorflow/serving/predict"


def test_metadata_names_model_and_version(wire):
    response = wire.metadata("signature_def")
    assert response.model_spec.name == wire.model
    assert response.model_spec.version.value > 0
    assert list(response.metadata) == ["signature_def"]
    assert response.metadata["signature_def"].type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"


def test_status_says_that_a_version_is_available_without_an_error(wire):
    entries = [entry for entry in wire.status().model_version_status if entry.state == entry.AVAILABLE]
    assert entries
    for entry in entries:
        assert (entry.status.error_code, entry.status.error_message) == (0, "")
        (same,) = wire.status(version=entry.version).model_version_status
        assert (same.version, same.state) == (entry.version, entry.state)


def test_health_service_says_serving(wire):
    try:
        answers = [
            wire.raw(HEALTH, request) for request in (b"", b"\x0a\x11PredictionService", b"\x0a\x0cModelService")
        ]
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            pytest.skip("no health service: --enable_grpc_healthcheck_service is not set")
        raise
    assert answers == [SERVING] * 3


def test_health_of_an_unknown_service_is_not_found(wire):
    with pytest.raises(grpc.RpcError) as failure:
        wire.raw(HEALTH, b"\x0a\x04nope")
    if failure.value.code() is grpc.StatusCode.UNIMPLEMENTED:
        pytest.skip("no health service: --enable_grpc_healthcheck_service is not set")
    assert failure.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_lists_both_services(wire):
    call = wire.channel.stream_stream(REFLECTION)
    try:
        (answer,) = list(call(iter([b"\x3a\x01*"]), timeout=30))  # ServerReflectionRequest { list_services: "*" }
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.UNIMPLEMENTED:
            pytest.skip("no reflection: it came with TensorFlow Serving 2.15.1")
        raise
    assert b"tensorflow.serving.PredictionService" in answer
    assert b"tensorflow.serving.ModelService" in answer


def test_unknown_method_is_unimplemented(wire):
    with pytest.raises(grpc.RpcError) as failure:
        wire.raw("/tensorflow.serving.PredictionService/Nope", b"")
    assert failure.value.code() is grpc.StatusCode.UNIMPLEMENTED
