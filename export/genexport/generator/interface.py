"""What a model takes and gives: which input is the latents, which the labels, and how it is called with them.

Functional and Sequential models tell by their inputs. A subclass of keras.Model keeps only the shapes it was built with
(and of several arguments sometimes only the first), so its `call` is read as well.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from genexport.errors import ExportError
from genexport.generator import keras_file

EXPECTED = "expected latents, float32 (N, Z), and perhaps labels, int32 (N,), as inputs"


@dataclass(frozen=True)
class Slot:
    """One input: its name, its shape with None for free sizes, its type where the model tells."""

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

    def fill(self, values: Any, dtype: str) -> Any:
        """Latents (N, Z) or labels (N,) in this input's own shape and type."""
        sizes = [-1, *self.shape[1:]]
        values = tf.cast(values, self.dtype or dtype)
        return values if len(sizes) == len(values.shape) else tf.reshape(values, sizes)


@dataclass(frozen=True, eq=False)
class Interface:
    """How a model is called: `latents` and `labels` are its inputs, `arrange` puts their values in its order."""

    model: Any
    latents: Slot
    labels: Slot | None
    arrange: Callable[[dict[str, Any]], tuple[Any, ...]]

    @property
    def latent_size(self) -> int:
        """Z."""
        return int(np.prod([size or 1 for size in self.latents.shape[1:]]))

    def call(self, latents: Any, labels: Any = None) -> Any:
        """(N, Z) and perhaps (N,) → the model's one output in inference, whatever structure it comes in."""
        values = {self.latents.name: self.latents.fill(latents, "float32")}
        if self.labels is not None:
            values[self.labels.name] = self.labels.fill(labels, "int32")
        outputs = keras.tree.flatten(self.model(*self.arrange(values), training=False))
        if len(outputs) != 1:
            raise ValueError(f"{len(outputs)} outputs {', '.join(shape(output.shape) for output in outputs)}")
        return outputs[0]


def find(path: Path, model: Any) -> Interface:
    """The interface of the model in `path`.

    Raises:
        ExportError: its inputs are not those of a generator, or the file does not tell what they are.
    """
    if not isinstance(model, keras.Model):
        raise ExportError(f"{path}: holds a {type(model).__name__}, expected a keras.Model")
    slots, arrange = _declared(model) if getattr(model, "inputs", None) else _built(path, model)
    labels = [slot for slot in slots if slot.is_labels()] if len(slots) > 1 else []
    latents = [slot for slot in slots if slot not in labels and slot.is_latents()]
    if len(latents) != 1 or len(labels) > 1 or len(latents) + len(labels) != len(slots):
        found = ", ".join(f"{slot.name} {slot.dtype or ''} {shape(slot.shape)}".replace("  ", " ") for slot in slots)
        raise ExportError(f"{path}: {EXPECTED}; found {found}{_hint(slots)}")
    return Interface(model, latents[0], labels[0] if labels else None, arrange)


def shape(sizes: Any) -> str:
    """A shape as it is written in messages, N for a free first size and ? for another."""
    return "(" + ", ".join(("?" if i else "N") if size is None else str(size) for i, size in enumerate(sizes)) + ")"


def _hint(slots: list[Slot]) -> str:
    floats = [slot for slot in slots if slot.dtype and tf.as_dtype(slot.dtype).is_floating and len(slot.shape) == 2]
    if len(slots) == len(floats) == 2:
        return " (one-hot labels: put keras.layers.CategoryEncoding into the model, so that it takes integers)"
    if len(slots) > 1 and all(slot.is_latents() or len(slot.shape) > 2 for slot in slots):
        return " (noise as an input: make it a part of the model, or leave it out)"
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
    wanted = [p.name for p in inspect.signature(model.call).parameters.values() if _is_input(p)]
    if len(shapes) == 1 and len(wanted) == 2:
        shapes.append([None])  # Keras keeps the shape of the first argument alone
    slots: list[Slot] = []

    def slot(argument: str, structure: Any) -> Any:
        if isinstance(structure, dict):
            return {key: slot(key, part) for key, part in structure.items()}
        if structure and isinstance(structure[0], (list, tuple)):
            return [slot(f"{argument}_{i}", part) for i, part in enumerate(structure)]
        slots.append(Slot(argument, (None, *structure[1:]), None))
        return slots[-1]

    structures = [slot(name, structure) for name, structure in zip(wanted, shapes, strict=False)]

    def arrange(values: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(keras.tree.map_structure(lambda part: values[part.name], structure) for structure in structures)

    return slots, arrange


def _is_input(parameter: inspect.Parameter) -> bool:
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.KEYWORD_ONLY):
        return False
    return parameter.name not in ("training", "mask") and (
        parameter.default is parameter.empty or "label" in parameter.name or "class" in parameter.name
    )
