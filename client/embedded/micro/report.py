"""What an all-int8 TFLite file needs of a microcontroller: bytes of flash and of RAM, and the ops to register.

    python client/embedded/micro/report.py models/digits/1/tflite/digits-micro.tflite

Flash is the file; the interpreter and its kernels come on top. RAM is the tensor arena that TensorFlow Lite for
Microcontrollers (PyPI `tflite-micro`) needs to set the model up and run it, found by trying. That build has pointers of
64 bits, so a controller needs a little less. With --ram and --flash a file that does not fit is a failure.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from controller import Controller
from model_to_c import ModelFileError, read

STEP = 1024
"""Bytes between one arena that is tried and the next."""


def report(content: bytes) -> dict[str, Any]:
    """`flash` and `arena` in bytes, `input` and `output` in words, `ops` by the names of MicroMutableOpResolver.

    Raises:
        ModelFileError: it cannot be run, for want of an op or in any arena, or tflite-micro is not installed.
    """
    controller = Controller(content)
    return {
        "flash": len(content),
        "arena": _smallest_arena(content, controller.used),
        "input": "; ".join(_describe(detail) for detail in controller.inputs),
        "output": _describe(controller.output),
        "ops": " ".join(sorted(_resolver_name(op) for op in controller.ops)),
    }


def _smallest_arena(content: bytes, used: int) -> int:
    """Bytes in which the model can be set up: that takes room for a while, so it can be more than are used then."""
    for arena in range(used, 2 * used, STEP):
        try:
            Controller(content, arena)
        except ModelFileError:
            continue
        return arena
    raise ModelFileError(f"tflite-micro uses an arena of {used:,} bytes, but sets it up in none of up to {2 * used:,}")


def _resolver_name(op: str) -> str:
    """FULLY_CONNECTED, as the format has it, is added by AddFullyConnected: FullyConnected."""
    return "".join(part if part[0].isdigit() else part.capitalize() for part in op.split("_"))


def _describe(detail: dict[str, Any]) -> str:
    """`int8 (1, 32), scale 0.03125, zero point 0`."""
    quantisation = detail["quantization_parameters"]
    text = f"{np.dtype(detail['dtype']).name} {tuple(int(size) for size in detail['shape'])}"
    if not len(quantisation["scales"]) or not quantisation["scales"][0]:
        return text
    return f"{text}, scale {quantisation['scales'][0]:.9g}, zero point {quantisation['zero_points'][0]}"


def main() -> int:
    """Run the command; 0, 1 for a failure or a file that does not fit, 2 for wrong usage."""
    parser = argparse.ArgumentParser(description="What an all-int8 TFLite file needs of a microcontroller.")
    parser.add_argument("model", type=Path, help="NAME-micro.tflite of a version")
    parser.add_argument("--ram", type=int, metavar="BYTES", help="fail if the arena is larger")
    parser.add_argument("--flash", type=int, metavar="BYTES", help="fail if the file is larger")
    arguments = parser.parse_args()
    try:
        found = report(read(arguments.model))
    except ModelFileError as error:
        print(f"report.py: {arguments.model}: {error}", file=sys.stderr)
        return 1
    for key, value in found.items():
        print(f"{key:<8}{value:,} bytes" if isinstance(value, int) else f"{key:<8}{value}")
    for key, limit in (("arena", arguments.ram), ("flash", arguments.flash)):
        if limit is not None and found[key] > limit:
            print(f"report.py: {key}: {found[key]:,} bytes, expected at most {limit:,}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
