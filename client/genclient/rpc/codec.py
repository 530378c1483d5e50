"""Between numpy arrays and TensorFlow Serving's tensors, in every form in which a server may send them.

Responses are checked before anything is allocated: dtype, shape and the number of values have to fit each other, and a
tensor may not be larger than what arrived for it, but for TensorFlow's rule that a short list of values goes on with
its last one (up to FILL_LIMIT). Not for sparse, complex, quantised or resource tensors, and not for what images mean:
pixels.py.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient.errors import ClientError
from genclient.rpc import varints, wire

FILL_LIMIT = 2**22
"""Elements up to which a response may leave out repeated values; a server that means well sends pixels in full."""

MAX_RANK = 32
"""Dimensions of a tensor; numpy cannot hold more than 64 and no image has more than four."""


@dataclass(frozen=True)
class DType:
    """One of TensorFlow's DataTypes: its number, its name, numpy's type of its bytes and the field of its values."""

    number: int
    name: str
    storage: str
    field: str


FLOAT = DType(1, "float32", "<f4", "float_val")
INT32 = DType(3, "int32", "<i4", "int_val")
STRING = DType(7, "string", "O", "string_val")
INT64 = DType(9, "int64", "<i8", "int64_val")
BFLOAT16 = DType(14, "bfloat16", "<u2", "half_val")
HALF = DType(19, "float16", "<f2", "half_val")
_DTYPES = {
    dtype.number: dtype
    for dtype in (
        FLOAT,
        DType(2, "float64", "<f8", "double_val"),
        INT32,
        DType(4, "uint8", "|u1", "int_val"),
        DType(5, "int16", "<i2", "int_val"),
        DType(6, "int8", "|i1", "int_val"),
        STRING,
        INT64,
        DType(10, "bool", "|b1", "bool_val"),
        BFLOAT16,
        DType(17, "uint16", "<u2", "int_val"),
        HALF,
    )
}
_SENDABLE = {dtype.name: dtype for dtype in _DTYPES.values() if np.dtype(dtype.storage).name == dtype.name}


def dtype_name(number: int) -> str:
    """The name of a DataType, or `DT_<number>` of one that this client does not read."""
    return _DTYPES[number].name if number in _DTYPES else f"DT_{number}"


def encode(array: NDArray[Any]) -> Any:
    """The wire.Tensor of an array of numbers, as raw bytes (`tensor_content`), or of bytes objects (dtype object).

    Raises:
        ClientError: the array is not of a dtype that is read here too, bfloat16 aside.
    """
    if array.dtype == object:
        return _of_strings(array)
    dtype = _SENDABLE.get(array.dtype.name)
    if dtype is None:
        raise ClientError(f"cannot send an array of {array.dtype}, expected one of {', '.join(_SENDABLE)}")
    tensor = wire.Tensor(dtype=dtype.number, tensor_content=array.astype(dtype.storage, copy=False).tobytes())
    tensor.shape.SetInParent()  # a scalar has a shape without dimensions, which is not the same as none
    for size in array.shape:
        tensor.shape.dim.add(size=size)
    return tensor


def _of_strings(array: NDArray[Any]) -> Any:
    tensor = wire.Tensor(dtype=STRING.number, string_val=array.reshape(-1).tolist())
    for size in array.shape:
        tensor.shape.dim.add(size=size)
    return tensor


def decode(tensor: Any, name: str) -> NDArray[Any]:
    """The array of a wire.Tensor; bfloat16 becomes float32, and strings an object array of bytes. It may be read-only.

    Args:
        tensor: as it arrived.
        name: what to call it in errors.

    Raises:
        ClientError: a dtype this client does not read, or a shape, a count of values and bytes that do not fit.
    """
    dtype = _DTYPES.get(tensor.dtype)
    if dtype is None:
        raise ClientError(f"{name}: found dtype {dtype_name(tensor.dtype)}, expected a number type or string")
    shape = _shape(tensor.shape, name)
    if tensor.tensor_content:
        values = _from_content(tensor.tensor_content, dtype, shape, name)
    else:
        values = _filled(_from_field(tensor, dtype, shape, name), shape, name)
    if dtype is BFLOAT16:
        values = (values.astype(np.uint32) << 16).view(np.float32)
    try:
        return values.reshape(shape)
    except ValueError:  # no values, and sizes whose product numpy cannot hold
        raise ClientError(f"{name}: found shape {shape_text(shape)}, which is no array's") from None


def _shape(shape: Any, name: str) -> tuple[int, ...]:
    sizes = tuple(dim.size for dim in shape.dim)
    if shape.unknown_rank or len(sizes) > MAX_RANK or any(size < 0 for size in sizes):
        raise ClientError(f"{name}: found shape {shape_text(sizes[:9])}, expected a full one")
    return sizes


def shape_text(sizes: Iterable[int | None]) -> str:
    """A shape in words: `(N, 28, 28, 1)`, where an unknown size is `?`."""
    return f"({', '.join('?' if size is None or size < 0 else str(size) for size in sizes)})"


def _from_content(content: bytes, dtype: DType, shape: tuple[int, ...], name: str) -> NDArray[Any]:
    count = math.prod(shape)
    if dtype is STRING:
        return _strings(_split_strings(content, count, name))
    expected = count * np.dtype(dtype.storage).itemsize
    if len(content) != expected:
        raise ClientError(
            f"{name}: found {len(content)} bytes, expected {expected} for {dtype.name} {shape_text(shape)}"
        )
    return np.frombuffer(content, dtype.storage)


def _split_strings(content: bytes, count: int, name: str) -> list[bytes]:
    """Strings as TensorFlow's EncodeStringList packs them: all lengths as varints, then all bytes."""
    lengths: list[int] = []
    at = 0
    if count <= len(content):  # each length takes a byte at least
        for _ in range(count):
            length, at = _varint(content, at)
            lengths.append(length)
    if len(lengths) != count or at + sum(lengths) != len(content):
        raise ClientError(f"{name}: found {len(content)} bytes that do not hold {count} strings")
    strings = []
    for length in lengths:
        strings.append(content[at : at + length])
        at += length
    return strings


