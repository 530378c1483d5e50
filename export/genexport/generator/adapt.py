"""Generators with other inputs and outputs become `latents` (and `labels`) → images, by layers put around the model.

Several latents become one that is split, a one-hot input gets its encoding, flat images are reshaped, channels go last,
one output of several is taken. A model of one picture keeps it as its input. What is not plain is not guessed: an
option says it, and the message names the option.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from genexport.errors import ExportError
from genexport.generator.interface import EXPECTED, Slot
from genexport.generator.output_range import Range
from genexport.generator.rebuild import PlainEmbedding
from genexport.roles.tensor import FILE, shape

ACTIVATIONS = ("sigmoid", "tanh", "clip")
CHANNELS = (1, 3, 4)

_LABEL = re.compile(r"label|class|categor|one_?hot|digit|^y$", re.IGNORECASE)
_NOISE = re.compile(r"noise", re.IGNORECASE)


@dataclass(frozen=True)
class Choices:
    """What the options of `publish` say of a generator from elsewhere.

    Attributes:
        latents: of an input that holds latents and a one-hot class, how many numbers are latents.
        one_hot: the number of classes of a one-hot input, or part of an input.
        image_shape: (H, W, C) of images that come flat.
        output: the name of the output that has the images.
        activation: one of `ACTIVATIONS`, which the model's output still lacks; clip cuts it to its range.
        pixels: lowest and highest value of a picture that the model takes.
    """

    latents: int | None = None
    one_hot: int | None = None
    image_shape: tuple[int, int, int] | None = None
    output: str | None = None
    activation: str | None = None
    pixels: Range | None = None

    def __bool__(self) -> bool:
        """Whether anything is said that changes the model."""
        return self != Choices(activation=self.activation if self.activation == "clip" else None, pixels=self.pixels)


def adapt(path: Path, model: Any, choices: Choices) -> tuple[Any, list[str]]:
    """The model with `latents` (and `labels`) in and images out, and what was done, a sentence each.

    The model itself where it is one already.

    Raises:
        ExportError: it takes or gives something else; the message says what, and which option would help.
    """
    if not isinstance(model, keras.Model) or not getattr(model, "inputs", None):
        if choices:
            raise ExportError(f"{path}: its inputs and outputs can only be adapted where they are declared, as in "
                              "functional and Sequential models")  # fmt: skip
        return model, []
    inputs, values, notes = _inputs(path, model, choices)
    if inputs is not None and "image" in inputs:
        choices = replace(choices, image_shape=None)  # that of the pictures, which its images need not have
    images, more = _images(path, model, model.outputs if inputs is None else _called(model, values), choices)
    if inputs is None and not more:
        return model, notes
    return keras.Model(model.inputs if inputs is None else inputs, images, name=model.name), [*notes, *more]


def _called(model: Any, values: list[Any]) -> list[Any]:
    """The symbolic outputs for other values of the model's inputs, in their order."""
    values_by_id = dict(zip(map(id, model.inputs), values, strict=True))
    structure = model.inputs[0] if isinstance(model, keras.Sequential) else model.input
    called = model(keras.tree.map_structure(lambda tensor: values_by_id[id(tensor)], structure), training=False)
    return list(keras.tree.flatten(called))


def _inputs(path: Path, model: Any, choices: Choices) -> tuple[dict[str, Any] | None, list[Any], list[str]]:
    """New inputs by name (None where the model's own will do), the values of the model's inputs, and notes."""
    if len(model.inputs) == 1 and _takes_picture(model.inputs[0]):
        return _picture(path, model, choices)
    roles = [_role(tensor, model, choices) for tensor in model.inputs]
    _check(path, model, roles)
    latents = [tensor for tensor, role in zip(model.inputs, roles, strict=True) if role == "latents"]
    coded = [tensor for tensor, role in zip(model.inputs, roles, strict=True) if role == "one-hot"]
    if len(model.inputs) == 1 and choices.one_hot:
        return _divided(path, model, choices)
    _check_choices(path, model, choices, latents, coded)
    integer = all(
        _slot(tensor).is_labels() for tensor, role in zip(model.inputs, roles, strict=True) if role == "labels"
    )
    if len(latents) == 1 and not coded and integer:
        return None, [], _drawn(_size(latents[0])) if len(model.inputs) == 1 else []
    return _joined(model, roles, latents)


