"""JSON responses: tensors, classes, regressions and errors, formatted like TF Serving's.

Floats have the fewest digits that parse back to the same number of the tensor's own dtype; TF Serving writes six, or
nine if six are not enough. Numbers that JSON lacks are `NaN`, `Infinity` and `-Infinity`, as in TF Serving.
Source: TF Serving's util/json_tensor.cc (MakeJsonFromTensors and its neighbours).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

from genserve.errors import invalid_argument

PREDICTIONS, OUTPUTS, RESULTS = "predictions", "outputs", "results"
BYTES_SUFFIX = "_bytes"  # an output of strings with such a name goes out as base64
PIECE_VALUES = 2**14  # numbers that are written at a time: no other thread of Python runs meanwhile
_DTYPES = {np.dtype(name) for name in ("float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8")}
_DTYPES |= {np.dtype(name) for name in ("uint32", "uint64", "bool", "object")}


def rows(outputs: Mapping[str, np.ndarray]) -> bytes:
    """`predictions`: an item for each row, an object where there are several outputs.

    Raises:
        ServeError: INVALID_ARGUMENT for outputs without rows, of different numbers of rows, or of dtypes that JSON has
            no values for.
    """
    count = -1
    for alias, array in outputs.items():
        if array.ndim == 0:
            raise invalid_argument(f"Tensor name: {alias} has no shape information ")
        if count not in (-1, array.shape[0]):
            raise invalid_argument(
                f"Tensor name: {alias} has inconsistent batch size: {array.shape[0]} expecting: {count}"
            )
        count = array.shape[0]
    if len(outputs) == 1:
        ((alias, array),) = outputs.items()
        return _framed(PREDICTIONS, values(alias, array)[:-1] + (b"\n    ]" if count else b"]"))
    return _framed(PREDICTIONS, _objects(outputs, count))


def columns(outputs: Mapping[str, np.ndarray]) -> bytes:
    """`outputs`: the tensors by name, or the only one without its name.

    Raises:
        ServeError: INVALID_ARGUMENT for dtypes that JSON has no values for.
    """
    if len(outputs) == 1:
        ((alias, array),) = outputs.items()
        return _framed(OUTPUTS, values(alias, array))
    parts = [b"        %s: %s" % (orjson.dumps(alias), values(alias, array)) for alias, array in outputs.items()]
    return _framed(OUTPUTS, b"{\n" + b",\n".join(parts) + b"\n    }")


def classifications(result: Any) -> bytes:
    """`results` of Classify: for each Example a list of [label, score]."""
    if not result.classifications:
        raise invalid_argument("Cannot convert empty ClassificationResults to JSON")
    lists = [
        b"[" + b", ".join(b"[%s, %s]" % (_text(each.label), _float(each.score)) for each in entry.classes) + b"]"
        for entry in result.classifications
    ]
    return _framed(RESULTS, b"[" + b", ".join(lists) + b"\n    ]")


def regressions(result: Any) -> bytes:
    """`results` of Regress: a number for each Example."""
    if not result.regressions:
        raise invalid_argument("Cannot convert empty RegressionResults to JSON")
    return _framed(RESULTS, values("", np.array([entry.value for entry in result.regressions], np.float32)))


def error(message: str) -> bytes:
    """`{"error": …}`."""
    return _framed("error", _text(message))


def values(alias: str, array: np.ndarray) -> bytes:
    """A tensor as nested lists on one line.

    Raises:
        ServeError: INVALID_ARGUMENT for dtypes that JSON has no values for.
    """
    if array.dtype.name == "bfloat16":
        array = array.astype(np.float32)
    if array.dtype not in _DTYPES:
        found = "complex" if array.dtype.kind == "c" else array.dtype.name
        raise invalid_argument(f"Failed to write JSON value for tensor type: {found}")
    if array.dtype == object:
        return _strings(alias, array)
    return _numbers(array) if array.ndim else _written(array)[1:-1]


def _numbers(array: np.ndarray) -> bytes:
    """Numbers as nested lists, many of them piece by piece."""
    if array.size <= PIECE_VALUES:
        return _written(array)
    rows = PIECE_VALUES * len(array) // array.size
    if not rows:
        return b"[" + b", ".join(map(_numbers, array)) + b"]"
    pieces = (array[start : start + rows] for start in range(0, len(array), rows))
    return b"[" + b", ".join(_written(piece)[1:-1] for piece in pieces) + b"]"


def _written(array: np.ndarray) -> bytes:
    """As `_numbers`, at once; a scalar gets a dimension."""
    text = orjson.dumps(np.ascontiguousarray(array), option=orjson.OPT_SERIALIZE_NUMPY)
    if array.dtype.kind == "f" and not (finite := np.isfinite(array)).all():
        text = _with_names(text, array[~finite].tolist())
    return text.replace(b",", b", ")


def _objects(outputs: Mapping[str, np.ndarray], count: int) -> bytes:
    names = [orjson.dumps(alias) for alias in outputs]
    items = []
    for row in range(count):
        fields = [
            b"            %s: %s" % (name, values(alias, array[row, ...]))
            for name, (alias, array) in zip(names, outputs.items(), strict=True)
        ]
        items.append(b"        {\n" + b",\n".join(fields) + b"\n        }")
    return b"[\n" + b",\n".join(items) + b"\n    ]" if items else b"[]"


def _strings(alias: str, array: Any) -> bytes:
    """Strings; those that are no UTF-8 lose what is none, as JSON has no other way to say them."""
    array = np.asarray(array, object)
    if alias.endswith(BYTES_SUFFIX):
        leaves = [{"b64": base64.b64encode(each).decode()} for each in array.ravel().tolist()]
    else:
        leaves = [each.decode(errors="replace") for each in array.ravel().tolist()]
    nested = np.empty(array.size, object)
    nested[:] = leaves
    return json.dumps(nested.reshape(array.shape).tolist(), ensure_ascii=False).encode()


def _with_names(text: bytes, odd: list[float]) -> bytes:
    """What orjson wrote as null, as the names of those numbers."""
    first, *rest = text.split(b"null")
    names = (b"NaN" if value != value else b"Infinity" if value > 0 else b"-Infinity" for value in odd)
    return first + b"".join(name + part for name, part in zip(names, rest, strict=True))


def _float(value: float) -> bytes:
    return values("", np.array([value], np.float32))[1:-1]


def _text(text: str) -> bytes:
    return json.dumps(text, ensure_ascii=False).encode(errors="replace")


def _framed(key: str, content: bytes) -> bytes:
    return b'{\n    "%s": %s\n}' % (key.encode(), content)
