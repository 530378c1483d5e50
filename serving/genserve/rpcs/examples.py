"""The input of Classify, Regress and MultiInference: an Input as one tensor of serialised Examples.

classify.py, regress.py and multi_inference.py interpret the outputs.
Source: TF Serving's servables/tensorflow/util.cc (InputToSerializedExampleTensor, PerformOneShotTensorComputation).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2

from genserve.errors import ServeError, invalid_argument
from genserve.models.model import Models, servable_for
from genserve.runtime.tensors import MAX_FILLED_BYTES
from genserve.runtime.timing import Timing

DEFAULT_SIGNATURE = "serving_default"


def serialised(examples: Any) -> np.ndarray:
    """The Examples of an Input, serialised: an object array `(N,)` of bytes.

    A context stands in front of each Example; parsing one after the other merges the two, as protobuf says it does.

    Raises:
        ServeError: INVALID_ARGUMENT for an Input without Examples, or with a long context before very many.
    """
    kind = examples.WhichOneof("kind")
    listed = getattr(examples, kind).examples if kind else ()
    if not listed:
        raise invalid_argument("Input is empty.")
    context = b""
    if kind == "example_list_with_context":
        context = examples.example_list_with_context.context.SerializeToString()
        if len(context) * len(listed) > MAX_FILLED_BYTES:
            raise invalid_argument(f"A context of {len(context)} bytes is too long for {len(listed)} Examples.")
    rows = np.empty(len(listed), object)
    rows[:] = [context + example.SerializeToString() for example in listed]
    return rows


def respond(run: Callable[..., Any], models: Models, request: Any, **options: Any) -> Any:
    """Run a request on the version that its ModelSpec asks for.

    Raises:
        ServeError: INVALID_ARGUMENT without a ModelSpec, NOT_FOUND for a model, and as `run`.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    with servable_for(models, request.model_spec) as servable:
        return run(servable, request, **options)


def run(
    servable: Any,
    examples: Any,
    input_names: Iterable[str],
    output_names: Iterable[str],
    deadline: float | None = None,
    timing: Timing | None = None,
) -> tuple[int, dict[str, np.ndarray]]:
    """Run the Examples through a version, all of them through each input.

    Returns:
        How many Examples there were, and each output by tensor name.
    """
    rows = serialised(examples)
    names = list(output_names)
    results = servable.run(dict.fromkeys(input_names, rows), names, deadline, timing)
    return len(rows), {name: np.asarray(result) for name, result in zip(names, results, strict=True)}


def signature_of(servable: Any, spec: Any, missing: str) -> tuple[str, Any]:
    """The key that a ModelSpec asks for, and its SignatureDef.

    Raises:
        ServeError: INVALID_ARGUMENT, `missing` followed by the key.
    """
    key = spec.signature_name or DEFAULT_SIGNATURE
    if key not in servable.signatures:
        raise invalid_argument(f"{missing}{key}")
    return key, servable.signatures[key]


def alias(infos: Mapping[str, Any], name: str, complaint: str, signature: Any) -> str:
    """The tensor name of an input or output that the method needs.

    Raises:
        ServeError: FAILED_PRECONDITION, with the signature after the complaint.
    """
    if name not in infos:
        raise ServeError(grpc.StatusCode.FAILED_PRECONDITION, f"{complaint}{signature}")
    return str(infos[name].name)


def check_method(signature: Any, kind: str, expected: str) -> None:
    """Refuse a signature of another method (with `--enable_signature_method_name_check`).

    Raises:
        ServeError: INVALID_ARGUMENT.
    """
    if signature.method_name != expected:
        raise invalid_argument(f"Expected {kind} signature method_name to be {expected}. Was: {signature.method_name}")


def fill_spec(spec: Any, servable: Any, request_spec: Any, key: str) -> None:
    """Name, signature and version of what has answered."""
    spec.name = request_spec.name
    spec.signature_name = key
    spec.version.value = servable.version


def shape_text(array: np.ndarray) -> str:
    """A shape in the words of `TensorShape::DebugString`."""
    return "[" + ",".join(map(str, array.shape)) + "]"


def dtype_text(array: np.ndarray) -> str:
    """A dtype in the words of `DataType_Name`: `DT_FLOAT`."""
    return str(types_pb2.DataType.Name(tf.as_dtype(array.dtype).as_datatype_enum))
