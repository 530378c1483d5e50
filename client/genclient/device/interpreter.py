"""A TFLite file in LiteRT: an interpreter, its functions and their tensors.

The only module that imports LiteRT (the extra `device`). It does not know what a generator is: layout.py does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient.errors import ClientError
from genclient.model.signature import SignatureSpec, TensorSpec


@dataclass(frozen=True)
class Tensor:
    """An input or output: dtype, shape with None for free sizes, scale and zero point (0, 0: not quantised)."""

    dtype: np.dtype[Any]
    shape: tuple[int | None, ...]
    scale: float
    zero_point: int

    def spec(self) -> TensorSpec:
        """The tensor in the words that a server's are put in."""
        return TensorSpec(self.dtype.name, self.shape)

    def quantise(self, values: NDArray[np.float32]) -> NDArray[Any]:
        """Floats as this tensor holds them, the nearest of its numbers where it is quantised."""
        if self.dtype.kind == "f":
            return values.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        rounded = np.rint(values / np.float32(self.scale)) + self.zero_point
        return np.clip(rounded, limits.min, limits.max).astype(self.dtype)

    def dequantise(self, values: NDArray[Any]) -> NDArray[Any]:
        """What this tensor's numbers stand for; floats, and integers that are not quantised, stay as they are."""
        if self.dtype.kind == "f" or not self.scale:
            return values
        return (values.astype(np.float32) - np.float32(self.zero_point)) * np.float32(self.scale)


class Function:
    """A function of a TFLite file: `function({"latents": array})["images"]`; tensors by the file's own names."""

    def __init__(self, interpreter: Any, signature: str | None) -> None:
        """Take an interpreter and a signature's name, or None for a file without signatures."""
        self._interpreter = interpreter
        self._runner = None if signature is None else interpreter.get_signature_runner(signature)
        source = interpreter if self._runner is None else self._runner
        self._ins, self._outs = _by_name(source.get_input_details()), _by_name(source.get_output_details())
        self.inputs = {name: _tensor(detail) for name, detail in self._ins.items()}
        self.outputs = {name: _tensor(detail) for name, detail in self._outs.items()}

    def __call__(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Run it; arrays of free sizes may have any, for others LiteRT's errors are raised as they are."""
        if self._runner is not None:
            outputs: dict[str, NDArray[Any]] = self._runner(**arrays)
            return outputs
        for name, array in arrays.items():
            if None in self.inputs[name].shape:
                self._interpreter.resize_tensor_input(self._ins[name]["index"], array.shape)
        self._interpreter.allocate_tensors()
        for name, array in arrays.items():
            self._interpreter.set_tensor(self._ins[name]["index"], array)
        self._interpreter.invoke()
        return {name: self._interpreter.get_tensor(detail["index"]) for name, detail in self._outs.items()}

    def spec(self) -> SignatureSpec:
        """Its tensors in the words that a server's are put in."""
        inputs, outputs = ({n: t.spec() for n, t in side.items()} for side in (self.inputs, self.outputs))
        return SignatureSpec(inputs, outputs)


def read_file(path: str) -> bytes:
    """The bytes of a TFLite file; read here, since LiteRT's own words for a file that is not there do not say so.

    Raises:
        ClientError: it cannot be read, or does not begin as a TFLite file.
    """
    try:
        with open(path, "rb") as file:
            head = file.read(8)
            if head[4:] != b"TFL3":  # so that what is endless or huge is not read
                found = "an empty file" if not head else "a file that does not begin as one"
                raise ClientError(f"{path} is not a TFLite model that LiteRT can run: found {found}")
            return head + file.read()
    except OSError as error:
        raise ClientError(f"cannot read {path}: {error.strerror}") from None
    except MemoryError:
        raise ClientError(f"cannot read {path}: it is larger than the memory that is free") from None


def litert() -> Any:
    """LiteRT's class of interpreters.

    Raises:
        ClientError: it is not installed.
    """
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        raise ClientError("--tflite needs LiteRT: pip install ai-edge-litert") from None
    return Interpreter


def open_interpreter(content: bytes) -> Any:
    """An interpreter of one thread, ready to run.

    Raises:
        ClientError: LiteRT is not installed.
        ValueError, RuntimeError, MemoryError: LiteRT's own, of a file that it cannot run.
    """
    interpreter = litert()(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    return interpreter


@contextmanager
def litert_errors(prefix: str) -> Iterator[None]:
    """LiteRT's errors as ClientError: `prefix: its own words`."""
    try:
        yield
    except MemoryError:
        raise ClientError(f"{prefix}: it needs more memory than there is") from None
    except (ValueError, RuntimeError, TypeError) as error:
        # Of a tensor that is larger than memory it says nothing at all.
        reason = str(error) or "LiteRT gives no reason; it may need more memory than is free"
        raise ClientError(f"{prefix}: {reason}") from None


def functions(interpreter: Any) -> dict[str | None, Function]:
    """All functions of a file by signature; one under None where there are no signatures."""
    names = sorted(interpreter.get_signature_list())
    return {name: Function(interpreter, name) for name in names or [None]}


def _by_name(details: Any) -> dict[str, Any]:
    """Details as LiteRT gives them: by a signature's names, or a list with names of tensors, which may be equal."""
    if isinstance(details, dict):
        return details
    names = [detail["name"] for detail in details]
    return {
        detail["name"] if names.count(detail["name"]) == 1 else f"{detail['name']}#{number}": detail
        for number, detail in enumerate(details)
    }


def _tensor(detail: Any) -> Tensor:
    scale, zero_point = detail["quantization"]
    # A size that is free is -1 here, and 1 in `shape`; a scalar has no sizes at all.
    sizes = tuple(int(size) for size in np.ravel(detail["shape_signature"]))
    shape = tuple(None if size < 0 else size for size in sizes)
    return Tensor(np.dtype(detail["dtype"]), shape, float(scale), int(zero_point))
