"""What is computed otherwise for TFLite because devices are then faster: the same images, in int8 many times as fast.

Transposed convolutions become convolutions and a shuffle (`phases`), with the BatchNorm and the ReLU behind them before
the shuffle, where they are folded into the convolution; in int8 the last convolutions, to pixels, work on blocks of
them. Measured with LiteRT 2.3 on one x86 thread, each kind of layer alone: float32 1.0 to 9 times as fast, dynamic 2 to
17, int8 3 to 20. Nothing is changed in the model: within `faster` its layers answer otherwise, which is then traced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from genexport.generator import rebuild
from genexport.generator.layer_hooks import watch
from genexport.generator.load import Generator
from genexport.tflite.phases import LINEAR, RELUS, Head, Transposed, transposed_axis

ROWS = 8
LIMIT = 1e-5
"""Root mean square of what may change in the images, against their spread: sums are taken in another order."""

FLOATS = ("float32", "float16")
WASTE = 1.8
"""How many times the multiplications a transposed convolution may take in float32; in int8 2.6 times paid still."""
HEADS = {3: 32, 5: 64, 7: 64}
"""Kernel size → from how many channels at most a convolution to `FEW_CHANNELS` or fewer is faster on 2×2 pixels."""
FEW_CHANNELS = 4

Replacement = Callable[[Any, Callable[..., Any]], Any]
Call = tuple[Any, tuple[Any, ...], Any]  # operation, inputs, output


@contextmanager
def faster(generator: Generator, variant: str) -> Iterator[list[str]]:
    """Within the block the generator is computed as suits a variant of its TFLite files; gives the layers rewritten.

    Where a model so rewritten gives other images than it did (code of its own may take a layer's output unseen), norms
    stay in their places; where that does not help, everything does.

    Args:
        generator: from `genexport.generator.load`.
        variant: one of `tflite.VARIANTS`.
    """
    for folds in (True, False):
        replacements = _replacements(generator, variant, folds)
        if not replacements or _same_images(generator, replacements):
            break
    else:
        replacements = {}
    with _replaced(replacements):
        yield [layer.name for layer, replacement in replacements.items() if replacement is not _pass_through]


def _pass_through(inputs: Any, run: Callable[..., Any]) -> Any:
    """The answer of a layer whose work is done by one before it."""
    return inputs


def _replacements(generator: Generator, variant: str, folds: bool) -> dict[Any, Replacement]:
    """Layer → what it answers instead."""
    replacements: dict[Any, Replacement] = {}
    calls = _calls(generator)
    for layer, inputs, _ in calls:
        if len(inputs) != 1 or layer in replacements:
            continue
        if _is_transposed(layer, variant):
            norm, relu = _behind(layer, calls) if folds else (None, None)
            replacements[layer] = Transposed(layer, norm, relu)
            replacements.update({done: _pass_through for done in (norm, relu) if done is not None})
        elif _is_head(layer, variant):
            replacements[layer] = Head(layer)
    return replacements


def _is_transposed(layer: Any, variant: str) -> bool:
    if type(layer) is not keras.layers.Conv2DTranspose:
        return False
    (stride, other), kernel = layer.strides, layer.kernel_size
    form = (layer.output_padding, layer.dilation_rate, layer.data_format)
    if form != (None, (1, 1), "channels_last") or stride != other or not 1 < stride <= min(kernel):
        return False
    waste = np.prod([transposed_axis(size, stride, layer.padding == "same").size * stride / size for size in kernel])
    return variant not in FLOATS or waste <= WASTE


def _is_head(layer: Any, variant: str) -> bool:
    if type(layer) is not keras.layers.Conv2D or layer.filters > FEW_CHANNELS:
        return False
    size, other = layer.kernel_size
    form = (layer.strides, layer.padding, layer.dilation_rate, layer.groups, layer.data_format)
    if form != ((1, 1), "same", (1, 1), 1, "channels_last") or size != other or size not in HEADS:
        return False
    if variant == "micro" or (size == 3 and variant in FLOATS):
        return False  # tflite-micro takes 1 to 3 times as long and twice the RAM, float32 a tenth longer
    return bool(layer.kernel.shape[2] <= HEADS[size])


def _behind(layer: Any, calls: list[Call]) -> tuple[Any, Any]:
    """The BatchNorm and the ReLU that alone take what a layer gives; None for what is not there."""
    if layer.activation is not LINEAR:
        return None, None
    norm = relu = _only_user(layer, calls)
    if type(norm) is keras.layers.BatchNormalization and norm.axis in (-1, 3):
        relu = _only_user(norm, calls)
    else:
        norm = None
    fits = type(relu) is keras.layers.ReLU or getattr(relu, "activation", None) in RELUS
    return norm, relu if fits and type(relu) in (keras.layers.ReLU, keras.layers.Activation) else None


def _only_user(layer: Any, calls: list[Call]) -> Any:
    outputs = [output for operation, _, output in calls if operation is layer]
    users = [operation for operation, inputs, _ in calls for given in keras.tree.flatten(inputs) if given is outputs[0]]
    once = len(outputs) == len(users) == 1 and sum(operation is users[0] for operation, _, _ in calls) == 1
    return users[0] if once else None


def _calls(generator: Generator) -> list[Call]:
    """What each innermost layer or keras.ops operation takes and gives when one image is made, in order."""
    calls: list[Call] = []

    def note(operation: Any, run: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
        before = len(calls)
        output = run(*inputs)
        changes = not (inputs and output is inputs[0])  # Dropout hands its inputs on
        if len(calls) == before and changes:
            calls.append((operation, inputs, output))
        return output

    with watch(note):
        generator.images(*generator.examples(1).values())
    return calls


def _same_images(generator: Generator, replacements: dict[Any, Replacement]) -> bool:
    inputs = generator.examples(ROWS).values()
    before = np.asarray(generator.images(*inputs))
    with _replaced(replacements):
        after = np.asarray(generator.images(*inputs))
    return rebuild.change(before, after) <= LIMIT


@contextmanager
def _replaced(replacements: dict[Any, Replacement]) -> Iterator[None]:
    def hook(operation: Any, run: Callable[..., Any], inputs: tuple[Any, ...]) -> Any:
        replacement = replacements.get(operation)
        return replacement(inputs[0], run) if replacement and len(inputs) == 1 else run(*inputs)

    with watch(hook):
        yield