def _varint(content: bytes, at: int) -> tuple[int, int]:
    """The varint at `at` and the place after it; past the end it reads zeros, which the caller's sum then refuses."""
    value = 0
    for shift in range(0, 35, 7):
        byte = content[at] if at < len(content) else 0
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    return value, at


def _strings(values: Iterable[bytes]) -> NDArray[Any]:
    values = list(values)
    array = np.empty(len(values), object)  # filled by hand: numpy would make fixed-width strings and cut trailing zeros
    array[:] = values
    return array


def _from_field(tensor: Any, dtype: DType, shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """The values of the `*_val` field that belongs to dtype, as many as there are."""
    if dtype is STRING:
        return _strings(tensor.string_val)
    values = _numbers(tensor, dtype, math.prod(shape), name)
    if dtype.field == "half_val":
        _check_range(values, np.dtype("<u2"), name, dtype)
        return values.astype("<u2").view(dtype.storage)
    _check_range(values, np.dtype(dtype.storage), name, dtype)
    return values.astype(dtype.storage, copy=False)


def _numbers(tensor: Any, dtype: DType, count: int, name: str) -> NDArray[Any]:
    """The field's numbers: from packed bytes, or one by one where the sender did not pack them."""
    values = _packed(b"".join(getattr(tensor, dtype.field)), dtype, name)
    if len(values) == count:
        return values
    # Too few, perhaps since some are not packed; protobuf keeps those as fields that it does not know.
    loose = getattr(wire.LooseTensor.FromString(tensor.SerializeToString()), dtype.field)
    if len(loose) == len(values):
        return values
    if len(values):  # which came first is no longer known
        raise ClientError(f"{name}: found {dtype.field} packed and unpacked in one tensor, expected either")
    return np.asarray(loose)


_FLOATS = {"float_val": "<f4", "double_val": "<f8"}


def _packed(content: bytes, dtype: DType, name: str) -> NDArray[Any]:
    try:
        if dtype.field in _FLOATS:
            return np.frombuffer(content, _FLOATS[dtype.field])
        values = varints.read(content)
    except ValueError:
        raise ClientError(
            f"{name}: found {len(content)} bytes of {dtype.field}, expected whole {dtype.name} values"
        ) from None
    if values.dtype == np.uint8 or dtype.field == "bool_val":
        return values
    # As protobuf has it: an int32 is the lower half of what was sent.
    return values.view(np.int64) if dtype.field == "int64_val" else values.astype(np.uint32).view(np.int32)


def _check_range(values: NDArray[Any], storage: np.dtype[Any], name: str, dtype: DType) -> None:
    if storage.kind in "iu" and values.size and not np.can_cast(values.dtype, storage):
        limits = np.iinfo(storage)
        if values.min() < limits.min or values.max() > limits.max:
            raise ClientError(
                f"{name}: found values {values.min()} to {values.max()}, expected them to fit {dtype.name}"
            )


def _filled(values: NDArray[Any], shape: tuple[int, ...], name: str) -> NDArray[Any]:
    """Values to the number that shape requests, by TensorFlow's rule: the last one repeats, and none means zeros."""
    count = math.prod(shape)
    if len(values) == count:
        return values
    if len(values) > count or count > FILL_LIMIT:
        raise ClientError(f"{name}: found {len(values)} values, expected {count} for shape {shape_text(shape)}")
    filled = np.empty(count, values.dtype)
    filled[: len(values)] = values
    filled[len(values) :] = values[-1] if len(values) else b"" if values.dtype == object else 0
    return filled
