"""Is a version still what was published? First every byte, then every image, against what the version itself holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from genexport import kinds
from genexport.compare.parity import Difference
from genexport.errors import ExportError
from genexport.repository import manifest

REFERENCE = "reference.npz"


def verify(folder: Path, report: Callable[[str], None] = lambda _: None) -> dict[str, Difference]:
    """Check every SHA-256 of a version, and run everything in it within the limits that it was published by.

    The SavedModel is compared with Keras' images of the 16 latents that the version keeps, every other file with the
    SavedModel's of all 256; a discriminator with Keras' scores of 64 images.

    Args:
        folder: the version's, such as models/digits/1.
        report: called with a line for each step.

    Returns:
        Artifact, as `parity` in the manifest names it → its difference from Keras.

    Raises:
        ExportError: a file is missing, changed or new, or does not give those images any more.

    Example:
    ```python
    differences = verify(Path("models/digits/1"))
    differences["tflite/int8"].psnr_db  # 39.2
    ```
    """
    entries = manifest.check(folder)
    report(f"{len(entries['files'])} files have the SHA-256 that they were published with")
    try:
        with np.load(folder / REFERENCE) as stored:
            reference = dict(stored)
        return kinds.of(entries).verify(folder, entries, reference, report)
    except (OSError, KeyError, TypeError) as error:
        raise ExportError(f"{folder}: cannot be run: {' '.join(str(error).split())}") from error
    except tf.errors.OpError as error:
        raise ExportError(f"{folder}: {' '.join(error.message.split())[:400]}") from error
