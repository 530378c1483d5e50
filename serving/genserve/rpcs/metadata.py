"""PredictionService.GetModelMetadata: the signatures of a version, with names, dtypes and shapes.

Source: TF Serving's servables/tensorflow/get_model_metadata_impl.cc.
"""

from __future__ import annotations

from typing import Any

from tensorflow_serving.apis import get_model_metadata_pb2

from genserve.errors import invalid_argument
from genserve.models.model import Models, servable_for

SIGNATURE_DEF = "signature_def"


def metadata(models: Models, request: Any) -> Any:
    """Respond to a GetModelMetadataRequest: name, version and one entry, an Any that holds a SignatureDefMap.

    Raises:
        ServeError: INVALID_ARGUMENT for a field other than `signature_def`, and as `servable_for`.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    if not request.metadata_field:
        raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != SIGNATURE_DEF:
            raise invalid_argument(f"Metadata field {field} is not supported")
    with servable_for(models, request.model_spec) as servable:
        signatures = get_model_metadata_pb2.SignatureDefMap(signature_def=servable.signatures)
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        response.model_spec.name = servable.name
        response.model_spec.version.value = servable.version
        response.metadata[SIGNATURE_DEF].Pack(signatures)
        return response
