"""Write a generator as TFLite and run it as a device would, with LiteRT.

The batch is a static one: a dynamic batch takes transposed convolutions away from XNNPACK, and browsers refuse it. Only
builtin ops are allowed, since what is missing would otherwise become a Flex op and fail on the device alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from genexport import float16, keras_names, metadata, parity, quantise, quiet, savedmodel, signatures, subpixel
from genexport.errors import ExportError
from genexport.generator import Generator

VARIANTS: tuple[str, ...] = ("float32", "float16", "dynamic", "int8", "micro")
"""float16: weights of half the size. dynamic: weights in int8. int8: activations too, float32 latents in and uint8
pixels out. micro: the same with int8 in and out, as microcontrollers want it."""


def convert(generator: Generator, name: str, tell: Callable[[str], None] = lambda _: None) -> dict[str, bytes]:
    """Variant → the bytes of its TFLite file, with one signature, `generate`, and `metadata.describe` in it.

    The same generator gives the same bytes.

    Args:
        generator: from `genexport.generator.load`.
        name: the model's, for the metadata.
        tell: called with what is being done.

    Raises:
        ExportError: the generator needs ops that TFLite has not; the message names them and the layers they come from.
    """
    files = {**_from_floats(generator, tell), **_in_integers(generator, tell)}
    files["float16"] = _near_enough(generator, files, tell)
    return {variant: metadata.add(files[variant], metadata.describe(generator, name, variant)) for variant in VARIANTS}


def run(file: Path, inputs: tuple[Any, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Images of (latents,) or (latents, labels), one row after the other; float32 (N, H, W, C) in [0, 1].

    Integers are scaled on the way in and out, as the file says.

    Raises:
        ExportError: LiteRT refuses the file.
    """
    try:
        generate = _interpreter(file).get_signature_runner("generate")
        wanted = generate.get_input_details()
        names = ("latents", "labels")[: len(inputs)]
        given = {name: _quantised(values, wanted[name]) for name, values in zip(names, inputs, strict=True)}
        images = [
            generate(**{name: values[i : i + 1] for name, values in given.items()})["images"]
            for i in range(len(given["latents"]))
        ]
        scale, zero = generate.get_output_details()["images"]["quantization"]
    except (RuntimeError, ValueError, KeyError) as error:
        raise ExportError(f"{file.name}: LiteRT cannot run it: {' '.join(str(error).split())}") from error
    made = np.concatenate(images)
    return made if made.dtype == np.float32 else (np.float32(scale) * (made.astype(np.float32) - zero))


def _from_floats(generator: Generator, tell: Callable[[str], None]) -> dict[str, bytes]:
    """The variants whose activations are float32."""
    files: dict[str, bytes] = {}
    written = None
    with tempfile.TemporaryDirectory() as folder:
        for alike in (subpixel.FLOATS, ("dynamic",)):
            with subpixel.faster(generator, alike[0]) as rewritten:
                if rewritten != written:
                    place = Path(folder) / alike[0]
                    savedmodel.write({"generate": signatures.on_device(generator)}, place)
                    written = rewritten
            for variant in alike:
                tell(f"TFLite {variant}")
                files[variant] = _convert(generator, variant, _converter(place, variant).convert)
    return files


def _near_enough(generator: Generator, files: dict[str, bytes], tell: Callable[[str], None]) -> bytes:
    """The float16 file; where it would be past the usual limit, with the weights to blame in float32."""
    inputs = tuple(np.asarray(values) for values in generator.examples(parity.EXAMPLES))
    expected = np.concatenate([np.asarray(generator.images(*rows)) for rows in _pieces(inputs)])

    def error(content: bytes) -> float:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "float16.tflite"
            file.write_bytes(content)
            return parity.compare(run(file, inputs), expected).max_error

    content, kept = float16.within(files["float16"], files["float32"], error, parity.Limits().float16)
    if kept:
        layers = dict.fromkeys(keras_names.find(generator.model, name) or name for name in kept)
        tell(f"TFLite float16: weights of {', '.join(layers)} stay in float32, else pixels would be off by more")
    return content


def _pieces(inputs: tuple[Any, ...], rows: int = 64) -> Iterator[tuple[Any, ...]]:
    for start in range(0, len(inputs[0]), rows):
        yield tuple(tf.constant(values[start : start + rows]) for values in inputs)


def _in_integers(generator: Generator, tell: Callable[[str], None]) -> dict[str, bytes]:
    """The variants whose activations are int8."""
    tell("TFLite int8 and micro")
    files: dict[str, bytes] = {}
    watched = None
    for variant, inputs, outputs, zero in (("int8", tf.float32, tf.uint8, 0), ("micro", tf.int8, tf.int8, -128)):
        with subpixel.faster(generator, variant) as rewritten:
            if rewritten != watched:
                calibrated = _convert(generator, variant, partial(quantise.calibrate, generator))
                watched = rewritten
        content = _convert(generator, variant, partial(quantise.quantise, calibrated, inputs, outputs))
        quantise.check_pixels(generator.path, content, (1 / 255, zero))
        files[variant] = content
    return files


def _converter(folder: Path, variant: str) -> Any:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=["generate"])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if variant != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter


def _convert(generator: Generator, variant: str, work: Callable[[], bytes]) -> bytes:
    failure = None
    with quiet.stderr():
        try:
            return work()
        except ExportError:
            raise
        except Exception as error:  # the converter's own error class is private
            failure = error
    raise ExportError(f"{generator.path}: no TFLite {variant} file: {_reason(generator, failure)}") from failure


def _quantised(values: Any, wanted: dict[str, Any]) -> np.ndarray[Any, Any]:
    values = np.asarray(values)
    if wanted["dtype"] not in (np.int8, np.uint8) or np.issubdtype(values.dtype, np.integer):
        return values.astype(wanted["dtype"])
    scale, zero = wanted["quantization"]
    limits = np.iinfo(wanted["dtype"])
    return np.clip(np.round(values / scale) + zero, limits.min, limits.max).astype(wanted["dtype"])


def _interpreter(file: Path) -> Any:
    with quiet.stderr():
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(file), num_threads=1)
        interpreter.allocate_tensors()
    return interpreter


def _reason(generator: Generator, error: Exception) -> str:
    """The ops that TFLite lacks and the layers they come from; else the first line of what the converter says."""
    lacking = {}
    for one in getattr(error, "errors", []):
        node = next((call.name for call in one.location.call if call.name), "")
        if one.operator.name:
            lacking[one.operator.name] = keras_names.find(generator.model, node)
    if lacking:
        ops = "; ".join(f"{op}, of layer {layer}" if layer else op for op, layer in lacking.items())
        return (
            f"TFLite has no builtin op for {ops}; build it from layers such as Conv2D, Dense, BatchNormalization, ReLU"
        )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
