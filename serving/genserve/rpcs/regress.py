"""PredictionService.Regress: takes Examples, returns one number for each.

Source: TF Serving's servables/tensorflow/regressor.cc and regression_service.cc.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow_serving.apis import regression_pb2

from genserve.errors import invalid_argument
from genserve.models.model import Models
from genserve.rpcs import examples
from genserve.runtime.timing import Timing

METHOD = "tensorflow/serving/regress"
INPUTS, OUTPUTS = "inputs", "outputs"


def regress(models: Models, request: Any, **options: Any) -> Any:
    """Respond to a RegressionRequest; options as those of `run`.

    Raises:
        ServeError: INVALID_ARGUMENT or FAILED_PRECONDITION for a signature that does no regression or Examples that
            are none, NOT_FOUND for a model, and whatever the graph fails with.
    """
    return examples.respond(run, models, request, **options)


def run(
    servable: Any,
    request: Any,
    *,
    check_method: bool = False,  # --enable_signature_method_name_check
    deadline: float | None = None,
    timing: Timing | None = None,
) -> Any:
    """Respond to a RegressionRequest with this version, whatever model the request names (warm-up does)."""
    key, signature = examples.signature_of(servable, request.model_spec, "No signature was found with the name: ")
    input_name, output_names = names(signature, check_method)
    count, outputs = examples.run(servable, request.input, [input_name], output_names, deadline, timing)
    response = regression_pb2.RegressionResponse()
    examples.fill_spec(response.model_spec, servable, request.model_spec, key)
    fill(response.result, signature, count, outputs)
    return response


def names(signature: Any, check_method: bool) -> tuple[str, list[str]]:
    """The input's and the output's tensor name (PreProcessRegression)."""
    if check_method:
        examples.check_method(signature, "regression", METHOD)
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(signature.outputs) != 1:
        raise invalid_argument("Expected one output Tensor.")
    input_name = examples.alias(signature.inputs, INPUTS, "No regression inputs found in SignatureDef: ", signature)
    output_name = examples.alias(signature.outputs, OUTPUTS, "No regression outputs found in SignatureDef: ", signature)
    return input_name, [output_name]


def fill(result: Any, signature: Any, count: int, outputs: Mapping[str, np.ndarray]) -> None:
    """Write a RegressionResult (PostProcessRegressionResult).

    Raises:
        ServeError: INVALID_ARGUMENT for an output that is not one float for each of `count` Examples.
    """
    values = outputs[signature.outputs[OUTPUTS].name]
    if values.ndim != 1 and not (values.ndim == 2 and values.shape[1] == 1):
        raise invalid_argument(
            "Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got "
            f"{examples.shape_text(values)}"
        )
    if values.shape[0] != count:
        raise invalid_argument(f"Input batch size did not match output batch size: {count} vs. {values.shape[0]}")
    if values.dtype != np.float32:
        raise invalid_argument(f"Expected output Tensor of DT_FLOAT.  Got: {examples.dtype_text(values)}")
    for value in values.ravel().tolist():
        result.regressions.add().value = value
