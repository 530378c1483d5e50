"""Is a version still what was published? Every byte of it, and then every image, from what the version itself holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from genexport import onnx
from genexport.compare import parity
from genexport.compare.parity import Difference, Limits
from genexport.errors import ExportError
from genexport.kinds import discriminator_version, proof
from genexport.kinds.generator_version import REFERENCE
from genexport.repository import manifest
from genexport.savedmodel.saved_model import ServingSession


def verify(folder: Path, tell: Callable[[str], None] = lambda _: None) -> dict[str, Difference]:
    """Check every SHA-256 of a version, and run everything in it within the limits that it was published by.

    The SavedModel is compared with Keras' images of the 16 latents that the version keeps, every other file with the
    SavedModel's of all 256; a critic with Keras' scores of 64 images.

    Raises:
        ExportError: a file is missing, changed or new, or does not give those images any more.
    """
    found = manifest.check(folder)
    tell(f"{len(found['files'])} files have the SHA-256 that they were published with")
    try:
        with np.load(folder / REFERENCE) as stored:
            reference = dict(stored)
        if found.get("kind") == "critic":
            return _critic(folder, found, reference)
        return _generator(folder, found, reference, tell)
    except (OSError, KeyError, TypeError) as error:
        raise ExportError(f"{folder}: cannot be run: {' '.join(str(error).split())}") from error
    except tf.errors.OpError as error:
        raise ExportError(f"{folder}: {' '.join(error.message.split())[:400]}") from error


def _generator(
    folder: Path, found: dict[str, Any], inputs: dict[str, Any], tell: Callable[[str], None]
) -> dict[str, Difference]:
    limits = Limits(**{"int8_spread": float("inf"), **found.get("limits", {})})  # older versions do not have this one
    kept = inputs.pop("images")
    with ServingSession(folder) as served:
        expected = served.run_all("serving_default", inputs)
    difference = parity.compare(expected[: len(kept)], kept)
    parity.check("savedmodel", difference, limits.of("savedmodel"))
    if (folder / onnx.place(found["name"])).exists() and (missing := onnx.missing()):
        tell(f"the ONNX file is not run: {missing} is not installed ({onnx.INSTALL})")
    # Among equals of the SavedModel it would be compared with itself.
    return {**proof.prove(folder, found["name"], inputs, expected, limits).differences, "savedmodel": difference}


def _critic(folder: Path, found: dict[str, Any], reference: dict[str, Any]) -> dict[str, Difference]:
    expected = reference.pop("scores")
    pixels = reference.pop("pixels")
    inputs = {
        **reference,
        "images": pixels.astype(np.float32) / np.float32(255),
        "image_bytes": np.array([tf.io.encode_png(image).numpy() for image in pixels], object),
    }
    return discriminator_version.prove(folder, inputs, expected, found["limit"])
