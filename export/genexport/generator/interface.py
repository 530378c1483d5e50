"""What a model takes and gives: which input is the latents, which the labels, and how it is called with them.

Functional and Sequential models tell by their inputs. A subclass of keras.Model keeps only the shapes it was built with
(and of several arguments sometimes only the first), so its `call` is read as well.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from genexport.errors import ExportError
from genexport.generator import keras_file, output_range
from genexport.generator.output_range import Range
from genexport.roles import ROLES
from genexport.roles.tensor import FILE, Description, Tensor, shape

EXPECTED = "expected latents, float32 (N, Z), and perhaps labels, int32 (N,), as inputs, or one picture, (N, H, W, C)"

SMALLEST = 8
"""A side of a picture; what is smaller is a noise map."""


@dataclass(frozen=True)
class Slot:
    """One input: its name, its shape with None for free sizes, its type where the model declares one."""

    name: str
    shape: tuple[int | None, ...]
    dtype: str | None

    def is_labels(self) -> bool:
        """Integers (N,) or (N, 1); where the type is not known, the shape alone decides."""
        integer = self.dtype is None or tf.as_dtype(self.dtype).is_integer
        return integer and self.shape[1:] in ((), (1,))

    def is_latents(self) -> bool:
        """Floats (N, Z), or (N, 1, 1, Z) and the like: no more than one axis that is longer than 1."""
        floating = self.dtype is None or tf.as_dtype(self.dtype).is_floating
        sizes = self.shape[1:]
        return floating and bool(sizes) and None not in sizes and sum(size != 1 for size in sizes) <= 1

    def is_picture(self) -> bool:
        """(N, H, W, 1, 3 or 4 channels), each side 8 or more."""
        sizes = self.shape[1:]
        return len(sizes) == 3 and sizes[2] in (1, 3, 4) and all(size and size >= SMALLEST for size in sizes[:2])

    def holds(self, tensor: Tensor) -> bool:
        """Whether a tensor of interface.json can be this input."""
        return self.dtype in (None, tensor.dtype) and self.shape[1:] == tensor.shape[1:]

    def fill(self, values: Any, dtype: str) -> Any:
        """Values such as latents (N, Z) or labels (N,) in this input's own shape and type."""
        sizes, target = [-1, *self.shape[1:]], tf.as_dtype(self.dtype or dtype)
        if target.is_integer and tf.as_dtype(values.dtype).is_floating:
            values = tf.round(values)
        values = tf.cast(values, target)
        return values if len(sizes) == len(values.shape) else tf.reshape(values, sizes)


@dataclass(frozen=True, eq=False)
class Interface:
    """How a model is called.

    Attributes:
        model: the Keras model.
        tensors: its inputs by role, in the order in which `call` takes their values.
        slots: role → the model's own input.
        arrange: values by the names of the slots → the model's arguments.
    """

    model: Any
    tensors: tuple[Tensor, ...]
    slots: Mapping[str, Slot]
    arrange: Callable[[dict[str, Any]], tuple[Any, ...]]

    def call(self, *values: Any) -> Any:
        """A batch of values for each tensor → the model's one output in inference, whatever structure it comes in."""
        values_by_name = {}
        for tensor, value in zip(self.tensors, values, strict=True):
            slot = self.slots[tensor.role]
            values_by_name[slot.name] = slot.fill(ROLES[tensor.role].inside(tensor, value), tensor.dtype)
        outputs = keras.tree.flatten(self.model(*self.arrange(values_by_name), training=False))
        if len(outputs) != 1:
            raise ValueError(f"{len(outputs)} outputs {', '.join(shape(output.shape) for output in outputs)}")
        return outputs[0]


def find(path: Path, model: Any, description: Description | None = None, pixels: Range | None = None) -> Interface:
    """The interface of the model in `path`: as its interface.json describes it, else judged by types and shapes.

    `pixels` is the range of a picture that it takes, where that is known.

    Raises:
        ExportError: its inputs are not those of a generator, or the file does not tell what they are.
    """
    if not isinstance(model, keras.Model):
        raise ExportError(f"{path}: holds a {type(model).__name__}, expected a keras.Model")
    slots, arrange = _declared(model) if getattr(model, "inputs", None) else _built(path, model)
    if description is not None:
        tensors = tuple(
            replace(tensor, range=pixels) if pixels and tensor.role == "image" else tensor
            for tensor in description.inputs
        )
        return Interface(model, tensors, _described(path, slots, description), arrange)
    if len(slots) == 1 and slots[0].is_picture() and not slots[0].is_latents():
        span, kind = pixels or output_range.of_input(model), slots[0].dtype or "float32"
        return Interface(
            model, (Tensor(slots[0].name, "image", kind, slots[0].shape, span),), {"image": slots[0]}, arrange
        )
    labels = [slot for slot in slots if slot.is_labels()] if len(slots) > 1 else []
    latents = [slot for slot in slots if slot not in labels and slot.is_latents()]
    if len(latents) != 1 or len(labels) > 1 or len(latents) + len(labels) != len(slots):
        raise ExportError(f"{path}: {EXPECTED}; found {_listed(slots)}{_hint(slots)}")
    judged = {"latents": latents[0]} | ({"labels": labels[0]} if labels else {})
    types = {"latents": "float32", "labels": "int32"}
    tensors = tuple(Tensor(slot.name, role, types[role], slot.shape) for role, slot in judged.items())
    return Interface(model, tensors, judged, arrange)


