"""Images from a TFLite file, run on this machine by LiteRT; the same seeds give the same latents as with a server.

The only module that needs the extra `device`. Not for converting or measuring such files: that is genexport's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient import pixels
from genclient.client import Batch, check_condition, generator_inputs
from genclient.errors import ClientError
from genclient.generator import ModelInfo, SignatureSpec, TensorSpec
from genclient.seeds import seed_array

SIGNATURE = "generate"
"""The function of a TFLite file that makes one image of one row of latents."""

BATCH_ROWS = 16
"""Images between two signs of progress; the file itself makes one at a time."""


class DeviceGenerator:
    """A generator in a TFLite file."""

    def __init__(self, path: str) -> None:
        """Load the file.

        Raises:
            ClientError: LiteRT is not installed, or the file cannot be read or is no TFLite model.
        """
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ImportError:
            raise ClientError("--tflite needs LiteRT: pip install 'genline[device]'") from None
        self._name = Path(path).name
        try:
            # Read here: LiteRT's own words for a file that is not there do not say so.
            self._interpreter: Any = Interpreter(model_content=Path(path).read_bytes())
            self._interpreter.allocate_tensors()
        except OSError as error:
            raise ClientError(f"cannot read {path}: {error.strerror}") from None
        except (ValueError, RuntimeError) as error:
            raise ClientError(f"{path} is not a TFLite model that LiteRT can run: {error}") from None

    def info(self) -> ModelInfo:
        """The signatures of the file; it has no version."""
        signatures = {}
        for name in self._interpreter.get_signature_list():
            runner = self._interpreter.get_signature_runner(name)
            inputs, outputs = _tensors(runner.get_input_details()), _tensors(runner.get_output_details())
            signatures[name] = SignatureSpec(inputs, outputs)
        return ModelInfo(self._name, None, signatures)

    def stream(
        self, seeds: Sequence[int] | NDArray[np.int64], *, truncation: float = 1.0, label: int | None = None
    ) -> Iterator[Batch]:
        """Images of `seeds`, in their order, a few at a time; arguments as in `Client.stream`.

        Raises:
            UsageError: the arguments do not fit each other or the model.
            ClientError: the file is no generator's, fails to run, or makes something that is not images.
        """
        rows = seed_array(seeds)
        spec = self.info().generator(SIGNATURE)
        if "latents" not in spec.inputs or "images" not in spec.outputs:
            raise ClientError(f"{self._name}: found {spec}, expected latents → images in a TFLite file")
        check_condition(spec, label, truncation)
        return self._stream(rows, truncation, label, spec)

    def _stream(
        self, seeds: NDArray[np.int64], truncation: float, label: int | None, spec: SignatureSpec
    ) -> Iterator[Batch]:
        runner = self._interpreter.get_signature_runner(SIGNATURE)
        scale, zero_point = runner.get_output_details()["images"]["quantization"]
        for start in range(0, len(seeds), BATCH_ROWS):
            rows = seeds[start : start + BATCH_ROWS]
            inputs = generator_inputs(spec, rows, truncation, label)
            images = np.concatenate([self._run(runner, inputs, row) for row in range(len(rows))])
            if images.dtype.kind in "iu":
                images = (images.astype(np.float32) - zero_point) * np.float32(scale)
            yield Batch(rows, pixels.to_pixels(images, "images"), None)

    def _run(self, runner: Any, inputs: dict[str, NDArray[Any]], row: int) -> NDArray[Any]:
        try:
            images: NDArray[Any] = runner(**{name: array[row : row + 1] for name, array in inputs.items()})["images"]
        except (ValueError, RuntimeError) as error:
            raise ClientError(f"{self._name} failed to run: {error}") from None
        return images


def _tensors(details: dict[str, Any]) -> dict[str, TensorSpec]:
    return {
        name: TensorSpec(np.dtype(detail["dtype"]).name, tuple(int(size) for size in detail["shape"]))
        for name, detail in details.items()
    }
