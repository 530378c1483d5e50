"""Make a model fit for export: float32 throughout, layers in ops that convert, nothing random, channels last.

Each change is compared with the model as it was saved. `UpSampling2D("nearest")` is `repeat` in Keras: with a free
batch TFLite cannot express it, and with a fixed one each becomes two TILE ops and several RESHAPEs, which split the
graph between XNNPACK and LiteRT's own kernels. RESIZE_NEAREST_NEIGHBOR gives the same pixels; on three up-blocks in
int8 weights, with one thread, it takes 0.5 ms where `repeat` takes 0.8, no longer than what stays inside XNNPACK.
`Embedding` lets negative labels count from the end, for which microcontrollers lack an op (SELECT); labels here are
never negative.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from genexport.errors import ExportError
from genexport.generator.keras_file import OTHER_FLOATS

# Root mean square of the change against the images' own spread: some hundred roundings of the smaller type.
TOLERANCE = {"float16": 0.02, "bfloat16": 0.15, "float64": 1e-3}


class NearestUpSampling2D(keras.layers.UpSampling2D):
    """`UpSampling2D("nearest")` by TensorFlow's resize op: the same pixels, one builtin op of TFLite."""

    def call(self, inputs: Any) -> Any:
        """(N, H, W, C) → (N, H·factor, W·factor, C)."""
        size = [tf.shape(inputs)[axis] * self.size[axis - 1] for axis in (1, 2)]
        if inputs.shape[1] and inputs.shape[2]:
            size = [inputs.shape[axis] * self.size[axis - 1] for axis in (1, 2)]
        # Not tf.image.resize: its half-pixel centres give the same rows here and a deprecated attribute in ONNX.
        return tf.raw_ops.ResizeNearestNeighbor(images=inputs, size=size)


class PlainEmbedding(keras.layers.Embedding):
    """`Embedding` for labels from 0 on: the same rows, by one builtin op of TFLite."""

    def call(self, inputs: Any) -> Any:
        """Integers (N, …) → (N, …, D)."""
        rows = tf.gather(keras.ops.convert_to_tensor(self.embeddings), tf.cast(inputs, tf.int32))
        return keras.ops.cast(rows, self.compute_dtype)


REPLACEMENTS: tuple[tuple[type, type, Callable[[Any], bool], str], ...] = (
    (
        keras.layers.UpSampling2D,
        NearestUpSampling2D,
        lambda layer: layer.interpolation == "nearest",
        "UpSampling2D by a resize op, the same pixels",
    ),
    (keras.layers.Embedding, PlainEmbedding, lambda _: True, "Embedding by a plain look-up, the same rows"),
)


def layers_of(model: Any) -> list[Any]:
    """Every layer that has none inside, of sub-models and of composed layers too, without the input layers."""
    flat = model._flatten_layers(include_self=False, recursive=True)
    leaves = [layer for layer in flat if not list(layer._flatten_layers(include_self=False))]
    return [layer for layer in leaves if not isinstance(layer, keras.layers.InputLayer)]


def weights_of(model: Any) -> list[Any]:
    """Every floating variable of a model."""
    return [weight for weight in model.variables if keras.backend.is_float_dtype(weight.dtype)]


def check_layout(path: Path, model: Any) -> None:
    """Raise ExportError where a layer works on channels first: devices and servers here get (N, H, W, C)."""
    for layer in layers_of(model):
        if getattr(layer, "data_format", None) == "channels_first" and not isinstance(layer, keras.layers.Flatten):
            raise ExportError(
                f'{path}: layer {layer.name} ({type(layer).__name__}) has data_format="channels_first"; build the '
                'generator with "channels_last": TFLite and CPUs have no other convolution'
            )


def precision(model: Any) -> str | None:
    """The floating type other than float32 in which a part of the model computes or keeps weights, or None."""
    names = [layer.dtype_policy.name for layer in layers_of(model) if layer.compute_dtype in TOLERANCE]
    names += [weight.dtype for weight in model.weights]
    names += [keras.backend.standardize_dtype(tensor.dtype) for tensor in getattr(model, "inputs", None) or ()]
    return next((name for name in names if name in OTHER_FLOATS), None)


def tolerance(was: str) -> float:
    """How far a rebuilt model's images may be from those in the precision that it was saved in."""
    return TOLERANCE[was.removeprefix("mixed_")]


def check_float32(path: Path, model: Any, was: str) -> None:
    """Raise ExportError where a layer's own code keeps it from being float32."""
    for layer in layers_of(model):
        if layer.compute_dtype in TOLERANCE or layer.variable_dtype in TOLERANCE:
            raise ExportError(
                f"{path}: layer {layer.name} ({type(layer).__name__}) computes in {layer.compute_dtype} by its own "
                f"code; build it without dtype={was!r}, since TFLite's builtin ops take float32"
            )


def compare(path: Path, what: str, before: np.ndarray[Any, Any], after: np.ndarray[Any, Any], limit: float) -> None:
    """Raise ExportError where a rebuilt model gives other images than the saved one."""
    changed = change(before, after)
    if not changed <= limit:
        raise ExportError(
            f"{path}: {what}, it gives other images: they change by {changed:.2g} of their spread, limit {limit:.2g}"
        )


def change(before: np.ndarray[Any, Any], after: np.ndarray[Any, Any]) -> float:
    """The root mean square by which images change, against their own spread."""
    spread = float(np.std(before.astype(np.float64))) or 1.0
    return float(np.sqrt(np.mean((after.astype(np.float64) - before) ** 2))) / spread


def replace_layers(model: Any) -> list[str]:
    """Exchange the layers of a model that convert badly, in place, and say which: a clause for each kind.

    In place, since a copy by `clone_model` would have to rebuild what holds them, which subclasses do not allow.
    """
    clauses = []
    for kind, better, applies, how in REPLACEMENTS:
        layers = [layer for layer in layers_of(model) if type(layer) is kind and applies(layer)]
        for layer in layers:
            layer.__class__ = better
        if layers:
            clauses.append(f"{len(layers)} × {how}")
    return clauses
