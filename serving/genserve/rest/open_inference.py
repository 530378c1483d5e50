"""The Open Inference Protocol over REST (KServe v2): tensors as JSON, or as binary data after the JSON.

The signature is `serving_default`, or the request parameter `signature_name`. Bytes that are not UTF-8 are returned as
base64 with the parameter `content_type: base64`, and such inputs are decoded. paths.py has the paths.
Source: github.com/kserve/open-inference-protocol, specification/protocol/inference_rest.md; binary tensors:
github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md; base64: MLServer's codecs.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from tensorflow.core.framework import types_pb2

from genserve.errors import ServeError, invalid_argument
from genserve.models.model import Models, servable_for
from genserve.rest import document, responses
from genserve.rest.leaves import array
from genserve.rest.paths import Target
from genserve.rest.reply import OCTETS, Reply, as_array, signature_of
from genserve.rpcs.examples import DEFAULT_SIGNATURE
from genserve.rpcs.rpc import Call
from genserve.runtime.tensors import decode

HEADER_LENGTH = "inference-header-content-length"
DATATYPES = {
    types_pb2.DT_BOOL: "BOOL",
    types_pb2.DT_UINT8: "UINT8",
    types_pb2.DT_UINT16: "UINT16",
    types_pb2.DT_UINT32: "UINT32",
    types_pb2.DT_UINT64: "UINT64",
    types_pb2.DT_INT8: "INT8",
    types_pb2.DT_INT16: "INT16",
    types_pb2.DT_INT32: "INT32",
    types_pb2.DT_INT64: "INT64",
    types_pb2.DT_HALF: "FP16",
    types_pb2.DT_FLOAT: "FP32",
    types_pb2.DT_DOUBLE: "FP64",
    types_pb2.DT_STRING: "BYTES",
}
_NUMPY = {"BOOL": "?", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8"} | {
    f"{sign}INT{bits}": f"<{letter}{bits // 8}" for sign, letter in (("", "i"), ("U", "u")) for bits in (8, 16, 32, 64)
}
_READ_AS = {
    types_pb2.DT_HALF: types_pb2.DT_FLOAT,
    types_pb2.DT_UINT16: types_pb2.DT_INT32,
}  # what `array` has no case for


def server_metadata() -> bytes:
    """The metadata of the server."""
    return orjson.dumps({"name": "genserve", "version": "2", "extensions": ["binary_tensor_data"]})


def ready(models: Models) -> Reply:
    """200 once every model of the config serves a version; else 503 with the names of those that do not."""
    missing = sorted(name for name, model in models.items() if not model.available())
    body = {"ready": not missing} | ({"not_ready": missing} if missing else {})
    return Reply(503 if missing else 200, orjson.dumps(body))


def model_ready(models: Models, target: Target) -> bytes:
    """That a model, or a version of it, serves.

    Raises:
        ServeError: NOT_FOUND where it does not.
    """
    with servable_for(models, target.spec()):
        return orjson.dumps({"name": target.model, "ready": True})


def model_metadata(models: Models, target: Target) -> bytes:
    """Versions, inputs and outputs of a model, of its default signature or the first that there is.

    Raises:
        ServeError: NOT_FOUND where it does not serve.
    """
    with servable_for(models, target.spec()) as servable:
        signatures = servable.signatures
        signature = signatures.get(DEFAULT_SIGNATURE) or signatures[min(signatures)]
        found = {
            "name": target.model,
            "versions": [str(version) for version in models[target.model].available()],
            "platform": "tensorflow_savedmodel",
            "inputs": _described(signature.inputs),
            "outputs": _described(signature.outputs),
        }
    return orjson.dumps(found)


def _described(tensors: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "name": alias,
            "datatype": DATATYPES.get(info.dtype, types_pb2.DataType.Name(info.dtype)),
            "shape": [dim.size for dim in info.tensor_shape.dim],
        }
        for alias, info in sorted(tensors.items())
    ]


def infer(models: Models, target: Target, body: bytes, call: Call) -> Reply:
    """Run a signature of a model.

    Raises:
        ServeError: NOT_FOUND for what does not serve, INVALID_ARGUMENT for a request that does not fit.
    """
    text, binary = _parts(body, call)
    request = document.parse(text)
    key = _parameters(request).get("signature_name") or DEFAULT_SIGNATURE
    with servable_for(models, target.spec()) as servable:
        signature = signature_of(servable, key)
        feeds = _feeds(request, signature, binary)
        outputs = _outputs(request, signature)
        fetches = [signature.outputs[alias].name for alias in outputs]
        results = servable.run(feeds, fetches, call.deadline, call.timing)
        head = {"model_name": target.model, "model_version": str(servable.version)}
    if isinstance(request.get("id"), str):
        head["id"] = request["id"]
    arrays = {alias: as_array(result) for alias, result in zip(outputs, results, strict=True)}
    return _reply(head, arrays, outputs)


def _parts(body: bytes, call: Call) -> tuple[bytes, memoryview]:
    """The JSON of a request, and the bytes of binary tensors behind it."""
    length = dict(call.metadata()).get(HEADER_LENGTH)
    if length is None:
        return body, memoryview(b"")
    if not length.isdecimal() or len(length) > 15 or int(length) > len(body):
        raise invalid_argument(f"{HEADER_LENGTH}: expected a number up to {len(body)}, found {length[:20]}")
    return body[: int(length)], memoryview(body)[int(length) :]


def _parameters(holder: Mapping[str, Any]) -> dict[str, Any]:
    parameters = holder.get("parameters", {})
    if not isinstance(parameters, dict):
        raise invalid_argument("parameters: expected an object")
    return parameters


def _named(request: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    """The tensors that a request lists, by name."""
    listed = request.get(key, [])
    if not isinstance(listed, list) or not all(
        isinstance(each, dict) and isinstance(each.get("name"), str) for each in listed
    ):
        raise invalid_argument(f"{key}: expected a list of objects with a name")
    tensors = {each["name"]: each for each in listed}
    if len(tensors) < len(listed):
        raise invalid_argument(f"{key}: a name stands twice")
    return tensors


def _feeds(request: Mapping[str, Any], signature: Any, binary: memoryview) -> dict[str, np.ndarray]:
    tensors, defaults = _named(request, "inputs"), signature.defaults
    if tensors.keys() - set(signature.inputs) or set(signature.inputs) - tensors.keys() - set(defaults):
        found, expected = ", ".join(sorted(tensors)) or "none", ", ".join(sorted(signature.inputs))
        raise invalid_argument(f"inputs: expected {expected}; found {found}")
    feeds = {signature.inputs[alias].name: decode(defaults[alias]) for alias in defaults if alias not in tensors}
    for alias, each in tensors.items():
        info, size = signature.inputs[alias], _parameters(each).get("binary_data_size")
        if size is not None and (type(size) is not int or not 0 <= size <= len(binary)):
            raise invalid_argument(f"input {alias}: binary_data_size {size!r}, but {len(binary)} bytes are left")
        try:
            feeds[info.name] = tensor(each, info.dtype, None if size is None else binary[:size])
        except ServeError as error:
            raise ServeError(error.code, f"input {alias}: {error.message}") from error
        binary = binary[size or 0 :]
    if len(binary):
        raise invalid_argument(f"{len(binary)} bytes of binary data belong to no input")
    return feeds


def tensor(described: Mapping[str, Any], dtype: int, binary: memoryview | None) -> np.ndarray:
    """A tensor of a request as an array.

    Args:
        described: its entry, with shape, datatype and, where it is not binary, data.
        dtype: a TensorFlow DataType that it has to have.
        binary: its bytes, little-endian, or None.

    Raises:
        ServeError: INVALID_ARGUMENT where these do not fit together.
    """
    datatype = DATATYPES.get(dtype, types_pb2.DataType.Name(dtype))
    if described.get("datatype") != datatype:
        raise invalid_argument(f"expected datatype {datatype}, found {described.get('datatype')!r}")
    shape = described.get("shape")
    if (
        not isinstance(shape, list)
        or len(shape) > 32
        or not all(type(size) is int and 0 <= size < 2**31 for size in shape)
    ):
        raise invalid_argument("shape: expected a list of up to 32 sizes")
    if binary is not None:
        values = _binary_strings(binary) if datatype == "BYTES" else _binary_numbers(binary, datatype)
    else:
        values = _json_values(described, dtype)
    if values.size != math.prod(shape):
        raise invalid_argument(f"shape {shape} for {values.size} values")
    return values.reshape(shape)


def _json_values(described: Mapping[str, Any], dtype: int) -> np.ndarray:
    data = described.get("data")
    if not isinstance(data, list):
        raise invalid_argument("data: expected a list")
    values = array(data, _READ_AS.get(dtype, dtype)).ravel()
    if dtype in _READ_AS:
        return values.astype(_NUMPY[DATATYPES[dtype]])
    if _parameters(described).get("content_type") == "base64":
        try:
            values[:] = [base64.b64decode(value, validate=True) for value in values]
        except ValueError as error:
            raise invalid_argument("Unable to base64 decode") from error
    return values


def _binary_numbers(binary: memoryview, datatype: str) -> np.ndarray:
    dtype = np.dtype(_NUMPY[datatype])
    if len(binary) % dtype.itemsize:
        raise invalid_argument(f"{len(binary)} bytes are no whole number of {datatype} values")
    return np.frombuffer(binary, dtype)


def _binary_strings(binary: memoryview) -> np.ndarray:
    """Strings, each behind its length in four bytes."""
    strings, at = [], 0
    while at < len(binary):
        if at + 4 > len(binary):
            raise invalid_argument("the length of a string is cut short")
        (length,) = struct.unpack_from("<I", binary, at)
        at += 4 + length
        if at > len(binary):
            raise invalid_argument("a string is cut short")
        strings.append(bytes(binary[at - length : at]))
    values = np.empty(len(strings), object)
    values[:] = strings
    return values


def _outputs(request: Mapping[str, Any], signature: Any) -> dict[str, bool]:
    """The outputs asked for, or all, each with whether it goes out as binary."""
    default = _parameters(request).get("binary_data_output") is True
    tensors = _named(request, "outputs") or {alias: {} for alias in sorted(signature.outputs)}
    for alias in tensors:
        if alias not in signature.outputs:
            raise invalid_argument(f"outputs: expected {', '.join(sorted(signature.outputs))}; found {alias}")
    return {alias: _parameters(each).get("binary_data", default) is True for alias, each in tensors.items()}


def _reply(head: Mapping[str, str], arrays: Mapping[str, np.ndarray], binary: Mapping[str, bool]) -> Reply:
    outputs, behind = [], []
    for alias, values in arrays.items():
        datatype = "BYTES" if values.dtype == object else _datatype(values.dtype)
        entry = {"name": alias, "datatype": datatype, "shape": list(values.shape)}
        if binary[alias]:
            behind.append(_bytes_of(values))
            outputs.append(orjson.dumps({**entry, "parameters": {"binary_data_size": len(behind[-1])}}))
        else:
            data, parameters = _json_data(alias, values.ravel())
            outputs.append(orjson.dumps({**entry, **parameters})[:-1] + b',"data":' + data + b"}")
    text = orjson.dumps(head)[:-1] + b',"outputs":[' + b",".join(outputs) + b"]}"
    if not behind:
        return Reply(200, text)
    return Reply(200, b"".join([text, *behind]), OCTETS, ((HEADER_LENGTH, str(len(text))),))


def _datatype(dtype: np.dtype[Any]) -> str:
    names = {np.dtype(letters): name for name, letters in _NUMPY.items()}
    if dtype not in names:
        raise invalid_argument(f"outputs of {dtype.name} have no datatype in this protocol")
    return names[dtype]


def _bytes_of(values: np.ndarray) -> bytes:
    if values.dtype != object:
        return np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    return b"".join(struct.pack("<I", len(value)) + value for value in values.ravel().tolist())


def _json_data(alias: str, values: np.ndarray) -> tuple[bytes, dict[str, Any]]:
    """A flat tensor as a list, and the parameters that say how to read it."""
    if values.dtype != object:
        return responses.values(alias, values), {}
    try:
        if alias.endswith(responses.BYTES_SUFFIX):
            raise UnicodeError
        return orjson.dumps([value.decode() for value in values.tolist()]), {}
    except UnicodeError:
        encoded = [base64.b64encode(value).decode() for value in values.tolist()]
        return orjson.dumps(encoded), {"parameters": {"content_type": "base64"}}
