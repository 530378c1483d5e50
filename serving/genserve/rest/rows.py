"""The inputs of a predict request: `instances` in row format, or `inputs` in column format.

Source: TF Serving's util/json_tensor.cc (FillPredictRequestFromJson, FillTensorMapFromInstancesList,
FillTensorMapFromInputsMap).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from genserve.errors import ServeError, invalid_argument
from genserve.rest.document import wrong
from genserve.rest.excerpts import excerpt
from genserve.rest.leaves import array, is_base64

INSTANCES, INPUTS = "instances", "inputs"

Arrays = dict[str, np.ndarray]


def inputs(document: dict[str, Any], dtypes: Mapping[str, int]) -> tuple[Arrays, bool]:
    """The inputs in a document.

    Args:
        document: what the client sent.
        dtypes: of the signature's inputs, by alias.

    Returns:
        Arrays by alias, and whether they came as rows.

    Raises:
        ServeError: INVALID_ARGUMENT in TF Serving's words, UNIMPLEMENTED for dtypes that JSON has no values for.
    """
    if INSTANCES in document and INPUTS in document:
        complaint = f"expecting only one of '{INPUTS}' or '{INSTANCES}' keys to exist "
        raise wrong(document, f"Not formatted correctly {complaint}")
    if INPUTS in document:
        return from_inputs(document[INPUTS], dtypes), False
    if INSTANCES not in document:
        raise invalid_argument(f"Missing '{INPUTS}' or '{INSTANCES}' key")
    instances = document[INSTANCES]
    if not isinstance(instances, list):
        raise wrong(document, f"Expecting '{INSTANCES}' to be an list/array")
    if not instances:
        raise wrong(document, f"No values in '{INSTANCES}' array")
    return from_instances(instances, dtypes), True


def from_inputs(value: Any, dtypes: Mapping[str, int]) -> Arrays:
    """Tensors by name, or the only one without its name."""
    if not isinstance(value, dict) or is_base64(value):
        if len(dtypes) > 1:
            raise invalid_argument(
                "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
                "tensorinfo_map"
            )
        return {alias: array(value, dtype) for alias, dtype in dtypes.items()}
    for alias in dtypes:
        if alias not in value:
            raise invalid_argument(f"Missing named input: {alias} in '{INPUTS}' object.")
    return {alias: array(value[alias], dtype) for alias, dtype in dtypes.items()}


def from_instances(instances: list[Any], dtypes: Mapping[str, int]) -> Arrays:
    """Rows by name, or rows of the only input without its name; the first dimension counts them."""
    if not isinstance(instances[0], dict) and len(dtypes) > 1:
        raise invalid_argument(
            "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
            "tensorinfo_map"
        )
    named = _is_object(instances[0])
    try:
        return _stacked(instances, dtypes, named)
    except ServeError as error:
        _raise_first_error(instances, dtypes, named)
        raise error


def _stacked(instances: list[Any], dtypes: Mapping[str, int], named: bool) -> Arrays:
    if named:
        if not all(_is_object(item) and item.keys() == dtypes.keys() for item in instances):
            raise invalid_argument(f"'{INSTANCES}' does not have the inputs {','.join(sorted(dtypes))} in each item")
        return {alias: array([item[alias] for item in instances], dtype) for alias, dtype in dtypes.items()}
    (alias, dtype), *_ = dtypes.items()
    if any(map(_is_object, instances)):
        raise invalid_argument("Expecting value/list but got object")
    return {alias: array(instances, dtype)}


def _raise_first_error(instances: list[Any], dtypes: Mapping[str, int], named: bool) -> None:
    """Raise what is wrong with the first item that is, as TF Serving, which goes through them one by one."""
    shapes: dict[str, tuple[int, ...]] = {}
    for index in sorted({0, _first_wrong(instances, dtypes, named)}):
        _check_item(index, instances[index], dtypes, named, shapes)


def _first_wrong(instances: list[Any], dtypes: Mapping[str, int], named: bool) -> int:
    """The first item that does not go with the first one, searched for by halves: many at once are soon looked at."""

    def valid(items: list[Any]) -> bool:
        try:
            return bool(_stacked([instances[0], *items], dtypes, named))
        except ServeError:
            return False

    if not valid([]):
        return 0
    low, high = min(1, len(instances) - 1), len(instances)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if valid(instances[low:middle]) else (low, middle)
    return low


def _check_item(
    index: int, item: Any, dtypes: Mapping[str, int], named: bool, shapes: dict[str, tuple[int, ...]]
) -> None:
    if named and not _is_object(item):
        raise invalid_argument(f"Expecting object but got list at item {index} of input list")
    if not named and _is_object(item):
        raise invalid_argument(f"Expecting value/list but got object at item {index} of input list")
    values = item if named else {next(iter(dtypes)): item}
    for alias, value in values.items():
        try:
            _check_row(alias, value, dtypes, shapes)
        except ServeError as error:
            key = f" key: {alias}" if named else ""
            raise invalid_argument(
                f"Failed to process element: {index}{key} of '{INSTANCES}' list. "
                f"Error: {error.code.name}: {error.message}"
            ) from error
    if values.keys() != dtypes.keys():
        raise invalid_argument(
            f"Failed to process element: {index} of '{INSTANCES}' list. JSON object: {excerpt(item)} "
            f"keys must be equal to: {','.join(sorted(dtypes))}"
        )


def _check_row(alias: str, value: Any, dtypes: Mapping[str, int], shapes: dict[str, tuple[int, ...]]) -> None:
    if alias not in dtypes:
        raise invalid_argument(f"JSON object: does not have named input: {alias}")
    row = array(value, dtypes[alias])
    first = shapes.setdefault(alias, row.shape)
    if int(np.prod(first)) != row.size:
        raise invalid_argument(f"Expecting tensor size: {int(np.prod(first))} but got: {row.size}")
    if first != row.shape:
        raise invalid_argument(f"Expecting shape {_shape(first)} but got: {_shape(row.shape)}")


def _is_object(item: Any) -> bool:
    return isinstance(item, dict) and not is_base64(item)


def _shape(shape: tuple[int, ...]) -> str:
    return "[" + ",".join(map(str, shape)) + "]"
