"""Directions of the latent space along which images change most, as genexport's manifest has them; strongest first."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genclient.errors import ClientError, UsageError

MANIFEST = "manifest.json"


def beside(tflite: str) -> str | None:
    """The manifest of the version that a .tflite file belongs to, where there is one."""
    path = Path(tflite).resolve().parent.parent / MANIFEST
    return str(path) if path.is_file() else None


def read_direction(path: str, number: int, z: int) -> NDArray[np.float32]:
    """A direction, float32 (Z,), of a manifest, or of the folder of a version; `number` counts from 1.

    Raises:
        UsageError: there is none of that number, or it is one of another generator.
        ClientError: the file cannot be read.
    """
    file = Path(path) / MANIFEST if Path(path).is_dir() else Path(path)
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        directions = [np.asarray(direction["latents"], np.float32) for direction in manifest["directions"]]
    except OSError as error:
        raise ClientError(f"--directions: cannot read {file}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(f"--directions: found no directions in {file}, expected genexport's manifest.json") from None
    if not 1 <= number <= len(directions):
        raise UsageError(f"--direction: found {number}, expected 1 to {len(directions)}, the strongest first")
    direction = directions[number - 1]
    if direction.shape != (z,) or not np.isfinite(direction).all():
        raise UsageError(f"--directions: found {direction.size} numbers in {file}, expected {z}: another generator's")
    return direction