def _joined(
    model: Any, roles: Sequence[str], latents: Sequence[Any]
) -> tuple[dict[str, Any] | None, list[Any], list[str]]:
    """`latents` for all inputs that hold latents, in their order, and `labels` for the one that holds the class."""
    total = sum(map(_size, latents))
    inputs: dict[str, Any] = {"latents": keras.Input((total,), name="latents")}
    if len(latents) < len(model.inputs):
        inputs["labels"] = keras.Input((), dtype="int32", name="labels")
    values, notes, start = [], [], 0
    for tensor, role in zip(model.inputs, roles, strict=True):
        if role == "latents":
            end = start + _size(tensor)
            part = inputs["latents"] if len(latents) == 1 else inputs["latents"][:, start:end]
            values.append(_like(tensor, part))
            start = end
        elif role == "labels":
            values.append(_like(tensor, keras.ops.expand_dims(inputs["labels"], -1)))
            if not _slot(tensor).is_labels():
                notes.append(f"{tensor.name} {shape(tensor.shape)} takes labels as {tensor.dtype}")
        else:
            values.append(_like(tensor, _one_hot(_size(tensor), inputs["labels"])))
            notes.append(f"{tensor.name} {shape(tensor.shape)} is one-hot: its encoding was added")
    if len(latents) > 1:
        parts = " and ".join(f"{tensor.name} ({_size(tensor)})" for tensor in latents)
        notes.insert(0, f"latents (N, {total}) are {parts}, in this order, all drawn from N(0, 1); if one of them is a "
                        "one-hot class: --one-hot CLASSES")  # fmt: skip
    return inputs, values, notes


def _takes_picture(tensor: Any) -> bool:
    """Whether an input is a picture, perhaps of any size, perhaps with its channels first."""
    sizes, slot = tuple(tensor.shape[1:]), _slot(tensor)
    if _NOISE.search(tensor.name) or slot.is_latents() or len(sizes) != 3:
        return False
    free = sizes[2] in CHANNELS and None in sizes[:2]
    return free or slot.is_picture() or _channels_first(sizes)


def _picture(path: Path, model: Any, choices: Choices) -> tuple[dict[str, Any] | None, list[Any], list[str]]:
    """The one input of an image-to-image model, as pictures of one size with their channels last."""
    if choices.one_hot or choices.latents:
        raise ExportError(f"{path}: takes a picture, {model.inputs[0].name}, neither latents nor a class; leave "
                          "--latents and --one-hot out")  # fmt: skip
    (tensor,) = model.inputs
    sizes = tuple(tensor.shape[1:])
    if None in sizes:
        if choices.image_shape is None or choices.image_shape[2] != sizes[2]:
            raise ExportError(f"{path}: takes pictures of any size, {tensor.name} {shape(tensor.shape)}; say which is "
                              f"published: --image-shape 256x256x{sizes[2]}")  # fmt: skip
        picture = keras.Input(choices.image_shape, dtype=tensor.dtype, name="image")
        note = f"{tensor.name} takes pictures of any size, and gets {_text(picture.shape)}"
        return {"image": picture}, [picture], [note]
    if _channels_first(sizes):
        picture = keras.Input((*sizes[1:], sizes[0]), dtype=tensor.dtype, name="image")
        note = f"{tensor.name} {shape(tensor.shape)} has its channels first: put last"
        return {"image": picture}, [keras.layers.Permute((3, 1, 2))(picture)], [note]
    return None, [], []


def _channels_first(sizes: tuple[int | None, ...]) -> bool:
    return len(sizes) == 3 and sizes[0] in CHANNELS and sizes[2] not in CHANNELS


def _text(sizes: Sequence[int | None]) -> str:
    return "×".join(map(str, sizes[1:]))


