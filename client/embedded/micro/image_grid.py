"""The images of a microcontroller, made by tflite-micro on this machine: an image grid of seeds as a PNG file.

python client/embedded/micro/image_grid.py models/digits/1/tflite/digits-micro.tflite digits-micro.png --seeds 0-31
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from controller import Controller
from genclient import ClientError
from genclient.files.whole import save_bytes
from genclient.images.grid import grid, png
from genclient.latents import format_seeds, latents, parse_seeds
from model_to_c import ModelFileError, read
from numpy.typing import NDArray


def images(content: bytes, seeds: NDArray[np.int64], label: int = 0) -> NDArray[np.uint8]:
    """uint8 (N, H, W, C) of int64 seeds (N,); `label` is the class of all, where the model has classes.

    Raises:
        ModelFileError: the model cannot be run, or is not all in int8.
    """
    controller = Controller(content)
    if {np.dtype(detail["dtype"]).name for detail in controller.inputs} not in ({"int8"}, {"int8", "int32"}):
        raise ModelFileError("expected int8 latents, and int32 labels where it has classes: NAME-micro.tflite")
    made = []
    for seed in seeds:
        inputs = []
        for detail in controller.inputs:
            latent = detail["dtype"] == np.int8
            inputs.append(_steps(seed, detail) if latent else np.array([label], np.int32))
        made.append(controller.run(inputs))
    scale, zero_point = _quantisation(controller.output)
    levels = (np.concatenate(made).astype(np.float32) - zero_point) * scale
    pixels: NDArray[np.uint8] = np.rint(np.clip(levels, 0, 1) * 255).astype(np.uint8)
    return pixels


def _steps(seed: np.int64, detail: dict[str, Any]) -> NDArray[np.int8]:
    """The latents of a seed, (1, Z), in the steps of an int8 input."""
    scale, zero_point = _quantisation(detail)
    steps = np.rint(latents(np.array([seed]), int(detail["shape"][1])) / scale) + zero_point
    return np.clip(steps, -128, 127).astype(np.int8)


def _quantisation(detail: dict[str, Any]) -> tuple[np.float32, int]:
    """Scale and zero point of a tensor."""
    found = detail["quantization_parameters"]
    return np.float32(found["scales"][0]), int(found["zero_points"][0])


def main() -> int:
    """Run the command; 0, 1 for a failure, 2 for wrong usage."""
    parser = argparse.ArgumentParser(description="Images of a microcontroller, made by tflite-micro here.")
    parser.add_argument("model", type=Path, help="NAME-micro.tflite of a version")
    parser.add_argument("picture", type=Path, help="the PNG file")
    parser.add_argument("--seeds", default="0-15", metavar="LIST", help="such as 0,3-5 (default: %(default)s)")
    parser.add_argument(
        "--label", default=0, type=int, help="class, where the model has classes (default: %(default)s)"
    )
    arguments = parser.parse_args()
    try:
        seeds = parse_seeds(arguments.seeds)
        picture = grid(images(read(arguments.model), seeds, arguments.label))
        save_bytes(arguments.picture, png(picture, {"Seeds": format_seeds(seeds), "Software": "tflite-micro"}))
    except (ModelFileError, ClientError) as error:
        print(f"image_grid.py: {error}", file=sys.stderr)
        return error.exit_code if isinstance(error, ClientError) else 1
    print(arguments.picture)
    return 0


if __name__ == "__main__":
    sys.exit(main())
