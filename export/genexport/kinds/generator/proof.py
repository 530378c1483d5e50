"""Run everything in a version and compare it with Keras: the SavedModel, each TFLite file, the ONNX file.

What a version is published by, and what `genexport verify` repeats.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from genexport import onnx
from genexport.compare import parity
from genexport.compare.frechet import Features
from genexport.compare.parity import Difference, Limits
from genexport.errors import ExportError
from genexport.generator.load import Generator
from genexport.options import FILES
from genexport.progress import Progress
from genexport.savedmodel import signatures
from genexport.savedmodel.saved_model import ServingSession
from genexport.tflite import convert

GRID_COLUMNS = 16

# Those in which a layer's numbers are rounded, so that one of them can lose most of the accuracy.
ROUNDED = ("float16", "dynamic", "int8", "micro")

Images = np.ndarray[Any, Any]


def reference(generator: Generator, count: int) -> tuple[dict[str, Any], Images]:
    """Values by name for the seeds 0 to count − 1, and Keras' images of them, float32 in [0, 1]."""
    inputs = {name: np.asarray(values) for name, values in signatures.examples(generator, count).items()}
    return inputs, generator.many(inputs)


@dataclass
class Proof:
    """Compares what is in a version's folder with Keras' images, one artifact after the other.

    Attributes:
        folder: of the version.
        name: the model's.
        inputs: name → values, as many as `expected`, of which `roles.requests.fit` makes every signature's inputs.
        expected: Keras' images, float32 (N, H, W, C), or clips, in [0, 1]; the first 256 are compared pixel by pixel.
        limits: what may differ.
        features: the net for the rise of the Fréchet distance, of all N images.
        worst_layer: TFLite variant → the layer that loses most, named in the message where a limit is exceeded.
        report: called with a line of progress where it takes long.
        rows: of what was compared so far: caption → the first 16 images, for the contact sheet.
        differences: artifact, as `parity` in the manifest names it → its difference from Keras.
    """

    folder: Path
    name: str
    inputs: Mapping[str, Images]
    expected: Images
    limits: Limits
    features: Features | None = None
    worst_layer: Callable[[str], str] | None = None
    report: Callable[[str], None] = lambda _: None
    rows: dict[str, Images] = field(default_factory=dict)
    differences: dict[str, Difference] = field(default_factory=dict)

    def savedmodel(self) -> None:
        """All signatures of the SavedModel; those other than the first on 256 examples.

        Raises:
            ExportError: past its limit.
        """
        inputs = {key: values[: parity.EXAMPLES] for key, values in self.inputs.items()}
        with ServingSession(self.folder) as served:
            self._check("savedmodel", served.run_all("serving_default", self.inputs))
            for signature in sorted(served.signatures.keys() - {"serving_default"}):
                if {"tokens", "latents"} & set(served.signatures[signature].outputs):
                    continue  # no images; those of `text` are made by the same tables, and inverted.py does the rest
                outputs = served.run_all(signature, inputs)
                pixels = decode_pngs(outputs) if outputs.dtype == object else outputs
                self._check(f"savedmodel/{signature}", (pixels / 255.0).astype(np.float32))

    def file(self, kind: str) -> None:
        """One of `options.FILES`.

        Raises:
            CannotBeMade: LiteRT or ONNX Runtime refuses it, or it holds no more of the pictures than noise.
            ExportError: past its limit.
        """
        what, place = artifact(kind), file_of(self.folder, self.name, kind)
        progress = Progress(self.report, what)
        self._check(what, (onnx if kind == "onnx" else convert).run(place, self.inputs, progress))

    def _check(self, what: str, images: Images) -> None:
        compared = images[: parity.EXAMPLES]
        difference = parity.compare(compared, self.expected[: len(compared)])
        if self.features and len(images) == len(self.expected):
            difference = replace(difference, frechet_rise=self.features.rise(images, self.expected))
        limit, variant = self.limits.of(what), what.partition("/")[2]
        if variant in convert.INTEGERS:
            parity.check_spread(what, difference, self.limits.int8_spread)
        try:
            parity.check(what, difference, limit)
        except ExportError as error:
            layer = f"; {self.worst_layer(variant)}" if self.worst_layer and variant in ROUNDED else ""
            raise PastLimit(f"{error}{layer}", parity.remedy(what, difference, limit)) from error
        self.differences[what] = difference
        if caption := _caption(what):
            self.rows[caption] = images[:GRID_COLUMNS]


class PastLimit(ExportError):
    """A difference is past its limit; `remedy` is the option that accepts it, or nothing."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


def prove(folder: Path, name: str, inputs: Mapping[str, Images], expected: Images, limits: Limits) -> Proof:
    """Compare everything in a version's folder with `expected`; arguments and errors are those of `Proof`."""
    proof = Proof(folder, name, inputs, expected, limits)
    proof.savedmodel()
    for kind in FILES:
        if file_of(folder, name, kind).exists() and not (kind == "onnx" and onnx.missing()):
            proof.file(kind)
    return proof


def artifact(kind: str) -> str:
    """One of `options.FILES` as `parity` in the manifest names it."""
    return "onnx/float32" if kind == "onnx" else f"tflite/{kind}"


def file_of(folder: Path, name: str, kind: str) -> Path:
    """Where one of `options.FILES` lies in a version of the model `name`."""
    return folder / onnx.place(name) if kind == "onnx" else tflite_file(folder, name, kind)


def tflite_file(folder: Path, name: str, variant: str) -> Path:
    """Where a variant lies in a version of the model `name`."""
    return folder / "tflite" / f"{name}-{variant}.tflite"


def decode_pngs(files: Images) -> Images:
    """PNG files (N,) or (N, T) → uint8 with (H, W, C) behind that."""
    pictures = np.stack([decode_png(data) for data in files.ravel()])
    return pictures.reshape(*files.shape, *pictures.shape[1:])


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