def _divided(path: Path, model: Any, choices: Choices) -> tuple[dict[str, Any], list[Any], list[str]]:
    """The one input of latents and a one-hot class, latents first, as keras.io's conditional GAN has it."""
    (tensor,) = model.inputs
    width, classes = _size(tensor), choices.one_hot or 0
    latents = choices.latents or width - classes
    if latents < 1 or latents + classes != width:
        raise ExportError(f"{path}: {latents} latents and {classes} one-hot classes are {latents + classes} numbers; "
                          f"{tensor.name} takes {width}")  # fmt: skip
    inputs = {
        "latents": keras.Input((latents,), name="latents"),
        "labels": keras.Input((), dtype="int32", name="labels"),
    }
    joined = keras.layers.Concatenate()([inputs["latents"], _one_hot(classes, inputs["labels"])])
    note = (
        f"{tensor.name} (N, {width}) is {latents} latents, then a class of {classes} as one-hot: its encoding was added"
    )
    return inputs, [_like(tensor, joined)], [note]


def _role(tensor: Any, model: Any, choices: Choices) -> str:
    """latents, labels, one-hot or other."""
    slot, named, several = _slot(tensor), bool(_LABEL.search(tensor.name)), len(model.inputs) > 1
    if several and (slot.is_labels() or (tensor.shape[1:] in ((), (1,)) and (named or _embedded(model, tensor)))):
        return "labels"
    if not slot.is_latents():
        return "other"
    chosen = choices.one_hot is not None and _size(tensor) == choices.one_hot
    return "one-hot" if several and (chosen or (named and choices.one_hot is None)) else "latents"


def _check(path: Path, model: Any, roles: list[str]) -> None:
    """Raise ExportError for what no generator from latents takes, as what it is."""
    found = ", ".join(f"{tensor.name} {tensor.dtype} {shape(tensor.shape)}" for tensor in model.inputs)
    other = [tensor for tensor, role in zip(model.inputs, roles, strict=True) if role == "other"]
    pictures = [tensor for tensor in other if len(tensor.shape) == 4]
    hint = ""
    if other and all(_NOISE.search(tensor.name) for tensor in other):
        hint = " (noise as an input: make it part of the model, or remove it)"
    elif pictures:
        hint = f" (a picture as an input, {pictures[0].name}: a run directory with {FILE} says so, docs/contracts.md)"
    elif sum(role in ("labels", "one-hot") for role in roles) > 1:
        hint = " (two labels: wrap the model so that it takes one and fixes the other)"
    if other or "latents" not in roles or hint:
        raise ExportError(f"{path}: {EXPECTED}; found {found}{hint}")


def _check_choices(path: Path, model: Any, choices: Choices, latents: list[Any], coded: list[Any]) -> None:
    if choices.one_hot and not coded:
        widths = ", ".join(f"{tensor.name} (N, {_size(tensor)})" for tensor in model.inputs)
        raise ExportError(f"{path}: --one-hot {choices.one_hot}: no input is so wide; found {widths}")
    total = sum(map(_size, latents))
    if choices.latents and choices.latents != total:
        more = "; if the rest is a one-hot class: --one-hot CLASSES" if choices.latents < total else ""
        raise ExportError(f"{path}: --latents {choices.latents}: the model takes {total}{more}")


def _drawn(count: int) -> list[str]:
    """A hint for a width that latents alone seldom have: 138 is as likely 128 and a class of 10."""
    if count % 16 == 0 or count % 50 == 0 or count & (count - 1) == 0:
        return []
    hint = "if some are a one-hot class: --latents N --one-hot CLASSES"
    return [f"all {count} numbers of its input are drawn from N(0, 1); {hint}"]


def _one_hot(classes: int, labels: Any) -> Any:
    """Labels (N,) → (N, classes), by a look-up, for which every device has an op."""
    table = PlainEmbedding(classes, classes, embeddings_initializer="identity", trainable=False, name="one_hot")
    return table(labels)


