"""Write a generator as TFLite and run it as a device would, with LiteRT.

The batch is a static one: a dynamic batch takes transposed convolutions away from XNNPACK, and browsers refuse it. Only
builtin ops are allowed, since what is missing would otherwise become a Flex op and fail on the device alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import tensorflow as tf

from genexport import quiet
from genexport.compare import parity
from genexport.compare.parity import Limits
from genexport.errors import CannotBeMade, ExportError
from genexport.generator import layer_names
from genexport.generator.load import Generator
from genexport.progress import Progress
from genexport.savedmodel import saved_model, signatures
from genexport.tflite import dynamic, float16, kept_floats, metadata, ops, quantize, subpixel


class Loaded(Protocol):
    """A Keras model and the file that it is from."""

    @property
    def model(self) -> Any:
        """The Keras model."""

    @property
    def path(self) -> Path:
        """Its file."""


VARIANTS: tuple[str, ...] = ("float32", "float16", "dynamic", "int8", "micro")
"""float16: weights of half the size. dynamic: weights in int8. int8: activations too, float32 latents in and uint8
pixels out. micro: the same with int8 in and out, as microcontrollers want it."""

INTEGERS = {"int8": (tf.float32, tf.uint8, 0), "micro": (tf.int8, tf.int8, -128)}
"""Variant → the types of latents and images, and which integer is black."""

TRUNCATIONS = (1.25, 1.5, 2.0)
"""Factors on the latents past 1 that integer files are tried with."""

FEW = 16
HEADROOM_DB = 1.0  # what 16 images may flatter


def convert(
    generator: Generator,
    name: str,
    report: Callable[[str], None] = lambda _: None,
    limits: Limits | None = None,
    target: str = "cpu",
) -> dict[str, bytes]:
    """Variant → the bytes of its TFLite file, with one signature, `generate`, and `metadata.describe` in it.

    The same generator gives the same bytes. Arguments and errors are those of `Converter`.
    """
    with Converter(generator, name, report, limits or Limits(), target) as converter:
        files = {}
        for variant in VARIANTS:
            if variant != "micro":
                report("TFLite int8 and micro" if variant == "int8" else f"TFLite {variant}")
            files[variant] = converter.make(variant)
        return files


class Converter:
    """Makes the TFLite files of a generator, one at a time; what two of them have in common is made once.

    `with Converter(…) as converter: converter.make("int8")`.
    """

    def __init__(
        self, generator: Generator, name: str, report: Callable[[str], None], limits: Limits, target: str = "cpu"
    ) -> None:
        """Prepare.

        Args:
            generator: from `genexport.generator.load`.
            name: the model's, for the metadata.
            report: called with a line of progress where it takes long, and with what stays in float32.
            limits: what the files may differ by: where one could be past it, a better one is tried.
            target: one of `options.TARGETS`.
        """
        self.generator, self.name, self.report, self.limits, self.target = generator, name, report, limits, target
        self._made: dict[str, bytes] = {}
        self._saved: dict[tuple[str, ...], Path] = {}
        self._calibrated: dict[tuple[str, ...], bytes] = {}

    def __enter__(self) -> Converter:
        self._folder = tempfile.TemporaryDirectory()
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def make(self, variant: str) -> bytes:
        """The file of a variant.

        Raises:
            CannotBeMade: the generator needs ops that TFLite has not, or that have no such form; the message names them
                and the layers they come from.
        """
        content = self._make(variant)
        self._try(variant, content)
        described = metadata.describe(self.generator, self.name, variant)
        if variant in INTEGERS and "latents" in described:
            described["latents"]["truncation_at_most"] = self._truncation(content)
        return metadata.add(content, described)

    def _try(self, variant: str, content: bytes) -> None:
        """Run it once, so that what LiteRT refuses is reported by layer."""
        try:
            _run_bytes(content, self._some(np.arange(1)))
        except CannotBeMade as error:
            op, layer = ops.failed_op(content, str(error), self.generator.model)
            if not op:
                raise
            of_layer = f"of layer {layer}, " if layer else ""
            raise CannotBeMade(f"LiteRT has no {variant} kernel for {op}, {of_layer}as it is used there") from error

    def _make(self, variant: str) -> bytes:
        if variant not in self._made:
            making = {"float16": self._float16, "dynamic": self._dynamic}.get(variant, partial(self._plain, variant))
            self._made[variant] = making()
        return self._made[variant]

    def _plain(self, variant: str) -> bytes:
        return self._in_integers(variant) if variant in INTEGERS else self._from_floats(variant)

    def _float16(self) -> bytes:
        """Where it would be past the limit, the weights that cause it are in float32."""
        float32 = self._make("float32")
        progress = Progress(self.report, "TFLite float16: looking for weights that have to stay in float32")

        def errors(content: bytes, rows: Any) -> Any:
            images, expected = self._images(content, rows)
            return np.abs(images - expected).max(axis=tuple(range(1, images.ndim)))

        half = self._from_floats("float16")
        content, in_float32 = float16.within(
            half, float32, errors, self.generator.compared, self.limits.float16, progress
        )
        if in_float32:
            layers = dict.fromkeys(layer_names.find(self.generator.model, name) or name for name in in_float32)
            note = f"weights of {', '.join(layers)} stay in float32: in float16 they move pixels past the limit"
            self.report(f"TFLite float16: {note}")
        return content

    def _dynamic(self) -> bytes:
        """One scale for the weights of a dense layer, which any runtime knows; one a channel where that is too few."""
        content = self._from_floats("dynamic", one_scale=True)
        made, expected = self._images(content, self._few)
        if (parity.compare(made, expected).psnr_db or np.inf) >= self.limits.dynamic_db + HEADROOM_DB:
            return content
        return self._restored(self._from_floats("dynamic"))

    def _restored(self, content: bytes) -> bytes:
        """A dynamic file that starts from pictures: where it would be past the limit, the worst weights are float32."""
        if not any(tensor.role == "image" for tensor in self.generator.inputs):
            return content
        made, expected = self._images(content, np.arange(self.generator.compared))
        if (parity.compare(made, expected).psnr_db or np.inf) >= self.limits.dynamic_db:
            return content
        worst = np.argsort(np.square(made - expected).mean(axis=tuple(range(1, made.ndim))))[-FEW:]
        enough, float32 = self.limits.dynamic_db, self._make("float32")

        def decibels(content: bytes) -> float:
            return parity.compare(*self._images(content, worst)).psnr_db or np.inf

        progress = Progress(self.report, "TFLite dynamic: looking for weights that have to stay in float32")
        weights = {name: [name] for name in dynamic.in_int8(content, float32)}
        make = partial(dynamic.restored, content, float32)
        file, kept = kept_floats.within(weights, make, decibels, enough, progress)
        if file is None:
            return content
        layers = dict.fromkeys(layer_names.find(self.generator.model, name) or name for name in kept)
        self.report(f"TFLite dynamic: {', '.join(layers)} stay in float32: in integers the images are past the limit")
        return file

    def _images(self, content: bytes, rows: Any) -> tuple[Any, Any]:
        """A file's images of some of the examples, and Keras'."""
        return _run_bytes(content, self._some(rows)), self._expected[rows]

    @property
    def _few(self) -> Any:
        return np.arange(min(FEW, self.generator.compared))

    def _some(self, rows: Any) -> dict[str, Any]:
        return {role: values[rows] for role, values in self._inputs.items()}

    @cached_property
    def _inputs(self) -> dict[str, Any]:
        return {role: np.asarray(values) for role, values in self.generator.examples(self.generator.compared).items()}

    @cached_property
    def _expected(self) -> Any:
        return self.generator.many(self._inputs)

    def _truncation(self, content: bytes) -> float:
        """Up to which factor on the latents an integer file keeps its limit; it was calibrated with 1."""
        inputs, reached = self._some(self._few), 1.0
        for factor in TRUNCATIONS:
            wider = {**inputs, "latents": inputs["latents"] * np.float32(factor)}
            difference = parity.compare(_run_bytes(content, wider), self.generator.many(wider))
            if not (difference.psnr_db or np.inf) >= self.limits.int8_db:
                break
            reached = factor
        return reached

    def _faster(self, variant: str) -> AbstractContextManager[list[str]]:
        return subpixel.faster(self.generator, variant) if self.target == "cpu" else nullcontext([])

    def _from_floats(self, variant: str, one_scale: bool = False) -> bytes:
        """Variants whose activations are float32."""
        with self._faster(variant) as rewritten:
            place = self._saved.get(tuple(rewritten))
            if place is None:
                place = Path(self._folder.name) / str(len(self._saved))
                saved_model.write({"generate": signatures.on_device(self.generator)}, place)
                self._saved[tuple(rewritten)] = place
        converter = converter_of(place, variant)
        converter._experimental_disable_per_channel_quantization_for_dense_layers = one_scale
        return carefully(self.generator, variant, converter.convert)

    def _in_integers(self, variant: str) -> bytes:
        """Variants whose activations are int8."""
        inputs, outputs, zero = INTEGERS[variant]
        if loop := ops.loop(self._make("float32"), self.generator.model):
            raise CannotBeMade(f"loops cannot be quantized: {loop}")  # TensorFlow's calibrator ends the process there
        with self._faster(variant) as rewritten:
            calibrated = self._calibrated.get(tuple(rewritten))
            if calibrated is None:
                calibrated = carefully(self.generator, variant, partial(quantize.calibrate, self.generator))
                self._calibrated[tuple(rewritten)] = calibrated
        make = partial(quantize.quantize, calibrated, inputs, outputs)
        content = carefully(self.generator, variant, make)
        if variant == "int8" and any(tensor.role == "image" for tensor in self.generator.inputs):
            content = self._near_enough(content, quantize.by_layer(calibrated, self.generator.model), make)
        quantize.check_pixels(self.generator.path, content, (1 / 255, zero))
        return content

    def _near_enough(
        self, whole: bytes, layers: Mapping[str, Sequence[str]], make: Callable[[Sequence[str]], bytes]
    ) -> bytes:
        """An int8 file that starts from pictures: where it would be past the limit, the worst layers are in float32."""

        def decibels(content: bytes) -> float:
            return parity.compare(*self._images(content, self._few)).psnr_db or np.inf

        enough = self.limits.int8_db + HEADROOM_DB
        if decibels(whole) >= enough:
            return whole
        progress = Progress(self.report, "TFLite int8: looking for layers that have to stay in float32")
        with quiet.stderr():
            content, kept = kept_floats.within(layers, make, decibels, enough, progress)
        if content is None:
            return whole
        self.report(f"TFLite int8: {', '.join(kept)} stay in float32: in integers the images are past the limit")
        return content


def run(
    file: Path,
    inputs: Mapping[str, Any],
    progress: Progress | None = None,
    signature: str = "generate",
    output: str = "",
) -> np.ndarray[Any, Any]:
    """Results one after the other, of the inputs that the file knows: images float32 (N, H, W, C) or clips in [0, 1].

    Integers that stand for floats are scaled on the way in and out, as the file says. `output` is the one that is
    meant, of several.

    Raises:
        CannotBeMade: LiteRT refuses the file.
    """
    progress = progress or Progress.none()
    try:
        generate = _interpreter(file).get_signature_runner(signature)
        feeds = {name: _quantized(inputs[name], details) for name, details in generate.get_input_details().items()}
        output = output or next(iter(generate.get_output_details()))
        images = [
            generate(**{name: values[i : i + 1] for name, values in feeds.items()})[output]
            for i in progress.over(range(len(next(iter(feeds.values())))))
        ]
        scale, zero = generate.get_output_details()[output]["quantization"]
    except (RuntimeError, ValueError, KeyError) as error:
        raise CannotBeMade(f"{file.name}: LiteRT cannot run it: {' '.join(str(error).split())}") from error
    outputs = np.concatenate(images)
    return (
        outputs
        if outputs.dtype == np.float32 or not scale
        else (np.float32(scale) * (outputs.astype(np.float32) - zero))
    )


def _run_bytes(content: bytes, inputs: Mapping[str, Any]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "generator.tflite"
        file.write_bytes(content)
        return run(file, inputs)


def converter_of(folder: Path, variant: str, signature: str = "generate") -> Any:
    """TensorFlow's converter for a signature of a SavedModel, to a variant whose activations are float32."""
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[signature])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if variant != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if variant == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converter


