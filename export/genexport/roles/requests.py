"""Values of named tensors as the signatures of a SavedModel take them: floats, bytes or picture files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from genexport.roles.role import Array

ENDING = "_bytes"
"""Inputs so named take the pictures of another one as files."""

LARGEST = 1 << 20
"""Bytes of pictures in one input of a warm-up request."""


def fit(inputs: Mapping[str, tf.DType], values: Mapping[str, Any]) -> dict[str, Any]:
    """A value for each input of a signature, out of values by name: pictures are floats in [0, 1] of whole pixels.

    Raises:
        KeyError: there is no value for an input.
    """
    return {name: _fit(name, tf.as_dtype(dtype), values) for name, dtype in inputs.items()}


def _fit(name: str, dtype: tf.DType, values: Mapping[str, Any]) -> Any:
    if name not in values and name.endswith(ENDING):
        return png_files(values[_pictures(name, values)])
    value = values[name]
    return to_bytes(value) if dtype == tf.uint8 and np.asarray(value).dtype == np.float32 else value


def _pictures(name: str, values: Iterable[str]) -> str:
    """`image_bytes` are the files of what is judged, `images`, where that is an input; else of `image`."""
    base = name.removesuffix(ENDING)
    return next(key for key in (f"{base}s", base) if key in values)


def png_files(pictures: Any) -> Array:
    """Float32 (N, H, W, C) in [0, 1] → PNG files (N,)."""
    return np.array([tf.io.encode_png(pixels).numpy() for pixels in to_bytes(pictures)], object)


def to_bytes(pictures: Any) -> Array:
    """Float32 in [0, 1] → uint8."""
    return np.rint(np.asarray(pictures) * np.float32(255)).astype(np.uint8)


def keep(values: Mapping[str, Any]) -> dict[str, Any]:
    """For reference.npz: pictures as bytes, which `restore` makes floats of again."""
    return {name: to_bytes(value) if np.ndim(value) == 4 else np.asarray(value) for name, value in values.items()}


def restore(stored: Mapping[str, Array]) -> dict[str, Array]:
    """What `keep` was given."""
    return {
        name: value.astype(np.float32) / np.float32(255) if value.dtype == np.uint8 else value
        for name, value in stored.items()
    }


def warm(spec: tf.TensorSpec, batch: int, values: Mapping[str, Any], real: bool = False) -> tensor_pb2.TensorProto:
    """An input of a warm-up request: pictures are grey, which takes no room, everything else is as in `values`.

    With `real` the pictures are those of `values`, but where a request would be of more than 1 MiB.
    """
    file = spec.name not in values and spec.name.endswith(ENDING)
    size = batch * int(np.prod(spec.shape[1:])) * spec.dtype.size if len(spec.shape) == 4 else 0
    if real and size <= LARGEST:
        return tf.make_tensor_proto(_fit(spec.name, spec.dtype, values))
    if size:
        return _grey(spec.dtype, (batch, *spec.shape[1:]))
    if file:
        picture = tf.fill(values[_pictures(spec.name, values)].shape[1:], tf.constant(128, tf.uint8))
        return tf.make_tensor_proto(tf.repeat(tf.io.encode_png(picture), batch))
    return tf.make_tensor_proto(values[spec.name])


def _grey(dtype: tf.DType, shape: tuple[int, ...]) -> tensor_pb2.TensorProto:
    """The one value that is sent fills its tensor, as in any TensorProto."""
    proto = tensor_pb2.TensorProto(dtype=dtype.as_datatype_enum, tensor_shape=tf.TensorShape(shape).as_proto())
    if dtype == tf.uint8:
        proto.int_val.append(128)
    else:
        proto.float_val.append(0.5)
    return proto