def _like(tensor: Any, values: Any) -> Any:
    """Values (N, …) in the type and shape of an input of the model."""
    if keras.backend.standardize_dtype(values.dtype) != keras.backend.standardize_dtype(tensor.dtype):
        values = keras.ops.cast(values, tensor.dtype)
    sizes = tuple(size or 1 for size in tensor.shape[1:])
    return values if tuple(values.shape[1:]) == sizes else keras.layers.Reshape(sizes)(values)


def _embedded(model: Any, tensor: Any) -> bool:
    """Whether an input goes straight into an embedding or an encoding of categories."""
    kinds = ("Embedding", "CategoryEncoding", "OneHot")
    for operation in getattr(model, "operations", []):
        fed = any(tensor is given for node in operation._inbound_nodes for given in node.input_tensors)
        if fed and (
            type(operation).__name__ in kinds
            or (isinstance(operation, keras.Model) and operation.inputs and _embedded(operation, operation.inputs[0]))
        ):
            return True
    return False


def _images(path: Path, model: Any, outputs: Sequence[Any], choices: Choices) -> tuple[Any, list[str]]:
    """The output that has the images, reshaped where it is flat, and notes; no notes where nothing was done."""
    images, notes = _one_output(path, model, outputs, choices.output)
    if choices.activation in ("sigmoid", "tanh"):
        images = keras.layers.Activation(choices.activation, name="output_activation")(images)
        notes.append(f"{choices.activation} was appended to its output")
    if _channels_first(tuple(images.shape[1:])):
        notes.append(f"its output {shape(images.shape)} has its channels first: put last")
        images = keras.layers.Permute((2, 3, 1), name="channels_last")(images)
    sizes = choices.image_shape or _image_sizes(tuple(images.shape[1:]))
    if sizes is None or tuple(images.shape[1:]) == sizes:
        return images, notes
    if None not in images.shape[1:] and int(np.prod(images.shape[1:])) != int(np.prod(sizes)):
        raise ExportError(
            f"{path}: {shape(images.shape)} cannot be images of {'×'.join(map(str, sizes))} (--image-shape)"
        )
    doubt = "" if choices.image_shape else "; --image-shape HxWxC if it is another"
    notes.append(f"its output {shape(images.shape)} is reshaped to images of {'×'.join(map(str, sizes))}{doubt}")
    return keras.layers.Reshape(sizes, name="images")(images), notes


def _one_output(path: Path, model: Any, outputs: Sequence[Any], name: str | None) -> tuple[Any, list[str]]:
    names = list(getattr(model, "output_names", ["output"]))  # a Sequential has one output and no names
    listed = ", ".join(f"{each} {shape(output.shape)}" for each, output in zip(names, outputs, strict=True))
    if name is not None:
        if name not in names:
            raise ExportError(f"{path}: --output {name}: the model has {listed}")
        return outputs[names.index(name)], [f"of {listed} the output {name} is taken"] if len(names) > 1 else []
    if len(outputs) == 1:
        return outputs[0], []
    pictures = [i for i, out in enumerate(outputs) if len(out.shape) in (4, 5) and out.shape[-1] in CHANNELS]
    if len(pictures) != 1:
        raise ExportError(f"{path}: several outputs, {listed}; --output NAME says which has the images")
    return outputs[pictures[0]], [f"of {listed} the output {names[pictures[0]]} is taken; --output NAME takes another"]


def _image_sizes(sizes: tuple[int | None, ...]) -> tuple[int, int, int] | None:
    """(H, W, C) of a flat or grey image where it is plain: square, grey before colour."""
    if None in sizes or len(sizes) not in (1, 2):
        return None
    if len(sizes) == 2 and min(size or 0 for size in sizes) > max(CHANNELS):
        return int(sizes[0] or 0), int(sizes[1] or 0), 1
    count = int(np.prod([size or 1 for size in sizes]))
    for channels in CHANNELS:
        side = round((count / channels) ** 0.5)
        if side > 1 and side * side * channels == count:
            return side, side, channels
    return None


def _slot(tensor: Any) -> Slot:
    return Slot(tensor.name, (None, *tensor.shape[1:]), keras.backend.standardize_dtype(tensor.dtype))


def _size(tensor: Any) -> int:
    return int(np.prod([size or 1 for size in tensor.shape[1:]]))
