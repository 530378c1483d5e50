"""Which function of a TFLite file makes images, and which of its tensors are latents, labels and images.

By names where they are genline's, else by shapes: a file of whatever origin is run if only one reading fits. It runs
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient.device.interpreter import Function, Tensor
from genclient.errors import ClientError
from genclient.model.signature import MAX_Z, ModelInfo, SignatureSpec, TensorSpec

SIGNATURE = "generate"
"""genline's name of the function that makes an image of latents; looked at first."""

MAX_BATCH = 1024
"""Images of one run: far above any file's, and low enough that a file's word costs no memory."""

CHANNELS = (1, 3, 4)


@dataclass(frozen=True)
class Layout:
    """A function that makes images: its signature (None: the file has none), and each tensor under the file's name."""

    signature: str | None
    inputs: Mapping[str, tuple[str, Tensor]]  # genline's name → the file's name and the tensor
    output: tuple[str, Tensor]

    @property
    def batch(self) -> int | None:
        """Images of one run, None where it takes any number."""
        return self.inputs["latents"][1].shape[0]

    @property
    def channels_first(self) -> bool:
        """Whether images come as (N, C, H, W), as in files made of PyTorch's models."""
        return _channels_first(self.output[1])

    def spec(self) -> SignatureSpec:
        """The function in genline's words: latents float32 (N, Z) [, labels int32 (N,)] → images (N, H, W, C)."""
        z = _row_size(self.inputs["latents"][1])
        shapes: dict[str, TensorSpec] = {"latents": TensorSpec("float32", (self.batch, z))}
        if "labels" in self.inputs:
            shapes["labels"] = TensorSpec("int32", (self.batch,))
        n, *sizes = self.output[1].shape
        sizes = [*sizes[1:], sizes[0]] if self.channels_first else sizes
        return SignatureSpec(shapes, {"images": TensorSpec(self.output[1].dtype.name, (n, *sizes))})

    def given(self, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """What to feed the file, of latents float32 (N, Z) and labels int32 (N,); too small a batch is filled up."""
        return {own: _fitted(inputs[name], tensor, self.batch) for name, (own, tensor) in self.inputs.items()}

    def images(self, outputs: Mapping[str, NDArray[Any]], rows: int) -> NDArray[Any]:
        """The first `rows` images of what the file gives: (N, H, W, C), floats, or integers as they are.

        Raises:
            ClientError: there are fewer.
        """
        name, tensor = self.output
        images = tensor.dequantise(outputs[name])
        if images.ndim != 4 or len(images) < rows:
            raise ClientError(
                f"{name}: found shape {images.shape}, expected ({rows}, H, W, C), an image of each latents"
            )
        return np.moveaxis(images, 1, -1)[:rows] if self.channels_first else images[:rows]

    def note(self) -> str | None:
        """What was taken for what, for people; None where all has genline's names."""
        names = {name: own for name, (own, _) in self.inputs.items()} | {"images": self.output[0]}
        if self.signature == SIGNATURE and all(name == own for name, own in names.items()):
            return None
        where = "no signature" if self.signature is None else f"signature {self.signature!r}"
        return f"{where}: taken by shape, " + ", ".join(f"{name} = {own!r}" for name, own in names.items())


def find(functions: Mapping[str | None, Function]) -> Layout | None:
    """The first function, genline's before others, whose tensors can be a generator's; None if there is none."""
    for signature in sorted(functions, key=lambda name: (name != SIGNATURE, name or "")):
        function = functions[signature]
        latents = _pick("latents", function.inputs, _may_be_latents)
        labels = _pick("labels", function.inputs, _may_be_labels)
        images = _pick("images", function.outputs, _may_be_images)
        if latents is None or images is None or set(function.inputs) - {latents, labels}:
            continue
        own = {"latents": latents} | ({} if labels is None else {"labels": labels})
        inputs = {name: (key, function.inputs[key]) for name, key in own.items()}
        return Layout(signature, inputs, (images, function.outputs[images]))
    return None


def not_a_generator(info: ModelInfo) -> ClientError:
    """The error for a file in which `find` finds nothing."""
    found = "; ".join(f"signature {name!r} is {spec}" for name, spec in info.signatures.items())
    expected = "latents, float (1, Z), and perhaps labels, int (1), to images, (1, H, W, 1, 3 or 4)"
    return ClientError(f"model {info.name!r} is not a generator: {found}; expected {expected}")


def _pick(name: str, tensors: Mapping[str, Tensor], fits: Callable[[Tensor], bool]) -> str | None:
    fitting = [key for key, tensor in tensors.items() if fits(tensor)]
    if name in fitting:
        return name
    return fitting[0] if len(fitting) == 1 else None


def _may_be_latents(tensor: Tensor) -> bool:
    floats = tensor.dtype.kind == "f" or (tensor.dtype.kind in "iu" and tensor.scale > 0)
    return floats and len(tensor.shape) >= 2 and _batch_fits(tensor) and 1 <= _row_size(tensor) <= MAX_Z


def _may_be_labels(tensor: Tensor) -> bool:
    whole = tensor.dtype.name in ("int32", "int64") and not tensor.scale
    return whole and _batch_fits(tensor) and _row_size(tensor) == 1


def _may_be_images(tensor: Tensor) -> bool:
    return len(tensor.shape) == 4 and (tensor.shape[-1] in CHANNELS or _channels_first(tensor))


def _channels_first(tensor: Tensor) -> bool:
    return tensor.shape[-1] not in CHANNELS and tensor.shape[1] in CHANNELS


def _batch_fits(tensor: Tensor) -> bool:
    return not tensor.shape or tensor.shape[0] is None or 1 <= tensor.shape[0] <= MAX_BATCH


def _row_size(tensor: Tensor) -> int:
    """Numbers for one image; 0 where a size is free."""
    return math.prod(size or 0 for size in tensor.shape[1:])


def _fitted(values: NDArray[Any], tensor: Tensor, batch: int | None) -> NDArray[Any]:
    if batch is not None and len(values) < batch:
        values = np.concatenate([values, np.repeat(values[-1:], batch - len(values), axis=0)])
    if values.dtype.kind == "f":
        values = tensor.quantise(values)
    shape = [len(values), *tensor.shape[1:]] if tensor.shape else []
    return values.astype(tensor.dtype).reshape(shape)  # type: ignore[arg-type]
