"""PredictionService.MultiInference: runs several signatures of a model on the same Examples, in one run.

Source: TF Serving's servables/tensorflow/multi_inference.cc and multi_inference_helper.cc.
"""

from __future__ import annotations

from typing import Any

import grpc
from tensorflow_serving.apis import inference_pb2, model_pb2

from genserve.errors import ServeError, invalid_argument
from genserve.models.model import Models, servable_for
from genserve.rpcs import classify, examples, regress
from genserve.runtime.timing import Timing


def multi_inference(models: Models, request: Any, **options: Any) -> Any:
    """Respond to a MultiInferenceRequest; options as those of `run`; the model and version are those of its first task.

    Raises:
        ServeError: INVALID_ARGUMENT, FAILED_PRECONDITION or UNIMPLEMENTED for tasks that cannot be done together,
            NOT_FOUND for a model, and whatever the graph fails with.
    """
    spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
    with servable_for(models, spec) as servable:
        return run(servable, request, **options)


def run(
    servable: Any,
    request: Any,
    *,
    check_method: bool = False,  # --enable_signature_method_name_check
    deadline: float | None = None,
    timing: Timing | None = None,
) -> Any:
    """Respond to a MultiInferenceRequest with this version, whatever model the tasks name (warm-up does)."""
    if not request.tasks:
        raise invalid_argument("Inference request has no tasks.")
    keys = check_specs(servable, request.tasks)
    input_names, output_names = tensors(servable, request.tasks, keys, check_method)
    count, outputs = examples.run(servable, request.input, input_names, output_names, deadline, timing)
    response = inference_pb2.MultiInferenceResponse()
    for task, key in zip(request.tasks, keys, strict=True):
        result = response.results.add()
        if task.method_name == classify.METHOD:
            classify.fill(result.classification_result, servable.signatures[key], count, outputs)
        else:
            regress.fill(result.regression_result, servable.signatures[key], count, outputs)
        examples.fill_spec(result.model_spec, servable, task.model_spec, key)
    return response


def check_specs(servable: Any, tasks: Any) -> list[str]:
    """The signature of each task: all of one model, and none asked for twice."""
    keys: list[str] = []
    for task in tasks:
        if not task.model_spec.name:
            raise invalid_argument("Found ModelSpec with an empty model name.")
        if task.model_spec.name != tasks[0].model_spec.name:
            raise invalid_argument("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
        key = task.model_spec.signature_name or examples.DEFAULT_SIGNATURE
        if key in keys:
            raise invalid_argument(f"Duplicate evaluation of signature: {key}")
        examples.signature_of(servable, task.model_spec, "Requested signature not found in model graph: ")
        keys.append(key)
    return keys


def tensors(servable: Any, tasks: Any, keys: list[str], check_method: bool) -> tuple[list[str], list[str]]:
    """The inputs of all tasks, one each in a model of TensorFlow 2, and all their outputs."""
    inputs: set[str] = set()
    outputs: set[str] = set()
    for task, key in zip(tasks, keys, strict=True):
        if task.method_name == classify.METHOD:
            input_name, output_names = classify.names(servable.signatures[key], check_method)
        elif task.method_name == regress.METHOD:
            input_name, output_names = regress.names(servable.signatures[key], check_method)
        else:
            message = f"Unsupported signature method_name: {task.method_name}"
            raise ServeError(grpc.StatusCode.UNIMPLEMENTED, message)
        inputs.add(input_name)
        outputs.update(output_names)
    return sorted(inputs), sorted(outputs)
