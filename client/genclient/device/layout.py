"""Which function of a TFLite file is meant, and which of its tensors are latents, labels, images, or what a task has.

By names where they are genline's, else by shapes: a file of whatever origin is run if only one reading fits. It runs
nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient.device.interpreter import Function, Tensor
from genclient.errors import ClientError
from genclient.model.binding import Binding
from genclient.model.signature import MAX_Z, ModelInfo, SignatureSpec, TensorSpec
from genclient.tasks.image_generation import IMAGE_GENERATION
from genclient.tasks.registry import tasks
from genclient.tasks.task import Task

SIGNATURE = "generate"
"""genline's name of the function that makes an image of latents; looked at first."""

MAX_BATCH = 1024
"""Images of one run: far above any file's, and low enough that a file's word costs no memory."""

CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Layout:
    """A function whose tensors have roles: its signature (None: the file has none), and each under the file's name."""

    signature: str | None
    task: Task
    inputs: Mapping[str, tuple[str, Tensor]]  # genline's name → the file's name and the tensor
    outputs: Mapping[str, tuple[str, Tensor]]

    @property
    def batch(self) -> int | None:
        """Examples of one run, None where it takes any number."""
        return next((t.shape[0] for _, t in self.inputs.values() if t.shape), 1)

    @property
    def makes_images(self) -> bool:
        """Whether it is a generator, of images or of clips."""
        return self.output in self.outputs

    @property
    def output(self) -> str:
        """The output that has its images: `clips`, or `images`."""
        return "clips" if "clips" in self.outputs else "images"

    def binding(self) -> Binding:
        """The function in genline's words, with the file's names."""
        names = {name: own for name, (own, _) in (*self.inputs.items(), *self.outputs.items())}
        return Binding(self.signature or "none", self.spec(), names, self.task.inputs, self.task.outputs)

    def spec(self) -> SignatureSpec:
        """The function in genline's words: latents float32 (N, Z) [, labels int32 (N,)] → images (N, H, W, C)."""
        inputs = {name: self._input_spec(name, tensor) for name, (_, tensor) in self.inputs.items()}
        return SignatureSpec(inputs, {name: _output_spec(name, tensor) for name, (_, tensor) in self.outputs.items()})

    def given(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """What to feed the file, of arrays by genline's names; too small a batch is filled up."""
        return {own: _fitted(inputs[name], tensor, self.batch) for name, (own, tensor) in self.inputs.items()}

    def results(self, outputs: Mapping[str, NDArray[Any]], count: int) -> dict[str, NDArray[Any]]:
        """The first `rows` of what the file gives, by genline's names: floats, or integers as they are.

        Raises:
            ClientError: there are fewer, or images are none.
        """
        return {name: _first(count, name, own, tensor, outputs[own]) for name, (own, tensor) in self.outputs.items()}

    def note(self) -> str | None:
        """What was taken for what, for people; None where all has genline's names."""
        names = {name: own for name, (own, _) in (*self.inputs.items(), *self.outputs.items())}
        if self.signature == SIGNATURE and all(name == own for name, own in names.items()):
            return None
        where = "no signature" if self.signature is None else f"signature {self.signature!r}"
        return f"{where}: taken by shape, " + ", ".join(f"{name} = {own!r}" for name, own in names.items())

    def _input_spec(self, name: str, tensor: Tensor) -> TensorSpec:
        if name == "latents":
            return TensorSpec("float32", (self.batch, _example_size(tensor)))
        return TensorSpec("int32", (self.batch,)) if name == "labels" else _plain(tensor)


def find(functions: Mapping[str | None, Function]) -> Layout | None:
    """The first function, genline's before others, whose tensors are a generator's, or some task's; None: no one's."""
    ordered = sorted(functions, key=lambda name: (name != SIGNATURE, name or ""))
    generators = (_generator(signature, functions[signature]) for signature in ordered)
    others = (_of_task(task, signature, functions[signature]) for task in tasks() for signature in ordered)
    return next((layout for layout in itertools.chain(generators, others) if layout is not None), None)


def find_for(task: Task, functions: Mapping[str | None, Function]) -> Layout | None:
    """The first function whose tensors are a certain task's; None: no one's."""
    layouts = (_of_task(task, signature, function) for signature, function in functions.items())
    return next((layout for layout in layouts if layout is not None), None)


def _generator(signature: str | None, function: Function) -> Layout | None:
    """A function whose tensors can be a generator's, by name or by shape."""
    latents = _pick("latents", function.inputs, _may_be_latents)
    labels = _pick("labels", function.inputs, _may_be_labels)
    images = _pick("images", function.outputs, _may_be_images)
    if latents is None or images is None or set(function.inputs) - {latents, labels}:
        return None
    own = {"latents": latents} | ({} if labels is None else {"labels": labels})
    inputs = {name: (key, function.inputs[key]) for name, key in own.items()}
    return Layout(signature, IMAGE_GENERATION, inputs, {"images": (images, function.outputs[images])})


def _of_task(task: Task, signature: str | None, function: Function) -> Layout | None:
    """A function whose tensors have the names of a task's, or are the only ones that fit."""
    name = signature or "none"
    sides = ({key: _plain(tensor) for key, tensor in side.items()} for side in (function.inputs, function.outputs))
    bound = task.fitting(ModelInfo("", None, {name: SignatureSpec(*sides)}), name, {})
    if bound is None:
        return None
    inputs = {role: (bound.names[role], function.inputs[bound.names[role]]) for role in bound.spec.inputs}
    outputs = {role: (bound.names[role], function.outputs[bound.names[role]]) for role in bound.spec.outputs}
    return Layout(signature, task, inputs, outputs)


def not_a_generator(info: ModelInfo) -> ClientError:
    """The error for a file in which `find` finds nothing."""
    signatures = "; ".join(f"signature {name!r} is {spec}" for name, spec in info.signatures.items())
    expected = "latents, float (1, Z), and perhaps labels, int (1), to images, (1, H, W, 1, 3 or 4)"
    return ClientError(f"model {info.name!r} is not a generator: {signatures}; expected {expected}")


def _pick(name: str, tensors: Mapping[str, Tensor], fits: Callable[[Tensor], bool]) -> str | None:
    fitting = [key for key, tensor in tensors.items() if fits(tensor)]
    if name in fitting:
        return name
    return fitting[0] if len(fitting) == 1 else None


def _plain(tensor: Tensor) -> TensorSpec:
    """A tensor as declared; integers with a scale stand for floats."""
    quantised = tensor.dtype.kind in "iu" and tensor.scale > 0
    return TensorSpec("float32", tensor.shape) if quantised else tensor.spec()


def _output_spec(name: str, tensor: Tensor) -> TensorSpec:
    if name != "images":
        return tensor.spec()
    n, *sizes = tensor.shape
    return TensorSpec(tensor.dtype.name, (n, *([*sizes[1:], sizes[0]] if _channels_first(tensor) else sizes)))


def _first(count: int, name: str, own: str, tensor: Tensor, output: NDArray[Any]) -> NDArray[Any]:
    array = tensor.dequantise(output)
    if name == "images" and (array.ndim != 4 or len(array) < count):
        raise ClientError(f"{own}: found shape {array.shape}, expected ({count}, H, W, C), an image of each latents")
    if len(array) < count:
        raise ClientError(f"{own}: found shape {array.shape}, expected {count} rows")
    return np.moveaxis(array, 1, -1)[:count] if name == "images" and _channels_first(tensor) else array[:count]


def _may_be_latents(tensor: Tensor) -> bool:
    floats = tensor.dtype.kind == "f" or (tensor.dtype.kind in "iu" and tensor.scale > 0)
    vectors = len(tensor.shape) >= 2 and not _is_picture(tensor)
    return floats and vectors and _batch_fits(tensor) and 1 <= _example_size(tensor) <= MAX_Z


def _is_picture(tensor: Tensor) -> bool:
    """Whether an input is more likely a picture than latents that have a shape."""
    return _may_be_images(tensor) and 1 not in tensor.shape[1:3]


def _may_be_labels(tensor: Tensor) -> bool:
    whole = tensor.dtype.name in ("int32", "int64") and not tensor.scale
    return whole and _batch_fits(tensor) and _example_size(tensor) == 1


def _may_be_images(tensor: Tensor) -> bool:
    return len(tensor.shape) == 4 and (tensor.shape[-1] in CHANNELS or _channels_first(tensor))


def _channels_first(tensor: Tensor) -> bool:
    return tensor.shape[-1] not in CHANNELS and tensor.shape[1] in CHANNELS


def _batch_fits(tensor: Tensor) -> bool:
    return not tensor.shape or tensor.shape[0] is None or 1 <= tensor.shape[0] <= MAX_BATCH


def _example_size(tensor: Tensor) -> int:
    """Numbers for one image; 0 where a size is free."""
    return math.prod(size or 0 for size in tensor.shape[1:])


def _fitted(values: NDArray[Any], tensor: Tensor, batch: int | None) -> NDArray[Any]:
    if batch is not None and len(values) < batch:
        values = np.concatenate([values, np.repeat(values[-1:], batch - len(values), axis=0)])
    if values.dtype.kind == "f":
        values = tensor.quantise(values)
    shape = [len(values), *tensor.shape[1:]] if tensor.shape else []
    return values.astype(tensor.dtype).reshape(shape)  # type: ignore[arg-type]
