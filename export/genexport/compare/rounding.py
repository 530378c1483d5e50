"""How far rounding alone moves a generator's pixels: Keras in float32 against the same layers in float64.

Deep or saturated generators carry a rounding of the last bit to some 1e-5 of a pixel, and every processor rounds its
sums in another order; so what a float32 file may differ by is measured on the generator, not fixed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from genexport.generator import rebuild
from genexport.generator.load import Generator

EXAMPLES = 13
TIMES = 6.0
"""How many times the rounding a file may differ by: its own, Keras', and that of sums in another order or folded."""

STEP = 2.0**-23


class _Double(keras.DTypePolicy):
    """Weights stay as they are, float32, and everything is computed in float64."""

    def __init__(self) -> None:
        super().__init__("float64")

    def _parse_name(self, name: str) -> tuple[str, str]:
        return "float64", "float32"


def noise(generator: Generator, inputs: Mapping[str, Any], expected: np.ndarray[Any, Any]) -> float:
    """The greatest difference of a pixel in [0, 1] that comes from computing in float32.

    Args:
        generator: from `genexport.generator.load`.
        inputs: values by role; the first 13 are used.
        expected: Keras' images of them in float32, (N, H, W, C) in [0, 1].
    """
    values = tuple(inputs[tensor.role][:EXAMPLES] for tensor in generator.inputs)
    try:
        with _in_double(generator.model):
            exact = np.asarray(generator.interface.call(*values), np.float64)
    except Exception:  # code of its own that insists on float32
        return _by_shaking(generator, values, expected[:EXAMPLES])
    low, high = generator.output_range
    exact = np.clip((exact - low) / (high - low), 0, 1)
    return float(np.abs(exact - expected[:EXAMPLES]).max())


@contextmanager
def _in_double(model: Any) -> Iterator[None]:
    layers = [layer for layer in model._flatten_layers(include_self=True, recursive=True) if layer.dtype_policy]
    kept = [(layer, layer.dtype_policy) for layer in layers if not isinstance(layer, keras.layers.InputLayer)]
    try:
        for layer, policy in kept:
            if policy.compute_dtype == "float32":
                layer.dtype_policy = _Double()
        yield
    finally:
        for layer, policy in kept:
            layer.dtype_policy = policy


def _by_shaking(generator: Generator, inputs: tuple[Any, ...], expected: np.ndarray[Any, Any]) -> float:
    """What it does to the images that every weight moves by a step of float32, up or down.

    Within a third of what float64 tells, on six generators of very different depth.
    """
    rng = np.random.default_rng(0)
    before = [(weight, np.asarray(weight)) for weight in rebuild.weights_of(generator.model)]
    try:
        for weight, values in before:
            weight.assign(values * (1 + STEP * rng.choice((-1, 1), values.shape)).astype(values.dtype))
        moved = np.asarray(generator.images(*inputs))
    finally:
        for weight, values in before:
            weight.assign(values)
    return float(np.abs(moved - expected).max())
