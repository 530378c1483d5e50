"""Run everything in a version and compare it with Keras: the SavedModel, each TFLite file, the ONNX file.

What a version is published by, and what `genexport verify` repeats.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from genexport import onnx, parity, signatures, tflite
from genexport.errors import ExportError
from genexport.frechet import Features
from genexport.generator import Generator
from genexport.parity import Difference, Limits
from genexport.savedmodel import ServingSession

SHEET_COLUMNS = 16

# Those in which a layer's numbers are rounded, so that one of them can be to blame.
ROUNDED = ("float16", "dynamic", "int8", "micro")

Images = np.ndarray[Any, Any]


@dataclass
class Proof:
    """What was found.

    Attributes:
        rows: caption → the first 16 images, for the contact sheet.
        differences: artifact, as `parity` in the manifest names it → its difference from Keras.
    """

    rows: dict[str, Images] = field(default_factory=dict)
    differences: dict[str, Difference] = field(default_factory=dict)


def reference(generator: Generator, count: int) -> tuple[dict[str, Any], Images]:
    """Values of all inputs for the seeds 0 to count − 1, and Keras' images of them, float32 in [0, 1]."""
    inputs = {name: np.asarray(values) for name, values in signatures.examples(generator, count).items()}
    arguments = [inputs[name] for name in ("latents", "labels") if name in inputs]
    call = tf.function(generator.images, reduce_retracing=True)
    pieces = [call(*(tf.constant(values[i : i + 64]) for values in arguments)) for i in range(0, count, 64)]
    return inputs, np.concatenate([np.asarray(piece) for piece in pieces])


def prove(
    folder: Path,
    name: str,
    inputs: Mapping[str, Images],
    expected: Images,
    limits: Limits,
    features: Features | None = None,
    blame: Callable[[str], str] | None = None,
) -> Proof:
    """Compare everything in a version's folder with `expected`.

    Args:
        folder: of the version.
        name: the model's.
        inputs: input name → values, as many rows as `expected`.
        expected: Keras' images, float32 (N, H, W, C) in [0, 1]; the first 256 are compared pixel by pixel.
        limits: what may differ.
        features: the net for the rise of the Fréchet distance, of all N images.
        blame: TFLite variant → the layer that loses most, to be told with a limit that is broken.

    Raises:
        ExportError: something cannot be run, or is past its limit.
    """
    proof = Proof()
    for what, images in _images(folder, name, inputs):
        compared = images[: parity.EXAMPLES]
        difference = parity.compare(compared, expected[: len(compared)])
        if features and len(images) == len(expected):
            difference = replace(difference, frechet_rise=features.rise(images, expected))
        proof.differences[what] = difference
        try:
            parity.check(what, difference, limits.of(what))
        except ExportError as error:
            variant = what.removeprefix("tflite/")
            layer = blame(variant) if blame and variant in ROUNDED else ""
            raise ExportError(f"{error}; {layer}" if layer else str(error)) from error
        if caption := _caption(what):
            proof.rows[caption] = images[:SHEET_COLUMNS]
    return proof


def _images(folder: Path, name: str, inputs: Mapping[str, Images]) -> Iterator[tuple[str, Images]]:
    """Artifact → its images, float32 in [0, 1]; of signatures other than the first those of 256 examples."""
    few = {key: values[: parity.EXAMPLES] for key, values in inputs.items()}
    with ServingSession(folder) as served:
        yield "savedmodel", served.run_all("serving_default", inputs)
        for signature in sorted(served.signatures.keys() - {"serving_default"}):
            found = served.run_all(signature, few)
            pixels = np.stack([decode_png(data) for data in found]) if found.dtype == object else found
            yield f"savedmodel/{signature}", (pixels / 255.0).astype(np.float32)
    arguments = tuple(inputs[key] for key in ("latents", "labels") if key in inputs)
    for variant in tflite.VARIANTS:
        file = tflite_file(folder, name, variant)
        if file.exists():
            yield f"tflite/{variant}", tflite.run(file, arguments)
    file = folder / onnx.place(name)
    if file.exists() and not onnx.missing():
        yield "onnx/float32", onnx.run(file, arguments)


def tflite_file(folder: Path, name: str, variant: str) -> Path:
    """Where a variant lies in a version of the model `name`."""
    return folder / "tflite" / f"{name}-{variant}.tflite"


def decode_png(data: bytes) -> Images:
    """PNG → uint8 (H, W, C)."""
    pixels = np.asarray(Image.open(io.BytesIO(data)))
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _caption(what: str) -> str:
    """The row of the contact sheet; none for the SavedModel's further signatures."""
    folder, _, variant = what.partition("/")
    if folder == "savedmodel":
        return "" if variant else "SavedModel"
    return f"{'TFLite' if folder == 'tflite' else 'ONNX'} {variant}"
