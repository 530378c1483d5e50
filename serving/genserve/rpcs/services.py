"""The RPCs of each service, and the function that handles each.

Source: TF Serving's model_servers/prediction_service_impl.cc and model_service_impl.cc.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    regression_pb2,
)

from genserve.models.manager import Manager
from genserve.models.model import Models
from genserve.models.reload import reload
from genserve.options.flags import Flags
from genserve.rpcs import config_service
from genserve.rpcs.classify import classify
from genserve.rpcs.metadata import metadata
from genserve.rpcs.multi_inference import multi_inference
from genserve.rpcs.predict import respond
from genserve.rpcs.regress import regress
from genserve.rpcs.rpc import Call, Respond
from genserve.rpcs.status import status

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"

Services = dict[str, dict[str, Respond]]


def services(models: Manager, flags: Flags) -> Services:
    """The RPCs of each service, as functions from request bytes to response bytes."""
    content = flags.enable_serialization_as_tensor_content

    def predict(data: bytes, call: Call) -> bytes:
        return respond(models, data, call, content)

    def handle_reload(data: bytes, call: Call) -> bytes:
        request = model_management_pb2.ReloadConfigRequest.FromString(data)
        response: bytes = reload(models, request, call.waiting).SerializeToString()
        return response

    return {
        PREDICTION_SERVICE: {
            "Predict": predict,
            "Classify": on_examples(classify, models, classification_pb2.ClassificationRequest, flags),
            "Regress": on_examples(regress, models, regression_pb2.RegressionRequest, flags),
            "MultiInference": on_examples(multi_inference, models, inference_pb2.MultiInferenceRequest, flags),
            "GetModelMetadata": parsed(metadata, models, get_model_metadata_pb2.GetModelMetadataRequest),
        },
        MODEL_SERVICE: {
            "GetModelStatus": parsed(status, models, get_model_status_pb2.GetModelStatusRequest),
            "HandleReloadConfigRequest": handle_reload,
        },
        config_service.NAME: config_service.rpcs(models),
    }


def parsed(respond: Callable[[Models, Any], Any], models: Models, request_type: Any) -> Respond:
    """Wrap a function of messages into one of bytes."""

    def on_bytes(data: bytes, call: Call) -> bytes:
        request = request_type.FromString(data)
        call.model = model_name(request)
        response: bytes = respond(models, request).SerializeToString()
        return response

    return on_bytes


def on_examples(respond: Callable[..., Any], models: Models, request_type: Any, flags: Flags) -> Respond:
    """Wrap a function that takes Examples into one of bytes."""
    check_method = flags.enable_signature_method_name_check

    def on_bytes(data: bytes, call: Call) -> bytes:
        request = request_type.FromString(data)
        call.model = model_name(request)
        response = respond(models, request, check_method=check_method, deadline=call.deadline, timing=call.timing)
        encoded: bytes = response.SerializeToString()
        return encoded

    return on_bytes


def model_name(request: Any) -> str:
    """The model name in a request; for a MultiInferenceRequest, that of its first task."""
    parts = getattr(request, "tasks", [request])
    return str(parts[0].model_spec.name) if parts else ""
