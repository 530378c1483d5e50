"""A microcontroller in miniature: a model in TensorFlow Lite for Microcontrollers (PyPI `tflite-micro`), run here.

What it needs and what it makes is shown by report.py and image_grid.py.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from model_to_c import ModelFileError
from numpy.typing import NDArray

LARGEST_ARENA = 64 * 2**20
"""Bytes in which any model that is meant for a controller can be set up."""


class Controller:
    """A model, set up in an arena.

    Attributes:
        inputs: the details of its input tensors, as tflite-micro gives them: shape, dtype, quantisation.
        output: those of its first output.
        used: bytes of the arena that are in use.
        ops: its ops, as the format names them: FULLY_CONNECTED.
    """

    def __init__(self, content: bytes, arena: int = LARGEST_ARENA) -> None:
        """Set the model up in an arena of that many bytes and run it once, on zeros.

        Raises:
            ModelFileError: tflite-micro is not installed or cannot run the model in that arena.
        """
        runtime, schema = _tflite_micro()
        said: list[str] = []
        try:
            with _said(said):
                model = schema.Model.GetRootAsModel(content, 0)
                self._interpreter: Any = runtime.Interpreter.from_bytes(content, arena_size=arena)
                count = model.Subgraphs(0).InputsLength()
                self.inputs = [self._interpreter.get_input_details(index) for index in range(count)]
                self.output = self._interpreter.get_output_details(0)
                self.run([np.zeros(detail["shape"], detail["dtype"]) for detail in self.inputs])
                self._interpreter.print_allocations()
        except Exception as error:  # a damaged file raises whatever its bytes lead to
            raise ModelFileError(_reason(error, " ".join(said))) from None
        self.used = int(re.findall(r"Arena allocation total (\d+) bytes", " ".join(said))[0])
        names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
        codes = [model.OperatorCodes(index) for index in range(model.OperatorCodesLength())]
        self.ops = {names[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())] for code in codes}

    def run(self, inputs: list[NDArray[Any]]) -> NDArray[Any]:
        """The output of inputs of the shapes and dtypes of `inputs`."""
        for index, array in enumerate(inputs):
            self._interpreter.set_input(array, index)
        self._interpreter.invoke()
        output: NDArray[Any] = self._interpreter.get_output(0)
        return output


def _tflite_micro() -> tuple[Any, Any]:
    """The interpreter and the format's schema."""
    try:
        from tflite_micro import runtime
        from tflite_micro.tensorflow.lite.micro.python import schema_py_generated
    except ImportError as error:
        raise ModelFileError(f"{error.name} is not installed: pip install --pre tflite-micro pyyaml") from None
    return runtime, schema_py_generated


def _reason(error: Exception, said: str) -> str:
    missing = re.search(r"builtin opcode '(\w+)'", said)
    if missing:
        return f"tflite-micro has no op {missing[1]}"
    return f"tflite-micro cannot run it: {' '.join(str(error).split())}"


@contextmanager
def _said(lines: list[str]) -> Iterator[None]:
    """What is written to the file descriptor of stderr meanwhile goes into `lines`: tflite-micro says all there."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as caught:
        os.dup2(caught.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            caught.seek(0)
            lines.extend(caught.read().decode(errors="replace").splitlines())
