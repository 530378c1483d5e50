"""What ONNX Runtime's own tools make of a float32 ONNX file: int8 weights (dynamic), and int8 throughout (static).

    python onnx_int8.py FLOAT32.onnx REFERENCE.npz DYNAMIC.onnx STATIC.onnx

Calibrated on the 256 latents of a version's reference.npz, with the settings that ONNX Runtime's documentation
recommends for CPUs with VNNI: pre-processed, QDQ, weights by channel.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from onnxruntime import quantization  # type: ignore[import-not-found, import-untyped]
from onnxruntime.quantization.shape_inference import (  # type: ignore[import-not-found, import-untyped]
    quant_pre_process,
)


class Latents(quantization.CalibrationDataReader):  # type: ignore[misc]
    """Rows of latents, one after the other."""

    def __init__(self, latents: Any) -> None:
        self.rows = iter({"latents": row[None]} for row in latents)

    def get_next(self) -> Any:
        """The next, or None."""
        return next(self.rows, None)


def main() -> None:
    """Write both files."""
    source, reference, dynamic, static = sys.argv[1:]
    logging.disable(logging.WARNING)
    with np.load(reference) as arrays, tempfile.TemporaryDirectory() as folder:
        ready = str(Path(folder) / "ready.onnx")
        quant_pre_process(source, ready, skip_symbolic_shape=True)
        quantization.quantize_dynamic(ready, dynamic, weight_type=quantization.QuantType.QInt8, per_channel=True)
        settings = {
            "per_channel": True,
            "activation_type": quantization.QuantType.QUInt8,
            "weight_type": quantization.QuantType.QInt8,
        }
        quantization.quantize_static(
            ready, static, Latents(arrays["latents"]), quantization.QuantFormat.QDQ, **settings
        )


if __name__ == "__main__":
    main()
