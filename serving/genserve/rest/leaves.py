"""One JSON value as an array: nested lists of numbers, booleans or strings, with the dtype of the signature.

`array` takes regular lists apart level by level, many values at a time. Others go through `Walk`, which visits value by
value, as TF Serving does. Both find the same first error.
Source: TF Serving's util/json_tensor.cc (GetDenseTensorShape, FillTensorProto, AddValueToTensor).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import grpc
import numpy as np
from tensorflow.core.framework import types_pb2

from genserve.errors import ServeError, invalid_argument
from genserve.rest.document import wrong
from genserve.rest.excerpts import excerpt, type_name

BASE64 = "b64"
PIECE_VALUES = 2**14  # that are looked at, or copied, at a time: no other thread of Python runs meanwhile
_NO_WHITE_SPACE = dict.fromkeys(map(ord, " \t\n\v\f\r"))
_FLOATS: dict[int, np.dtype[Any]] = {
    types_pb2.DT_FLOAT: np.dtype(np.float32),
    types_pb2.DT_DOUBLE: np.dtype(np.float64),
}
_INT32, _INT64 = (-(2**31), 2**31 - 1), (-(2**63), 2**63 - 1)
# The dtype of the array, and which integers JSON may have: narrow ones are cut down afterwards, as TensorFlow does.
_INTEGERS: dict[int, tuple[np.dtype[Any], tuple[int, int]]] = {
    types_pb2.DT_INT8: (np.dtype(np.int8), _INT32),
    types_pb2.DT_INT16: (np.dtype(np.int16), _INT32),
    types_pb2.DT_INT32: (np.dtype(np.int32), _INT32),
    types_pb2.DT_INT64: (np.dtype(np.int64), _INT64),
    types_pb2.DT_UINT8: (np.dtype(np.uint8), _INT32),
    types_pb2.DT_UINT32: (np.dtype(np.uint32), (0, 2**32 - 1)),
    types_pb2.DT_UINT64: (np.dtype(np.uint64), (0, 2**64 - 1)),
}


def array(value: Any, dtype: int) -> np.ndarray:
    """A JSON value as an array of a TensorFlow dtype; strings as objects of bytes.

    Raises:
        ServeError: INVALID_ARGUMENT in TF Serving's words for what is ragged, or of another type; UNIMPLEMENTED
            for dtypes that JSON has no values for.
    """
    shape, leaves = flat(value)
    try:
        if leaves is None:
            walk = Walk(value, dtype)
            shape, leaves = walk.shape, walk.leaves
        else:
            leaves = _checked(leaves, dtype)
        return _to_array(leaves, dtype).reshape(shape)
    except (RecursionError, ValueError) as error:  # ValueError: more dimensions than numpy has
        raise invalid_argument(f"JSON lists are nested too deeply: {len(shape)} dimensions") from error


def flat(value: Any) -> tuple[tuple[int, ...], list[Any] | None]:
    """Shape and leaves of nested lists; no leaves where the lists are not regular."""
    shape: list[int] = []
    level = [value]
    while level:
        kinds = set[type]().union(*(map(type, piece) for piece in _pieces(level)))
        if list not in kinds:
            return tuple(shape), level
        lengths = set(map(len, level)) if len(kinds) == 1 else set()
        if len(lengths) != 1:
            return (), None
        shape.append(lengths.pop())
        level = _joined(level)
    return tuple(shape), level


def _joined(lists: list[list[Any]]) -> list[Any]:
    """Lists of one length after each other."""
    items: list[Any] = []
    count = max(1, PIECE_VALUES // max(1, len(lists[0])))
    for start in range(0, len(lists), count):
        items.extend(chain.from_iterable(lists[start : start + count]))
    return items


def _pieces(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    return (items[start : start + PIECE_VALUES] for start in range(0, len(items), PIECE_VALUES))


def is_base64(value: Any) -> bool:
    """Whether a value is `{"b64": "…"}`."""
    return isinstance(value, dict) and len(value) == 1 and isinstance(value.get(BASE64), str)


def from_base64(value: Any) -> bytes:
    """The bytes of `{"b64": "…"}`, in the plain alphabet, with padding or without, in one line or wrapped.

    Source: absl::Base64Unescape.

    Raises:
        ServeError: INVALID_ARGUMENT.
    """
    if not is_base64(value):
        raise wrong(value, "not formatted correctly for base64 data")
    text = value[BASE64].translate(_NO_WHITE_SPACE)
    digits = text.rstrip("=")
    if len(text) not in (len(digits), len(digits) + -len(digits) % 4):
        raise invalid_argument("Unable to base64 decode")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise invalid_argument("Unable to base64 decode") from error


class Walk:
    """Shape and leaves of a value, visited one by one; the first that does not fit is the error."""

    def __init__(self, value: Any, dtype: int) -> None:
        """Visit them all."""
        self.shape = _first_shape(value)
        self.leaves: list[Any] = []
        self._dtype = dtype
        self._visit(value, 0)

    def _visit(self, value: Any, level: int) -> None:
        rank = len(self.shape)
        if not isinstance(value, list):
            if level != rank:
                raise wrong(value, f"found at incorrect level: {level + 1} in the JSON DOM. Expected at level: {rank}")
            self.leaves.append(leaf(value, self._dtype))
            return
        if level >= rank:
            raise invalid_argument(f"Encountered list at unexpected level: {level} expected < {rank}")
        if len(value) != self.shape[level]:
            raise invalid_argument(
                f"Encountered list at unexpected size: {len(value)} at level: {level} "
                f"expected size: {self.shape[level]}"
            )
        for each in value:
            self._visit(each, level + 1)


def leaf(value: Any, dtype: int) -> Any:
    """A value that is not a list, checked.

    Raises:
        ServeError: as `array`.
    """
    if dtype == types_pb2.DT_STRING:
        if isinstance(value, dict):
            return from_base64(value)
        if isinstance(value, str):
            return _encoded(value)
    elif isinstance(value, dict):
        pass
    elif dtype in _FLOATS:
        if type(value) in (int, float):
            return value
    elif dtype in _INTEGERS:
        low, high = _INTEGERS[dtype][1]
        if type(value) is int and low <= value <= high:
            return value
    elif dtype == types_pb2.DT_BOOL:
        if isinstance(value, bool):
            return value
    else:
        message = f"Conversion of JSON Value: {excerpt(value)} to type: {_name(dtype)}"
        raise ServeError(grpc.StatusCode.UNIMPLEMENTED, message)
    raise invalid_argument(
        f"JSON Value: {excerpt(value)} Type: {type_name(value)} is not of expected type: {_name(dtype)}"
    )


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:  # half of a pair of UTF-16, which JSON can escape
        raise invalid_argument("JSON Parse error: The surrogate pair in string is invalid.") from error


def _checked(leaves: list[Any], dtype: int) -> list[Any]:
    """The leaves, each as `leaf` gives it."""
    checked: list[Any] = []
    for piece in _pieces(leaves):
        checked += piece if _plain(piece, dtype) else [leaf(value, dtype) for value in piece]
    return checked


def _plain(leaves: Sequence[Any], dtype: int) -> bool:
    """Whether all of them obviously fit the dtype, and are taken as they are."""
    kinds = set(map(type, leaves))
    if dtype in _FLOATS:
        return kinds <= {int, float}
    if dtype in _INTEGERS and kinds == {int}:
        low, high = _INTEGERS[dtype][1]
        return bool(min(leaves) >= low and max(leaves) <= high)
    return dtype == types_pb2.DT_BOOL and kinds == {bool}


def _to_array(leaves: list[Any], dtype: int) -> np.ndarray:
    values = np.empty(len(leaves), _numpy(dtype))
    wide = {"f": np.float64, "i": np.int64, "u": np.int64}.get(values.dtype.kind, values.dtype)
    if dtype == types_pb2.DT_UINT64:
        wide = values.dtype
    with np.errstate(over="ignore"):  # 1e39 as float32 is infinite, as from a cast in C++
        for start in range(0, len(leaves), PIECE_VALUES):
            values[start : start + PIECE_VALUES] = np.array(leaves[start : start + PIECE_VALUES], wide)
    return values


def _numpy(dtype: int) -> np.dtype[Any]:
    if dtype in _FLOATS:
        return _FLOATS[dtype]
    if dtype in _INTEGERS:
        return _INTEGERS[dtype][0]
    return np.dtype(np.bool_ if dtype == types_pb2.DT_BOOL else object)


def _first_shape(value: Any) -> tuple[int, ...]:
    """The shape that the first list at each level has."""
    shape = []
    while isinstance(value, list):
        shape.append(len(value))
        value = value[0] if value else None
    return tuple(shape)


def _name(dtype: int) -> str:
    return str(types_pb2.DataType.Name(dtype)).removeprefix("DT_").lower()
