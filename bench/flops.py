"""Floating-point operations: what a network needs, and what the machine's matrix multiplication reaches."""

from __future__ import annotations

import math
import time
from typing import Any

from gentrain import quiet
from gentrain.presets import PRESETS

MATRIX = 2048
SECONDS = 2.0


def matrix_peak(kind: str) -> float:
    """Operations a second of TensorFlow's product of two 2048×2048 matrices of a type; the fastest of two seconds'."""
    quiet.import_tensorflow()
    import tensorflow as tf

    factor = tf.cast(tf.random.normal((MATRIX, MATRIX)), kind)
    multiply = tf.function(lambda: tf.matmul(factor, factor)[0, 0])
    multiply().numpy()
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < 3 or time.perf_counter() < end:
        start = time.perf_counter()
        multiply().numpy()
        times.append(time.perf_counter() - start)
    return 2 * MATRIX**3 / min(times)


def operations(preset: str) -> tuple[int, int]:
    """Of one grey 28×28 image forwards through the generator and the discriminator of a preset."""
    quiet.import_tensorflow()
    from gentrain.networks import build_discriminator, build_generator

    settings = PRESETS[preset]()
    generator, discriminator = (build(28, 1, (), settings) for build in (build_generator, build_discriminator))
    return sum(map(_of_layer, generator.layers)), sum(map(_of_layer, discriminator.layers))


def _of_layer(layer: Any) -> int:
    """Two for each weight of a kernel and each place that it is applied at; norms and activations do not count."""
    kernel = getattr(layer, "kernel", None)
    if kernel is None:
        return 0
    places = layer.input.shape if "Transpose" in type(layer).__name__ else layer.output.shape
    return 2 * math.prod(kernel.shape) * math.prod(places[1:-1])
