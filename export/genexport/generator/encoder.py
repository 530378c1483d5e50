"""The encoder of a run's generator (`gentrain encoder`): pictures → the latents, and the class, that draw them.

It counts only beside the very generator that it has learned from; any other one is passed over, and a note says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from genexport.errors import ExportError
from genexport.generator import keras_file
from genexport.generator.layer_hooks import watch
from genexport.generator.load import Generator
from genexport.generator.source import is_run
from genexport.roles import preprocess
from genexport.roles.image import Image
from genexport.roles.tensor import Tensor

FILE, ABOUT = "encoder.keras", "encoder.json"
MEASURED = ("psnr", "floor", "class_kept", "kimg")
"""What the manifest repeats of encoder.json."""

IMAGE = Image()
ARGMAX = type(keras.ops.argmax(keras.Input((2,)), axis=-1)._keras_history.operation)


@dataclass(frozen=True, eq=False)
class Encoder:
    """A Keras model from pictures to what a generator draws them of.

    Attributes:
        model: `image` in [-1, 1] → a dictionary of `latents` (N, Z), and `labels` (N,) where there are classes.
        path: its file.
        image: the picture that it takes.
        measured: how well it does on samples, by encoder.json.
    """

    model: Any
    path: Path
    image: Tensor
    measured: dict[str, Any]

    def found(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Float32 (N, H, W, C) in [0, 1] → `latents` float32 (N, Z), and `labels` int32 (N,); may be traced."""
        with watch(_plain_argmax):
            found = self.model(IMAGE.inside(self.image, images), training=False)
        types = {"latents": tf.float32, "labels": tf.int32}
        return {name: tf.cast(found[name], dtype) for name, dtype in types.items() if name in found}

    def examples(self, count: int) -> dict[str, tf.Tensor]:
        """Pictures of no meaning, to try it on."""
        return {IMAGE.name: IMAGE.examples(self.image, count, 0)}

    def interface(self, generator: Generator) -> dict[str, Any]:
        """What interface.json says of it: named tensors, as of any model."""
        height, width, channels = generator.image_shape
        image = {
            "name": "image",
            "role": "image",
            "dtype": "float32",
            "shape": [None, height, width, channels],
            "range": [-1, 1],
            "preprocessing": dict(self.image.preprocessing),
        }
        outputs: list[dict[str, Any]] = [
            {"name": "latents", "role": "latents", "dtype": "float32", "shape": [None, generator.latent_size]}
        ]
        if generator.class_count:
            labels = {"name": "labels", "role": "labels", "dtype": "int32", "shape": [None]}
            outputs.append({**labels, "range": [0, generator.class_count - 1], "classes": list(generator.class_names)})
        return {"inputs": [image], "outputs": outputs}


def _plain_argmax(operation: Any, run: Callable[..., Any], given: tuple[Any, ...]) -> Any:
    """Keras' argmax tells −0 from 0 by its bits, for which TFLite has no ops."""
    if isinstance(operation, ARGMAX) and isinstance(operation.axis, int) and not operation.keepdims:
        return tf.argmax(given[0], operation.axis, tf.int32)
    return run(*given)


def with_encoder(generator: Generator, source: Path) -> Generator:
    """The generator with its run's encoder, where it has one; a note says what became of it."""
    path = source / FILE
    roles = {tensor.role for tensor in generator.inputs}
    takes = "latents" in roles and roles <= {"latents", "labels"} and not generator.frame_count
    if not (takes and is_run(source) and path.exists()):
        return generator
    try:
        encoder = _read(generator, source)
    except ExportError as error:
        note = f"{error}; it is passed over, and gentrain encoder {source} trains it anew"
        return replace(generator, notes=(*generator.notes, note))
    note = f"{path}: becomes the signature invert, from pictures to latents"
    return replace(generator, encoder=encoder, notes=(*generator.notes, note))


def _read(generator: Generator, run: Path) -> Encoder:
    """The encoder, tried.

    Raises:
        ExportError: it is of another generator, or none.
    """
    path = run / FILE
    try:
        about = json.loads((run / ABOUT).read_text(encoding="utf-8"))
        learned_from = about["generator_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ExportError(f"{path}: {ABOUT} does not say of which generator it is") from None
    if learned_from != generator.provenance["generator_sha256"]:
        raise ExportError(f"{path}: of another state of the generator")
    described = generator.description.outputs[0].preprocessing if generator.description else preprocess.of_run(run)
    image = Tensor("image", "image", "float32", (None, *generator.image_shape), (-1.0, 1.0), preprocessing=described)
    measured = {key: about[key] for key in MEASURED if isinstance(about.get(key), int | float)}
    encoder = Encoder(keras_file.read(path, {}), path, image, measured)
    _check(encoder, generator)
    return encoder


def _check(encoder: Encoder, generator: Generator) -> None:
    """See that it gives latents (and labels) of two pictures."""
    expected: dict[str, tuple[int, ...]] = {"latents": (2, generator.latent_size)}
    if generator.class_count:
        expected["labels"] = (2,)
    found = _tried(encoder.path, lambda: encoder.found(IMAGE.examples(encoder.image, 2, 0)))
    shapes = {name: tuple(values.shape) for name, values in found.items()}
    if shapes != expected or not np.isfinite(found["latents"]).all():
        told = ", ".join(f"{name} {shape}" for name, shape in shapes.items()) or "nothing of the kind"
        raise ExportError(f"{encoder.path}: expected {' and '.join(expected)} of each picture, found {told}")


def _tried(path: Path, call: Callable[[], dict[str, tf.Tensor]]) -> dict[str, tf.Tensor]:
    try:
        return call()
    except Exception as error:  # whatever the model's own layers or TensorFlow raise
        raise ExportError(f"{path}: fails on pictures: {keras_file.one_line(error)}") from None
