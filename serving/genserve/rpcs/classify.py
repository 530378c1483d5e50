"""PredictionService.Classify: takes Examples, returns classes with labels and scores for each.

Source: TF Serving's servables/tensorflow/classifier.cc and classification_service.cc.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tensorflow_serving.apis import classification_pb2

from genserve.errors import invalid_argument
from genserve.models.model import Models
from genserve.rpcs import examples
from genserve.runtime.timing import Timing

METHOD = "tensorflow/serving/classify"
INPUTS, CLASSES, SCORES = "inputs", "classes", "scores"


def classify(models: Models, request: Any, **options: Any) -> Any:
    """Respond to a ClassificationRequest; options as those of `run`.

    Raises:
        ServeError: INVALID_ARGUMENT or FAILED_PRECONDITION for a signature that does not classify or Examples that are
            none, NOT_FOUND for a model, and whatever the graph fails with.
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
    """Respond to a ClassificationRequest with this version, whatever model the request names (warm-up does)."""
    key, signature = examples.signature_of(servable, request.model_spec, "No signature was found with the name: ")
    input_name, output_names = names(signature, check_method)
    count, outputs = examples.run(servable, request.input, [input_name], output_names, deadline, timing)
    response = classification_pb2.ClassificationResponse()
    examples.fill_spec(response.model_spec, servable, request.model_spec, key)
    fill(response.result, signature, count, outputs)
    return response


def names(signature: Any, check_method: bool) -> tuple[str, list[str]]:
    """The input's and the outputs' tensor names (PreProcessClassification)."""
    if check_method:
        examples.check_method(signature, "classification", METHOD)
    if len(signature.inputs) != 1:
        raise invalid_argument("Expected one input Tensor.")
    if len(signature.outputs) not in (1, 2):
        raise invalid_argument(f"Expected one or two output Tensors, found {len(signature.outputs)}")
    input_name = examples.alias(signature.inputs, INPUTS, "No classification inputs found in SignatureDef: ", signature)
    outputs = [signature.outputs[name].name for name in (CLASSES, SCORES) if name in signature.outputs]
    if not outputs:
        complaint = (
            f'Expected classification signature outputs to contain at least one of "{CLASSES}" or "{SCORES}". '
            "Signature was: "
        )
        examples.alias(signature.outputs, CLASSES, complaint, signature)
    return input_name, outputs


def fill(result: Any, signature: Any, count: int, outputs: Mapping[str, np.ndarray]) -> None:
    """Write a ClassificationResult (PostProcessClassificationResult).

    Raises:
        ServeError: INVALID_ARGUMENT for outputs that are no classes of `count` Examples.
    """
    classes, scores = (
        outputs[signature.outputs[name].name] if name in signature.outputs else None for name in (CLASSES, SCORES)
    )
    check(classes, count, CLASSES, np.dtype(object), "DT_STRING")
    check(scores, count, SCORES, np.dtype(np.float32), "DT_FLOAT")
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        raise invalid_argument(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    for row in range(count):
        entry = result.classifications.add()
        labels = [] if classes is None else classes[row].tolist()
        values = [] if scores is None else scores[row].tolist()
        for column in range(max(len(labels), len(values))):
            each = entry.classes.add()
            if labels:
                each.label = text(labels[column])
            if values:
                each.score = values[column]


def check(array: np.ndarray | None, count: int, name: str, dtype: np.dtype[Any], expected: str) -> None:
    """Refuse an output that has not a row of classes for each Example."""
    if array is None:
        return
    if array.ndim != 2:
        raise invalid_argument(f"Expected Tensor shape: [batch_size num_classes] but got {examples.shape_text(array)}")
    if array.dtype != dtype:
        raise invalid_argument(f"Expected {name} Tensor of {expected}. Got: {examples.dtype_text(array)}")
    if array.shape[0] != count:
        raise invalid_argument(f"Expected {name} output batch size of {count}. Got: {array.shape[0]}")


def text(label: bytes) -> str:
    """A label for a proto3 string; what is no UTF-8 is refused here, as protobuf could not send it.

    Raises:
        ServeError: INVALID_ARGUMENT.
    """
    try:
        return label.decode()
    except UnicodeDecodeError as error:
        raise invalid_argument(f"class label {label!r} is not UTF-8") from error
