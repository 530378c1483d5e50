"""Write a generator as TFLite and run it as a device would, with LiteRT.

The batch is a static one: a dynamic batch takes transposed convolutions away from XNNPACK, and browsers refuse it. Only
builtin ops are allowed, since what is missing would otherwise become a Flex op and fail on the device alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from genexport import quiet, savedmodel, signatures
from genexport.errors import ExportError
from genexport.generator import Generator


def _float32(converter: Any) -> None:
    pass


def _dynamic(converter: Any) -> None:
    """Weights in int8, activations in float32: a quarter of the size and several times the speed on CPUs."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]


VARIANTS: dict[str, Callable[[Any], None]] = {"float32": _float32, "dynamic": _dynamic}


def convert(generator: Generator) -> dict[str, bytes]:
    """Variant → the bytes of its TFLite file, with one signature, `generate`.

    Raises:
        ExportError: the generator needs ops that TFLite has not; the message names them.
    """
    files = {}
    with tempfile.TemporaryDirectory() as folder:
        savedmodel.write({"generate": signatures.on_device(generator)}, Path(folder) / "static")
        for variant, set_up in VARIANTS.items():
            converter = tf.lite.TFLiteConverter.from_saved_model(f"{folder}/static", signature_keys=["generate"])
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
            set_up(converter)
            try:
                files[variant] = converter.convert()
            except Exception as error:  # the converter's own error class is private
                raise ExportError(f"{generator.path}: no TFLite {variant} file: {_reason(error)}") from error
    return files


def run(file: Path, inputs: tuple[Any, ...]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Images of (latents,) or (latents, labels), one row after the other; float32 (N, H, W, C).

    Raises:
        ExportError: LiteRT refuses the file.
    """
    names = ["latents", "labels"][: len(inputs)]
    rows = zip(*(np.asarray(values) for values in inputs), strict=True)
    try:
        generate = _interpreter(file).get_signature_runner("generate")
        images = [
            generate(**{name: value[None] for name, value in zip(names, row, strict=True)})["images"] for row in rows
        ]
    except (RuntimeError, ValueError) as error:
        raise ExportError(f"{file.name}: LiteRT cannot run it: {' '.join(str(error).split())}") from error
    return np.concatenate(images)


def _interpreter(file: Path) -> Any:
    with quiet.stderr():
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(file), num_threads=1)
        interpreter.allocate_tensors()
    return interpreter


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    ops = [line for line in lines if line.startswith("tf.") or "custom op" in line.lower()]
    return "; ".join(ops[:5] or lines[:1])
