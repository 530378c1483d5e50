"""Load a generator and check that it is one. From here on it maps latents (and labels) to images in [0, 1]."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from genexport.errors import ExportError
from genexport.generator import determinism, file_kinds, interface, keras_file, rebuild
from genexport.generator.adapt import Choices, adapt
from genexport.generator.interface import Interface
from genexport.generator.output_range import OUTPUT_RANGES
from genexport.generator.output_range import find as find_range
from genexport.roles.latents import latents_of_seeds

__all__ = ["OUTPUT_RANGES", "Generator", "load"]

PROBES = 64
COMPARED = 8


@dataclass(frozen=True, eq=False)
class Generator:
    """A Keras model with what is known of it.

    Attributes:
        model: latents float32 (N, Z) and perhaps labels int32 (N,) → images (N, H, W, C), in float32.
        interface: how the model is called.
        path: the file, or the folder of a SavedModel.
        latents_input, labels_input: names of the model's inputs; `labels_input` is None without classes.
        latent_size: Z.
        image_shape: (H, W, C).
        output_range: the model's own lowest and highest pixel values.
        class_count: the number of labels; 0 without classes.
        class_names: names of the labels, where known.
        provenance: where it comes from, for the manifest.
        notes: what was found and what was rebuilt, a sentence each, for the user.
    """

    model: Any
    interface: Interface
    path: Path
    latents_input: str
    labels_input: str | None
    latent_size: int
    image_shape: tuple[int, int, int]
    output_range: tuple[float, float]
    class_count: int
    class_names: tuple[str, ...]
    provenance: dict[str, Any]
    notes: tuple[str, ...] = ()

    @property
    def conditional(self) -> bool:
        """Whether it takes labels."""
        return self.labels_input is not None

    def images(self, latents: tf.Tensor, labels: tf.Tensor | None = None) -> tf.Tensor:
        """Float32 (N, Z) [and int32 (N,)] → float32 (N, H, W, C) in [0, 1]; may be traced."""
        return tf.clip_by_value(self.uncut(latents, labels), 0.0, 1.0)

    def uncut(self, latents: tf.Tensor, labels: tf.Tensor | None = None) -> tf.Tensor:
        """As `images`, but what lies outside [0, 1] is left: for files whose output type cuts it."""
        low, high = self.output_range
        raw = tf.cast(self.interface.call(latents, labels), tf.float32)
        return raw if (low, high) == (0.0, 1.0) else (raw - low) / (high - low)

    def many(self, inputs: Sequence[Any]) -> np.ndarray[Any, Any]:
        """Images of any number of rows of (latents,) or (latents, labels), 64 at a time."""
        specs = [tf.TensorSpec((None, *values.shape[1:]), values.dtype) for values in inputs]
        call = tf.function(self.images, input_signature=specs)  # a batch of known size is not always the same to Keras
        starts = range(0, len(inputs[0]), PROBES)
        pieces = [call(*(tf.constant(values[i : i + PROBES]) for values in inputs)) for i in starts]
        return np.concatenate([np.asarray(piece) for piece in pieces])

    def examples(self, count: int, first: int = 0) -> tuple[tf.Tensor, ...]:
        """The inputs of seeds first to first + count − 1, labels taken in turn: (latents,) or (latents, labels)."""
        latents = latents_of_seeds(tf.range(first, first + count, dtype=tf.int64), self.latent_size)
        if not self.conditional:
            return (latents,)
        return latents, tf.range(count, dtype=tf.int32) % max(self.class_count, 1)


def load(
    source: Path,
    output_range: str = "auto",
    snapshot: str = "best",
    imports: Sequence[str] = (),
    choices: Choices | None = None,
) -> Generator:
    """Load the generator of a run directory, or any Keras file or SavedModel with latents (and labels) in, images out.

    What would not convert is rebuilt, and compared with the model as it was saved: other floating types become float32,
    layers that Keras builds of ops that devices lack become others with the same values.

    Args:
        source: a run directory (contract 1), a .keras or HDF5 file of Keras 3 or 2, or the folder of a SavedModel.
        output_range: one of `OUTPUT_RANGES`, or `auto`: judged by the images of 64 seeds.
        snapshot: of a run, `best` by its own metric where it was measured, or the `last`.
        imports: modules, or paths of .py files, with classes that the model needs. Their code is run.
        choices: what is to be known of a model that takes or gives something else; nothing unless given.

    Raises:
        ExportError: nothing there, no model, or not a generator; the message says what was found.
    """
    path, choices = _file(source, snapshot), Choices() if choices is None else choices
    classes = keras_file.import_classes(imports)
    model, adapted = adapt(path, keras_file.read(path, classes), choices)
    saved = _open(path, model)
    class_names = _class_names(source) if saved.labels else ()
    class_count = len(class_names) or (_embedded_classes(saved.model) if saved.labels else 0)
    inputs = _inputs(saved.latent_size, class_count if saved.labels else None)
    built, rebuilt, replaced = _rebuild(path, saved, classes, choices, tuple(values[:COMPARED] for values in inputs))
    images = _images(path, built, inputs)
    determinism.check_alone(path, lambda rows: _call(path, built, rows), inputs)
    span, how = find_range(path, built.model, images, output_range, cut=choices.activation == "clip")
    if is_run(source):  # nothing there that its owner did not know
        adapted, replaced = [], []
    notes = [how, *adapted, *rebuilt, *replaced]
    if len(built.latents.shape) > 2:
        notes.append(
            f"latents (N, {built.latent_size}) are reshaped to the model's {interface.shape(built.latents.shape)}"
        )
    if built.labels and not class_count:
        notes.append("the number of classes stands nowhere in the model: it is checked with label 0 alone")
    return Generator(
        model=built.model,
        interface=built,
        path=path,
        latents_input=built.latents.name,
        labels_input=built.labels.name if built.labels else None,
        latent_size=built.latent_size,
        image_shape=(images.shape[1], images.shape[2], images.shape[3]),
        output_range=span,
        class_count=max(class_count, 1) if built.labels else 0,
        class_names=class_names,
        provenance=_provenance(source, path),
        notes=tuple(notes),
    )


def is_run(source: Path) -> bool:
    """Whether a source is a run directory, not a file or a SavedModel."""
    return source.is_dir() and file_kinds.kind(source) != "saved_model"


def _file(source: Path, snapshot: str) -> Path:
    best = source / "best" / "generator.keras"
    if snapshot == "best" and best.exists():
        return best
    path = source / "generator.keras" if is_run(source) else source
    if not path.exists():
        raise ExportError(f"{source}: {file_kinds.ADVICE['folder'] if source.is_dir() else 'no such file'}")
    return path


def _open(path: Path, model: Any) -> Interface:
    """The model's interface, its layout checked and its weights in place."""
    rebuild.check_layout(path, model)
    found = interface.find(path, model)
    if not getattr(model, "inputs", None):
        # Keras leaves a subclass with several arguments unbuilt and its weights unread, with a warning alone.
        _call(path, found, _inputs(found.latent_size, 1 if found.labels else None, 2))
        rebuild.check_layout(path, model)
        try:
            model.load_weights(path)
        except Exception as error:  # Keras raises by whatever does not fit
            raise ExportError(f"{path}: its weights do not fit the class: {keras_file.one_line(error)}") from error
    return found