def carefully(model: Loaded, variant: str, work: Callable[[], bytes]) -> bytes:
    """What a conversion gives.

    Raises:
        CannotBeMade: it fails; the message names the ops that TFLite lacks and their layers.
    """
    failure = None
    with quiet.stderr():
        try:
            return work()
        except ExportError:
            raise
        except Exception as error:  # the converter's own error class is private
            failure = error
    raise CannotBeMade(f"{model.path}: no TFLite {variant} file: {_reason(model, failure)}") from failure


def _quantized(values: Any, details: dict[str, Any]) -> np.ndarray[Any, Any]:
    values = np.asarray(values)
    if details["dtype"] not in (np.int8, np.uint8) or np.issubdtype(values.dtype, np.integer):
        return values.astype(details["dtype"])
    scale, zero = details["quantization"]
    limits = np.iinfo(details["dtype"])
    return np.clip(np.round(values / scale) + zero, limits.min, limits.max).astype(details["dtype"])


def _interpreter(file: Path) -> Any:
    with quiet.stderr():
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(model_path=str(file), num_threads=1)
        interpreter.allocate_tensors()
    return interpreter


def _reason(model: Loaded, error: Exception) -> str:
    """The ops that TFLite lacks and the layers they come from; else the first line of what the converter says."""
    lacking = {}
    for one in getattr(error, "errors", []):
        node = next((call.name for call in one.location.call if call.name), "")
        if one.operator.name:
            lacking[one.operator.name] = layer_names.find(model.model, node)
    if lacking:
        ops = "; ".join(f"{op}, of layer {layer}" if layer else op for op, layer in lacking.items())
        return (
            f"TFLite has no builtin op for {ops}; build it from layers such as Conv2D, Dense, BatchNormalization, ReLU"
        )
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300] if lines else type(error).__name__