def examples(tensors: Iterable[Tensor], count: int, first: int = 0) -> dict[str, Any]:
    """Role → values of the seeds first to first + count − 1, for `Interface.call` in this order."""
    return {tensor.role: ROLES[tensor.role].examples(tensor, count, first) for tensor in tensors}


def _described(path: Path, slots: list[Slot], description: Description) -> dict[str, Slot]:
    """Role → the model's input that interface.json names, if they are what it says."""
    known = {slot.name: slot for slot in slots}
    for tensor in description.inputs:
        if tensor.role not in ROLES:
            raise ExportError(
                f"{description.path}: input {tensor.name} has the role {tensor.role!r}; expected {', '.join(ROLES)}"
            )
        slot = known.get(tensor.name)
        if slot is None or not slot.holds(tensor):
            said = f"{tensor.name} {tensor.dtype} {shape(tensor.shape)}"
            raise ExportError(f"{path}: expected the input {said}, as {FILE} says; found {_listed(slots)}")
    if len(description.inputs) != len(slots):
        raise ExportError(f"{description.path}: does not describe every input of {path.name}: {_listed(slots)}")
    return {tensor.role: known[tensor.name] for tensor in description.inputs}


def _listed(slots: list[Slot]) -> str:
    return ", ".join(f"{slot.name} {slot.dtype or ''} {shape(slot.shape)}".replace("  ", " ") for slot in slots)


def _hint(slots: list[Slot]) -> str:
    floats = [slot for slot in slots if slot.dtype and tf.as_dtype(slot.dtype).is_floating and len(slot.shape) == 2]
    if len(slots) == len(floats) == 2:
        return " (one-hot labels: put keras.layers.CategoryEncoding into the model, so that it takes integers)"
    if len(slots) > 1 and all(slot.is_latents() or len(slot.shape) > 2 for slot in slots):
        return " (noise as an input: make it part of the model, or remove it)"
    return ""


def _declared(model: Any) -> tuple[list[Slot], Callable[[dict[str, Any]], tuple[Any, ...]]]:
    # The dtype that counts is the one each input is converted to, so it is the symbolic tensor's own.
    tensors = model.inputs
    slots = [Slot(t.name, (None, *t.shape[1:]), keras.backend.standardize_dtype(t.dtype)) for t in tensors]
    names = {id(tensor): tensor.name for tensor in tensors}
    structure = tensors[0] if isinstance(model, keras.Sequential) else model.input

    def arrange(values: dict[str, Any]) -> tuple[Any, ...]:
        return (keras.tree.map_structure(lambda tensor: values[names[id(tensor)]], structure),)

    return slots, arrange


def _built(path: Path, model: Any) -> tuple[list[Slot], Callable[[dict[str, Any]], tuple[Any, ...]]]:
    """From the shapes that a subclass was built with; the weights are read after it is built."""
    stored = keras_file.configuration(path).get("build_config") or {}
    shapes = list((stored.get("shapes_dict") or {"input_shape": stored.get("input_shape")}).values())
    if not shapes or None in shapes:
        raise ExportError(
            f"{path}: {type(model).__name__} was saved before it was built, so it has neither weights nor input "
            "shapes: call it on latents once and save it again"
        )
    names = [p.name for p in inspect.signature(model.call).parameters.values() if _is_input(p)]
    if len(shapes) == 1 and len(names) == 2:
        shapes.append([None])  # Keras keeps the shape of the first argument alone
    slots: list[Slot] = []

    def slot(argument: str, structure: Any) -> Any:
        if isinstance(structure, dict):
            return {key: slot(key, part) for key, part in structure.items()}
        if structure and isinstance(structure[0], (list, tuple)):
            return [slot(f"{argument}_{i}", part) for i, part in enumerate(structure)]
        slots.append(Slot(argument, (None, *structure[1:]), None))
        return slots[-1]

    structures = [slot(name, structure) for name, structure in zip(names, shapes, strict=False)]

    def arrange(values: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(keras.tree.map_structure(lambda part: values[part.name], structure) for structure in structures)

    return slots, arrange


def _is_input(parameter: inspect.Parameter) -> bool:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
        return False
    return parameter.name not in ("training", "mask") and (
        parameter.default is parameter.empty or "label" in parameter.name or "class" in parameter.name
    )
