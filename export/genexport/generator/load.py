"""Load a generator and check that it is one. From here on it maps values of its inputs to images or clips in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from genexport import run_files
from genexport.errors import ExportError
from genexport.generator import determinism, interface, keras_file, real_examples, rebuild
from genexport.generator.adapt import CHANNELS, Choices, adapt
from genexport.generator.interface import Interface
from genexport.generator.output_range import OUTPUT_RANGES
from genexport.generator.output_range import find as find_range
from genexport.generator.real_examples import RealExamples
from genexport.generator.source import file_of, is_run, provenance
from genexport.roles import ROLES
from genexport.roles.tensor import Description, Tensor, at_once, shape
from genexport.roles.tensor import read as read_description

if TYPE_CHECKING:
    from genexport.generator.encoder import Encoder

__all__ = ["OUTPUT_RANGES", "Generator", "load"]

PROBES = 64
COMPARED = 8

FEWEST_COMPARED = 16
MOST_COMPARED_BYTES = 1 << 28
"""Of float32 clips: so many bytes are compared with Keras, but no fewer than 16 clips."""

CALIBRATION_SEED = 1_000_000
"""The first of the seeds that integers are calibrated on."""


@dataclass(frozen=True, eq=False)
class Generator:
    """A Keras model with what is known of it. Its *values* are a batch for each input, in their order.

    Attributes:
        model: the Keras model, in float32.
        interface: how it is called; its images come out as (N, H, W, C), clips as (N, T, H, W, C).
        path: the file, or the folder of a SavedModel.
        image_shape: (H, W, C); of clips, that of a frame.
        output_range: the model's own lowest and highest pixel values.
        provenance: where it comes from, for the manifest.
        notes: what was found and what was rebuilt, a sentence each, for the user.
        description: the run's interface.json, where there is one.
        real_examples: of the pictures that it takes, where there are any.
        frame_count: T, of clips; 0 of images.
        encoder: the way back, from pictures to latents, where its run has one.
    """

    model: Any
    interface: Interface
    path: Path
    image_shape: tuple[int, int, int]
    output_range: tuple[float, float]
    provenance: dict[str, Any]
    notes: tuple[str, ...] = ()
    description: Description | None = None
    real_examples: RealExamples | None = None
    frame_count: int = 0
    encoder: Encoder | None = None

    @property
    def task(self) -> str:
        """What it does, as interface.json calls it."""
        if self.description:
            return self.description.task
        if self.frame_count:
            return "video-generation"
        return "image-to-image" if any(tensor.role == "image" for tensor in self.inputs) else "image-generation"

    @property
    def output(self) -> str:
        """The role of what it gives, which is its name in signatures: `images` or `clips`."""
        return "clips" if self.frame_count else "images"

    @property
    def output_shape(self) -> tuple[int, ...]:
        """(H, W, C), or (T, H, W, C)."""
        return (self.frame_count, *self.image_shape) if self.frame_count else self.image_shape

    @property
    def frames_per_second(self) -> float | None:
        """Of clips, where interface.json says so."""
        return self.description.outputs[0].frames_per_second if self.description else None

    @property
    def compared(self) -> int:
        """On how many examples its files are compared with Keras."""
        most = min(ROLES[tensor.role].compared for tensor in self.inputs)
        if self.frame_count:
            fitting = MOST_COMPARED_BYTES // (4 * math.prod(self.output_shape))
            most = min(most, PROBES, max(FEWEST_COMPARED, fitting))
        return min(most, len(self.real_examples)) if self.real_examples else most

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What it takes, by role."""
        return self.interface.tensors

    @property
    def facts(self) -> dict[str, Any]:
        """What manifests and files say of it: `latent_size`, `class_count`, `class_names`; `frame_count` of clips."""
        facts = {key: value for role in ROLES.values() for key, value in role.facts.items()}
        for tensor in self.inputs:
            facts.update(ROLES[tensor.role].facts_of(tensor))
        if self.frame_count:
            facts |= {"frame_count": self.frame_count, "frames_per_second": self.frames_per_second}
        return facts

    @property
    def latent_size(self) -> int:
        """Z; 0 without latents."""
        return int(self.facts["latent_size"])

    @property
    def class_count(self) -> int:
        """The number of labels; 0 without classes."""
        return int(self.facts["class_count"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the labels, where known."""
        return tuple(self.facts["class_names"])

    def images(self, *values: tf.Tensor) -> tf.Tensor:
        """Values (latents float32 (N, Z), labels int32 (N,), …) → float32 images or clips in [0, 1]; may be traced."""
        return tf.clip_by_value(self.uncut(*values), 0.0, 1.0)

    def uncut(self, *values: tf.Tensor) -> tf.Tensor:
        """As `images`, but what lies outside [0, 1] is left: for files whose output type cuts it."""
        low, high = self.output_range
        raw = tf.cast(self.interface.call(*values), tf.float32)
        return raw if (low, high) == (0.0, 1.0) else (raw - low) / (high - low)

    def many(self, inputs: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        """Images of any number of values by role, up to 64 at a time; other names are passed over."""
        values = [inputs[tensor.role] for tensor in self.inputs]
        specs = [tf.TensorSpec((None, *each.shape[1:]), each.dtype) for each in values]
        call = tf.function(self.images, input_signature=specs)  # a batch of known size is not always the same to Keras
        batch = at_once([self.output_shape])
        starts = range(0, len(values[0]), batch)
        pieces = [call(*(tf.constant(each[i : i + batch]) for each in values)) for i in starts]
        return np.concatenate([np.asarray(piece) for piece in pieces])

    def examples(self, count: int, first: int = 0) -> dict[str, tf.Tensor]:
        """Role → the values of seeds first to first + count − 1, in the order of the inputs; of real ones the first."""
        values = interface.examples(self.inputs, count, first)
        if real := self.real_examples:
            values |= {role: tf.constant(real.first(role, count)) for role in real.values}
        return values

    def calibration(self) -> dict[str, tf.Tensor]:
        """Other examples than those that files are compared on, which would be flattered."""
        count = min(ROLES[tensor.role].calibrated for tensor in self.inputs)
        values = interface.examples(self.inputs, count, CALIBRATION_SEED)
        if real := self.real_examples:
            values |= {role: tf.constant(real.beyond(role, count, self.compared)) for role in real.values}
        return values


def load(
    source: Path,
    output_range: str = "auto",
    snapshot: str = "best",
    imports: Sequence[str] | Mapping[str, Any] = (),
    choices: Choices | None = None,
    examples: Path | None = None,
) -> Generator:
    """Load the generator of a run directory, or any Keras file or SavedModel that makes images or clips.

    Without an interface.json it takes latents (and labels), or a picture.

    What would not convert is rebuilt, and compared with the model as it was saved: other floating types become float32,
    layers that Keras builds of ops that devices lack become others with the same values.

    Args:
        source: a run directory (contract 1), a .keras or HDF5 file of Keras 3 or 2, or the folder of a SavedModel.
        output_range: one of `OUTPUT_RANGES`, or `auto`: as the run's interface.json says, else judged by 64 images.
        snapshot: of a run, `best` by its own metric where it was measured, or the `last`.
        imports: modules, or paths of .py files, with classes that the model needs, whose code is run; or those classes.
        choices: what is to be known of a model that takes or gives something else; nothing unless given.
        examples: a folder of pictures for a generator that takes pictures; the run's examples.npz unless given.

    Raises:
        ExportError: nothing there, no model, or not a generator; the message says what was found.

    Example:
    ```python
    generator = load(Path("generator.keras"), output_range="-1..1")
    images = generator.images(*generator.examples(16).values())  # float32 (16, H, W, C) in [0, 1]
    ```
    """
    path, choices = file_of(source, snapshot), Choices() if choices is None else choices
    classes = dict(imports) if isinstance(imports, Mapping) else keras_file.import_classes(imports)
    description = read_description(source) if is_run(source) and not choices else None
    opener = _Opener(path, classes, choices, description)
    saved, adapted = opener(keras_file.read(path, classes))
    saved = replace(saved, tensors=tuple(_with_classes(tensor, saved.model, source) for tensor in saved.tensors))
    real = _real_examples(source, saved.tensors, description, examples)
    probes = _probes(saved.tensors, real)
    rebuilt, to_float32, replaced = _rebuild(opener, saved, tuple(each[:COMPARED] for each in probes))
    images = _images(path, rebuilt, probes)
    determinism.check_alone(path, lambda batch: _call(path, rebuilt, batch), probes)
    described = _output(description).range if description else None
    span, how = find_range(path, rebuilt.model, images, output_range, choices.activation == "clip", described)
    foreign = [] if is_run(source) else [*adapted, *_judged(rebuilt)]  # of a run its owner knows all that
    of_inputs = [ROLES[tensor.role].note(tensor) for tensor in rebuilt.tensors]
    replaced = [] if is_run(source) else replaced
    damaged = run_files.damaged(source) if is_run(source) else []
    notes = [how, *damaged, *foreign, *to_float32, *replaced, *of_inputs, _examples_note(rebuilt.tensors, real)]
    return Generator(
        model=rebuilt.model,
        interface=rebuilt,
        path=path,
        image_shape=(images.shape[-3], images.shape[-2], images.shape[-1]),
        output_range=span,
        provenance=provenance(source, path),
        notes=tuple(note for note in notes if note),
        description=description,
        real_examples=real,
        frame_count=images.shape[1] if images.ndim == 5 else 0,
    )


def _probes(inputs: Sequence[Tensor], real: RealExamples | None) -> tuple[Any, ...]:
    """Values of 64 examples for each input, real ones where there are any."""
    values = interface.examples(inputs, PROBES)
    if real:
        values |= {role: tf.constant(real.first(role, PROBES)) for role in real.values}
    return tuple(values.values())


def _real_examples(
    source: Path, inputs: Sequence[Tensor], description: Description | None, examples: Path | None
) -> RealExamples | None:
    if examples:
        return real_examples.of_folder(examples, inputs)
    return real_examples.of_run(source, inputs, _output(description)) if description else None


def _examples_note(inputs: Sequence[Tensor], real: RealExamples | None) -> str:
    """Where the pictures come from that files are compared and integers calibrated on."""
    if not any(tensor.role == "image" for tensor in inputs):
        return ""
    if real is None:
        return (
            "warning: without pictures of yours, files are compared and calibrated on made-up ones, smooth fields of "
            "colour; --examples FOLDER gives real ones"
        )
    return f"{len(real)} real examples from {real.source}"


@dataclass(frozen=True)
class _Opener:
    """Makes a model's interface, adapted as the options say, its layout checked and its weights in place."""

    path: Path
    classes: dict[str, Any]
    choices: Choices
    description: Description | None

    def __call__(self, model: Any) -> tuple[Interface, list[str]]:
        """The interface, and what was adapted."""
        notes: list[str] = []
        if self.description is None:
            model, notes = adapt(self.path, model, self.choices)
        rebuild.check_layout(self.path, model)
        model_interface = interface.find(self.path, model, self.description, self.choices.pixels)
        if not getattr(model, "inputs", None):
            self._build(model, model_interface)
        return model_interface, notes

    def _build(self, model: Any, model_interface: Interface) -> None:
        # Keras leaves a subclass with several arguments unbuilt and its weights unread, with a warning alone.
        _call(self.path, model_interface, tuple(interface.examples(model_interface.tensors, 2).values()))
        rebuild.check_layout(self.path, model)
        try:
            model.load_weights(self.path)
        except Exception as error:  # Keras raises by whatever does not fit
            raise ExportError(f"{self.path}: its weights do not fit its class: {keras_file.one_line(error)}") from error


def _rebuild(opened: _Opener, saved: Interface, values: tuple[Any, ...]) -> tuple[Interface, list[str], list[str]]:
    """The same generator in float32 and of layers that convert; what became float32, and what was replaced."""
    path, notes = opened.path, []
    was = rebuild.precision(saved.model)
    before = np.asarray(_call(path, saved, values), np.float32)
    determinism.check_fixed(path, lambda rows: _call(path, saved, rows), values)
    built = saved
    if was:
        built = replace(opened(keras_file.read_in_float32(path, opened.classes))[0], tensors=saved.tensors)
        rebuild.check_float32(path, built.model, was)
        after = np.asarray(_call(path, built, values), np.float32)
        rebuild.compare(path, f"rebuilt in float32 from {was}", before, after, rebuild.tolerance(was))
        notes.append(f"rebuilt in float32 from {was}")
        before = after
    replaced = rebuild.replace_layers(built.model)
    if replaced:
        after = np.asarray(_call(path, built, values), np.float32)
        rebuild.compare(path, "with layers replaced so that it converts", before, after, 1e-6)
    return built, notes, [f"replaced, so that it converts: {'; '.join(replaced)}"] if replaced else []


def _call(path: Path, model: Interface, inputs: tuple[Any, ...]) -> Any:
    try:
        return model.call(*inputs)
    except Exception as error:  # whatever the model's own code or TensorFlow raises
        shapes = " and ".join(shape(values.shape) for values in inputs)
        raise ExportError(f"{path}: fails on inputs {shapes}: {keras_file.one_line(error)}") from error


def _images(path: Path, model: Interface, inputs: tuple[Any, ...]) -> np.ndarray[Any, Any]:
    """What the model makes of 64 examples, float32 in its own range."""
    batch = at_once(values.shape[1:] for values in inputs)
    pieces = [_call(path, model, tuple(values[i : i + batch] for values in inputs)) for i in range(0, PROBES, batch)]
    images = np.concatenate([np.asarray(piece, np.float32) for piece in pieces])
    sizes = images.shape
    if len(sizes) not in (4, 5) or sizes[-1] not in CHANNELS:
        first = " (channels first? images have channels last)" if set(sizes[1:-2]) & set(CHANNELS) else ""
        first = " (--image-shape HxWxC reshapes flat images)" if len(sizes) == 2 else first
        raise ExportError(
            f"{path}: expected one output of images, (N, height, width, 1, 3 or 4 channels), or of clips, "
            f"(N, frames, height, width, channels); found {shape((None, *sizes[1:]))}{first}"
        )
    if sizes[0] != PROBES:
        raise ExportError(
            f"{path}: returns {sizes[0]} images for {PROBES} examples; the batch size must be variable (None)"
        )
    if not np.isfinite(images).all():
        raise ExportError(f"{path}: generates values that are not finite (NaN or infinity)")
    return images


def _output(description: Description) -> Tensor:
    """The images or clips that interface.json promises."""
    if [tensor.role for tensor in description.outputs] not in (["images"], ["clips"]):
        roles = ", ".join(tensor.role for tensor in description.outputs)
        raise ExportError(f"{description.path}: expected one output of the role images or clips, found {roles}")
    return description.outputs[0]


def _judged(built: Interface) -> list[str]:
    """Which input was taken for what, where the model's own names do not say it."""
    names = {role: slot.name for role, slot in built.slots.items()}
    if len(names) == 1 or all(role == name for role, name in names.items()):
        return []
    return ["inputs identified by type and shape: " + ", ".join(f"{name} is {role}" for role, name in names.items())]


def _with_classes(tensor: Tensor, model: Any, source: Path) -> Tensor:
    """Labels with their names as dataset.json has them, or their number as the model has it."""
    if tensor.role != "labels" or tensor.range or tensor.classes:
        return tensor
    names = tuple(map(str, run_files.read(source / run_files.DATASET).get("class_names") or ()))
    count = len(names) or _embedded_classes(model)
    return replace(tensor, classes=names, range=(0.0, count - 1.0) if count else None)


def _embedded_classes(model: Any) -> int:
    """How many labels the model's embedding or one-hot encoding knows; 0 where there is none to ask."""
    parts = [*rebuild.layers_of(model), *getattr(model, "operations", [])]
    attributes = ("input_dim", "num_tokens", "num_classes")
    kinds = ("Embedding", "PlainEmbedding", "CategoryEncoding", "OneHot")
    sizes = [getattr(part, name, None) for part in parts if type(part).__name__ in kinds for name in attributes]
    return min((size for size in sizes if size), default=0)