def _rebuild(
    path: Path, saved: Interface, classes: dict[str, Any], choices: Choices, inputs: tuple[Any, ...]
) -> tuple[Interface, list[str], list[str]]:
    """The same generator in float32 and of layers that convert; what became float32, and what was replaced."""
    notes = []
    was = rebuild.precision(saved.model)
    before = np.asarray(_call(path, saved, inputs), np.float32)
    determinism.check_fixed(path, lambda rows: _call(path, saved, rows), inputs)
    built = saved
    if was:
        built = _open(path, adapt(path, keras_file.read_in_float32(path, classes), choices)[0])
        rebuild.check_float32(path, built.model, was)
        after = np.asarray(_call(path, built, inputs), np.float32)
        rebuild.compare(path, f"rebuilt in float32 from {was}", before, after, rebuild.tolerance(was))
        notes.append(f"rebuilt in float32 from {was}")
        before = after
    replaced = rebuild.replace_layers(built.model)
    if replaced:
        after = np.asarray(_call(path, built, inputs), np.float32)
        rebuild.compare(path, "with layers replaced by such as convert", before, after, 1e-6)
    return built, notes, [f"replaced, so that it converts: {'; '.join(replaced)}"] if replaced else []


def _inputs(latent_size: int, class_count: int | None, count: int = PROBES) -> tuple[Any, ...]:
    latents = latents_of_seeds(tf.range(count, dtype=tf.int64), latent_size)
    return (latents,) if class_count is None else (latents, tf.range(count, dtype=tf.int32) % max(class_count, 1))


