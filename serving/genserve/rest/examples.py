"""Classify and regress requests: JSON objects as tf.train.Examples.

Source: TF Serving's util/json_tensor.cc (FillClassifyRegressRequestFromJson, MakeExampleFromJsonObject).
"""

from __future__ import annotations

from typing import Any

from tensorflow.core.example import example_pb2

from genserve.errors import invalid_argument
from genserve.rest.document import signature_name, wrong
from genserve.rest.excerpts import type_name
from genserve.rest.leaves import from_base64, is_base64, leaf

CONTEXT, EXAMPLES = "context", "examples"
DT_FLOAT, DT_STRING = 1, 7
INT64 = range(-(2**63), 2**63)


def fill(document: dict[str, Any], request: Any) -> None:
    """Fill signature name and Examples of a ClassificationRequest or RegressionRequest.

    Raises:
        ServeError: INVALID_ARGUMENT in TF Serving's words.
    """
    request.model_spec.signature_name = signature_name(document)
    listed = request.input.example_list
    if CONTEXT in document:
        listed = request.input.example_list_with_context
        listed.context.CopyFrom(example(document[CONTEXT]))
    if EXAMPLES not in document:
        raise wrong(document, f"When method is classify, key '{EXAMPLES}' is expected and was not found")
    if not isinstance(document[EXAMPLES], list):
        raise wrong(document, f"Expecting '{EXAMPLES}' value to be an list/array")
    if not document[EXAMPLES]:
        raise wrong(document, f"'{EXAMPLES}' value is an empty array")
    for value in document[EXAMPLES]:
        listed.examples.append(example(value))


def example(value: Any) -> Any:
    """An Example of an object: name to value or list of values.

    Raises:
        ServeError: INVALID_ARGUMENT for values that are not objects, or that an Example cannot hold.
    """
    if not isinstance(value, dict):
        raise invalid_argument(f"Example must be JSON object but got JSON {type_name(value)}")
    result = example_pb2.Example()
    result.features.SetInParent()
    for name, content in value.items():
        feature = result.features.feature[name]
        for each in content if isinstance(content, list) else [content]:
            add(each, name, feature)
    return result


def add(value: Any, name: str, feature: Any) -> None:
    """Add a value to a Feature; the first one decides on its kind."""
    if type(value) is float:
        _list(feature, "float_list", name).append(leaf(value, DT_FLOAT))
    elif isinstance(value, bool):
        _list(feature, "int64_list", name).append(int(value))
    elif isinstance(value, int):
        integers = _list(feature, "int64_list", name)
        if value not in INT64:
            raise invalid_argument(f"Feature: {name} has uint64 element. Only int64 is supported.")
        integers.append(value)
    elif isinstance(value, str):
        _list(feature, "bytes_list", name).append(leaf(value, DT_STRING))
    elif is_base64(value):
        _list(feature, "bytes_list", name).append(from_base64(value))
    else:
        raise invalid_argument(f"Feature: {name} has element with unexpected JSON type: {type_name(value)}")


def _list(feature: Any, kind: str, name: str) -> Any:
    found = feature.WhichOneof("kind")
    if found not in (None, kind):
        expected = found.removesuffix("_list")
        raise invalid_argument(f"Unexpected element type in feature: {name} expecting type: {expected}")
    return getattr(feature, kind).value
