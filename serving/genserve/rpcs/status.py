"""ModelService.GetModelStatus: the state of every version of a model, with the error if it failed to load.

Source: TF Serving's model_servers/get_model_status_impl.cc.
"""

from __future__ import annotations

from typing import Any

from tensorflow_serving.apis import get_model_status_pb2

from genserve.errors import invalid_argument, not_found
from genserve.models.model import Models
from genserve.models.states import VersionStatus


def status(models: Models, request: Any) -> Any:
    """Respond to a GetModelStatusRequest for one version, or for all of them, the newest first; labels are ignored.

    Raises:
        ServeError: NOT_FOUND for a model or a version that was never seen.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    spec = request.model_spec
    model = models.get(spec.name)
    statuses = model.statuses() if model else {}
    if spec.HasField("version"):
        version = spec.version.value
        if version not in statuses:
            raise not_found(f"Could not find version {version} of model {spec.name}")
        statuses = {version: statuses[version]}
    elif not statuses:
        raise not_found(f"Could not find any versions of model {spec.name}")
    response = get_model_status_pb2.GetModelStatusResponse()
    for version, version_status in statuses.items():
        _add(response, version, version_status)
    return response


def _add(response: Any, version: int, version_status: VersionStatus) -> None:
    entry = response.model_version_status.add(version=version, state=int(version_status.state))
    entry.status.SetInParent()  # a StatusProto is there even where all is well
    if version_status.error is not None:
        entry.status.error_code = version_status.error.code.value[0]
        entry.status.error_message = version_status.error.message