def _call(path: Path, model: Interface, inputs: tuple[Any, ...]) -> Any:
    try:
        return model.call(*inputs)
    except Exception as error:  # whatever the model's own code or TensorFlow raises
        given = " and ".join(interface.shape(values.shape) for values in inputs)
        raise ExportError(f"{path}: fails on inputs {given}: {keras_file.one_line(error)}") from error


def _images(path: Path, model: Interface, inputs: tuple[Any, ...]) -> np.ndarray[Any, Any]:
    """What the model makes of 64 seeds, float32 in its own range."""
    images = np.asarray(_call(path, model, inputs), np.float32)
    sizes = images.shape
    if len(sizes) != 4 or sizes[3] not in (1, 3, 4):
        first = " (channels first? images have channels last)" if len(sizes) == 4 and sizes[1] in (1, 3, 4) else ""
        first = " (--image-shape HxWxC folds flat images)" if len(sizes) == 2 else first
        raise ExportError(
            f"{path}: expected one output of images, (N, height, width, 1, 3 or 4 channels); "
            f"found {interface.shape((None, *sizes[1:]))}{first}"
        )
    if sizes[0] != PROBES:
        raise ExportError(f"{path}: makes {sizes[0]} images of {PROBES} latents; the batch has to be free")
    if not np.isfinite(images).all():
        raise ExportError(f"{path}: the images of seeds 0 to {PROBES - 1} hold values that are not finite")
    return images


def _class_names(source: Path) -> tuple[str, ...]:
    described = source / "dataset.json"
    return tuple(json.loads(described.read_text(encoding="utf-8"))["class_names"]) if described.exists() else ()


def _embedded_classes(model: Any) -> int:
    """How many labels the model's embedding or one-hot encoding knows; 0 where there is none to ask."""
    parts = [*rebuild.layers_of(model), *getattr(model, "operations", [])]
    attributes = ("input_dim", "num_tokens", "num_classes")
    kinds = ("Embedding", "PlainEmbedding", "CategoryEncoding", "OneHot")
    sizes = [getattr(part, name, None) for part in parts if type(part).__name__ in kinds for name in attributes]
    return min((size for size in sizes if size), default=0)


def _provenance(source: Path, path: Path) -> dict[str, Any]:
    from_run: dict[str, Any] = {}
    if source.is_dir() and (source / "config.json").exists():
        config = json.loads((source / "config.json").read_text(encoding="utf-8"))
        dataset = json.loads((source / "dataset.json").read_text(encoding="utf-8"))
        from_run = {
            "run": config,
            "dataset": {key: dataset[key] for key in ("source", "count", "image_shape", "fingerprint")},
        }
        from_run["snapshot"] = "best" if path.parent.name == "best" else "last"
        measured = path.with_name("best.json")
        if measured.exists():
            from_run["measured"] = json.loads(measured.read_text(encoding="utf-8"))
    return {"generator_sha256": _digest(path), **from_run}


def _digest(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files in order."""
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    total = hashlib.sha256()
    for file in sorted(each for each in path.rglob("*") if each.is_file()):
        total.update(file.relative_to(path).as_posix().encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return total.hexdigest()
