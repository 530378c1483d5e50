"""Directions of the latent space, by genexport's manifest: along which images change most, and of classes."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient.errors import ClientError, UsageError, printable

MANIFEST = "manifest.json"
OF_CLASS = "class:"
_NEAR = 3
_LISTED = 12


def beside(tflite: str) -> str | None:
    """The manifest of the version that a .tflite file belongs to, where there is one."""
    path = Path(tflite).resolve().parent.parent / MANIFEST
    return str(path) if path.is_file() else None


def read_direction(path: str, wanted: str, z: int) -> NDArray[np.float32]:
    """A direction, float32 (Z,), of a manifest, or of the folder of a version.

    Args:
        path: the manifest, or the folder that has it.
        wanted: the number of one of the strongest, from 1, or `class:NAME`.
        z: the length of the model's latents.

    Raises:
        UsageError: there is none of that number or name, or it is one of another generator.
        ClientError: the file cannot be read.
    """
    file = Path(path) / MANIFEST if Path(path).is_dir() else Path(path)
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
        directions = _by_name(manifest["directions"])
    except OSError as error:
        raise ClientError(f"--directions: cannot read {file}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(f"--directions: found no directions in {file}, expected genexport's manifest.json") from None
    direction = directions.get(wanted.lstrip("0") or wanted)
    if direction is None:
        raise UsageError(f"--direction: found {printable(wanted)}, expected {_expected(wanted, manifest, directions)}")
    if direction.shape != (z,) or not np.isfinite(direction).all():
        raise UsageError(f"--directions: found {direction.size} numbers in {file}, expected {z}: another generator's")
    return direction


def _by_name(entries: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[np.float32]]:
    """The vectors as `--direction` calls them: 1, 2, … the strongest first, and class:NAME."""
    strongest = [each for each in entries if "class" not in each]
    named = {f"{OF_CLASS}{each['class']}": each for each in entries if "class" in each}
    both = {**{str(number): each for number, each in enumerate(strongest, start=1)}, **named}
    return {name: np.asarray(each["latents"], np.float32) for name, each in both.items()}


def _expected(wanted: str, manifest: Mapping[str, Any], directions: Mapping[str, Any]) -> str:
    """What could have been meant, or why there is no such direction."""
    classes = [name for name in directions if name.startswith(OF_CLASS)]
    count = len(directions) - len(classes)
    numbers = f"1 to {count}, the strongest first" if count else "a version that has directions"
    if not wanted.startswith(OF_CLASS):
        return f"{numbers}, or {OF_CLASS}NAME" if classes else numbers
    if classes:
        names = [name.removeprefix(OF_CLASS) for name in classes]
        near = difflib.get_close_matches(wanted.removeprefix(OF_CLASS), names, _NEAR) or names[:_LISTED]
        listed = ", ".join(f"{OF_CLASS}{name}" for name in near)
        return printable(f"{listed}{' …' if len(near) < len(names) else ''}")
    if manifest.get("class_count"):
        return f"{numbers}; the model takes classes: --label, and --labels without --direction walks between them"
    left_out = manifest.get("left_out")
    reason = left_out.get("directions/classes") if isinstance(left_out, Mapping) else None
    return f"{numbers}; this version has none of classes{f': {printable(str(reason))}' if reason else ''}"
