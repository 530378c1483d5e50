"""Integers for a generator: activations are watched on latents of seeds, then weights and activations become int8.

TensorFlow's converter does this in two halves, calibration and quantization, and so does this file, as TensorFlow's own
QuantizationDebugger does. Between the halves stand the ranges of every tensor, and two of them are known better than
any sample tells: pixels lie in [0, 1], so that a byte out of the file is a pixel; and latents get steps of 1/32 up to
±4, so that a microcontroller quantizes by a shift. On the digits that gives 39.2 dB, with ±4.5 38.6, ±5 37.9, ±3 36.6.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from ai_edge_litert.tools import flatbuffer_utils

from genexport import quiet
from genexport.errors import CannotBeMade
from genexport.generator import layer_names
from genexport.generator.load import Generator
from genexport.roles import ROLES
from genexport.roles.role import Steps
from genexport.savedmodel import saved_model, signatures

IMAGES_RANGE = (0.0, 1.0)  # as uint8: scale 1/255, zero point 0

MOVES = (
    "RESHAPE",
    "TRANSPOSE",
    "DEPTH_TO_SPACE",
    "SPACE_TO_DEPTH",
    "PAD",
    "RESIZE_NEAREST_NEIGHBOR",
    "RESIZE_BILINEAR",
    "STRIDED_SLICE",
    "SLICE",
)
"""Ops whose output has the scale of their input."""


def calibrate(generator: Generator) -> bytes:
    """The float32 file with the range of every tensor in it, from 200 seeds and labels in turn, or 64 pictures.

    Raises:
        whatever the converter raises, for `tflite.convert` to put into words.
    """

    def generate(*values: tf.Tensor) -> dict[str, tf.Tensor]:
        # Always ends in an op whose output range is free: a sigmoid's is fixed at 1/256, which is no pixel's.
        return {generator.output: tf.nn.relu(generator.uncut(*values))}

    inputs = {role: np.asarray(values) for role, values in generator.calibration().items()}
    signature = signatures.on_device(generator)._replace(function=generate)
    return _with_known_ranges(watched("generate", signature, inputs), generator)


def watched(name: str, signature: signatures.Signature, inputs: Mapping[str, Any]) -> bytes:
    """A signature's float32 file, with the range in it that every tensor has for these inputs, (N, …) each."""

    def examples() -> Iterator[dict[str, Any]]:
        for i in range(len(next(iter(inputs.values())))):
            yield {role: values[i : i + 1] for role, values in inputs.items()}

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own calibrator uses the deprecated interpreter
        saved_model.write({name: signature}, Path(folder))
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[name])
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = examples
        converter._experimental_calibrate_only = True
        return bytes(converter.convert())


def quantize(calibrated: bytes, inputs: Any, outputs: Any, keep_float: Sequence[str] = ()) -> bytes:
    """A file in int8 from one of `calibrate`.

    Args:
        calibrated: from `calibrate`.
        inputs: the type of inputs that are floats, such as latents: tf.float32, tf.int8 or tf.uint8.
        outputs: the type of images, one of the same.
        keep_float: output tensors of ops that stay in float32, by name.
    """
    from tensorflow.lite.python.convert import mlir_quantize

    # The quantizer gives ONE_HOT's result another scale than its values have (2.21), so that a class reads as 3.6.
    apart = [*keep_float, *_outputs_of(calibrated, "ONE_HOT")]
    return bytes(
        mlir_quantize(calibrated, input_data_type=inputs, output_data_type=outputs, denylisted_nodes=apart or None)
    )


def check_pixels(path: Path, content: bytes, expected: tuple[float, int]) -> None:
    """Raise CannotBeMade unless a file's images have this scale and zero point, so that its integers are pixels."""
    with quiet.stderr():
        from ai_edge_litert.interpreter import Interpreter

        (images,) = Interpreter(model_content=content).get_output_details()
    scale, zero = images["quantization"]
    if abs(scale - expected[0]) > 1e-9 or zero != expected[1]:
        raise CannotBeMade(
            f"{path}: pixels of the int8 file have scale {scale:.6g} and zero point {zero}, expected 1/255 and "
            f"{expected[1]}: end the generator in a tanh or sigmoid"
        )


def _with_known_ranges(calibrated: bytes, generator: Generator) -> bytes:
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(calibrated))
    (graph,) = model.subgraphs
    names = {entry.name.decode(): entry.tensorIndex for entry in model.signatureDefs[0].inputs}
    known = [(_pixels(model), IMAGES_RANGE)]
    for tensor in generator.inputs:
        if steps := ROLES[tensor.role].steps:
            known.append((_same_values(model, names[tensor.role], steps), steps.range))
    for indices, (low, high) in known:
        for i in indices:
            graph.tensors[i].quantization.min = np.array([low], np.float32)
            graph.tensors[i].quantization.max = np.array([high], np.float32)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def _same_values(model: Any, tensor: int, steps: Steps) -> list[int]:
    """An input and what holds it in another order or beside no greater values: they share one scale."""
    (graph,) = model.subgraphs
    tensors = [tensor]
    for op in graph.operators:
        kind = flatbuffer_utils.opcode_to_name(model, op.opcodeIndex)
        if kind in (*MOVES, "CONCATENATION") and tensors[-1] in op.inputs:
            observed = graph.tensors[op.outputs[0]].quantization
            if max(-observed.min[0], observed.max[0]) < steps.seen:
                tensors.append(op.outputs[0])
    return tensors


def _pixels(model: Any) -> list[int]:
    """The output tensor and those before it that hold the same values in another order: they share one scale."""
    (graph,) = model.subgraphs
    maker = {output: op for op in graph.operators for output in op.outputs}
    pixels = [graph.outputs[0]]
    while (op := maker.get(pixels[-1])) is not None:
        if flatbuffer_utils.opcode_to_name(model, op.opcodeIndex) not in MOVES:
            break
        pixels.append(op.inputs[0])
    return pixels


def op_outputs(calibrated: bytes) -> list[str]:
    """The names of what the ops of a file of `calibrate` put out, in order; `quantize` takes them in `keep_float`."""
    return _outputs_of(calibrated, None)


def by_layer(calibrated: bytes, model: Any) -> dict[str, list[str]]:
    """The same by the layer of a Keras model that they come from, in order."""
    layers: dict[str, list[str]] = {}
    layer = "the inputs' rounding"
    for name in op_outputs(calibrated):  # ops of no layer, such as the scaling to [0, 1], go with the layer before them
        layer = layer_names.find(model, name) or layer
        layers.setdefault(layer, []).append(name)
    return layers


def _outputs_of(calibrated: bytes, kind: str | None) -> list[str]:
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(calibrated))
    (graph,) = model.subgraphs
    ops = [op for op in graph.operators if kind in (None, flatbuffer_utils.opcode_to_name(model, op.opcodeIndex))]
    return [graph.tensors[i].name.decode() for op in ops for i in op.outputs]
