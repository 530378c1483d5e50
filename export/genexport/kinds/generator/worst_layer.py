"""Which layer loses most of a file's accuracy: each is rounded alone, and the images are compared with Keras'.

In int8 that is done by TensorFlow's quantizer itself, with every other layer kept in float32. Weights in float16, and
weights in int8 with activations rounded as they come (dynamic), are rounded in Keras, layer by layer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from genexport import quiet
from genexport.compare import parity
from genexport.generator import layer_names, rebuild
from genexport.generator.layer_hooks import watch
from genexport.generator.load import Generator
from genexport.progress import Progress
from genexport.tflite import convert, quantize, subpixel

EXAMPLES = 16
SMALLEST = 1024
"""Weights that dynamic-range quantization leaves alone have fewer elements than this."""


def worst_layer(generator: Generator, variant: str, report: Callable[[str], None] = lambda _: None) -> str:
    """One clause for an error message, such as `most is lost in conv2d_3 (Conv2D): alone it gives 31.2 dB`.

    Args:
        generator: whose file was past its limit.
        variant: the file's, one of `tflite.VARIANTS`.
        report: called with a line of progress where it takes long.
    """
    progress = Progress(report, f"TFLite {variant} is past its limit: looking for the layer that loses most")
    inputs = generator.examples(EXAMPLES)
    expected = np.asarray(generator.images(*inputs.values()))
    measured: dict[str, parity.Difference] = {}
    for layer, images in _alone(generator, variant, inputs, progress):
        measured[layer] = parity.compare(images, expected)
    if not measured:
        return "no single layer is to blame: nothing in it is rounded"
    if variant == "float16":
        worst = max(measured, key=lambda layer: measured[layer].max_error)
        return f"most is lost in {worst}: alone it differs by {measured[worst].max_error:.2g}"
    worst = min(measured, key=lambda layer: _decibels(measured[layer]))
    return f"most is lost in {worst}: alone it gives {_decibels(measured[worst]):.1f} dB"


def _decibels(difference: parity.Difference) -> float:
    return float("inf") if difference.psnr_db is None else difference.psnr_db


def _alone(
    generator: Generator, variant: str, inputs: Mapping[str, Any], progress: Progress
) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """(layer, images with that layer alone rounded), one after the other."""
    if variant in ("int8", "micro"):
        yield from _quantized_alone(generator, variant, inputs, progress)
    elif variant in ("float16", "dynamic"):
        layers = [layer for layer in rebuild.layers_of(generator.model) if layer_names.has_kernel(layer)]
        for layer in progress.over(layers, "layers"):
            with _rounded(layer, variant == "dynamic"):
                yield layer_names.label(layer), np.asarray(generator.images(*inputs.values()))


def _quantized_alone(
    generator: Generator, variant: str, inputs: Mapping[str, Any], progress: Progress
) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    with subpixel.faster(generator, variant), quiet.stderr():
        calibrated = quantize.calibrate(generator)
    outputs, layers = quantize.op_outputs(calibrated), quantize.by_layer(calibrated, generator.model)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "alone.tflite"
        for layer, own in progress.over(list(layers.items()), "layers"):
            with quiet.stderr():
                rest = [name for name in outputs if name not in own]
                file.write_bytes(quantize.quantize(calibrated, tf.float32, tf.float32, rest))
            yield layer, np.clip(convert.run(file, inputs), 0, 1)


@contextmanager
def _rounded(layer: Any, int8: bool) -> Iterator[None]:
    """Within the block a layer's kernels are float16, or with `int8` they are, and what goes into it is rounded too."""
    kept = [(weight, weight.numpy()) for weight in layer.weights if len(weight.shape) > 1]
    kept = [(weight, value) for weight, value in kept if not int8 or value.size >= SMALLEST]

    def hook(operation: Any, run: Callable[..., Any], given: tuple[Any, ...]) -> Any:
        if operation is layer and int8 and kept and given and given[0].dtype.is_floating:
            given = (_rows_in_int8(given[0]), *given[1:])
        return run(*given)

    try:
        for weight, value in kept:
            weight.assign(_int8(layer, value) if int8 else value.astype(np.float16).astype(np.float32))
        with watch(hook):
            yield
    finally:
        for weight, value in kept:
            weight.assign(value)


def _int8(layer: Any, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Symmetric int8 steps, a scale for each output channel: TFLite's rule for weights."""
    channels = values.ndim - (2 if isinstance(layer, keras.layers.Conv2DTranspose) else 1)
    axis = tuple(i for i in range(values.ndim) if i != channels)
    scale = np.maximum(np.abs(values).max(axis=axis, keepdims=True), 1e-30) / 127
    return np.asarray(np.round(values / scale) * scale, np.float32)


def _rows_in_int8(values: Any) -> Any:
    """Asymmetric int8 steps, a scale for each example: how LiteRT rounds activations as they come."""
    axes = list(range(1, len(values.shape)))
    low = tf.minimum(tf.reduce_min(values, axes, keepdims=True), 0.0)
    high = tf.maximum(tf.reduce_max(values, axes, keepdims=True), 0.0)
    scale = tf.maximum(high - low, 1e-30) / 255.0
    return tf.round(values / scale) * scale
