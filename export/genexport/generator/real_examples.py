"""Real examples for a generator that takes pictures: those that a run held out, or a folder's pictures."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from genexport.errors import ExportError
from genexport.generator.keras_file import one_line
from genexport.roles import requests
from genexport.roles.preprocess import Frame, decoded
from genexport.roles.tensor import Tensor, shape

FILE = "examples.npz"

MOST = 192
"""Examples that are read, at most: 64 to compare files on, the others to calibrate with."""

FEWEST = 16
"""Examples that calibration needs; where fewer remain, it uses those that files are compared on too."""

STARTS = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"GIF8")
"""How picture files begin that a SavedModel can decode."""

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, eq=False)
class RealExamples:
    """Real values of some inputs.

    Attributes:
        values: role → (N, …) as `serving_default` takes them, pictures in whole pixels.
        truth: the right images (N, H, W, C) or clips in [0, 1], where they are known.
        source: where they come from, for people.
    """

    values: Mapping[str, Array]
    truth: Array | None
    source: str

    def __len__(self) -> int:
        """N."""
        return min(len(values) for values in self.values.values())

    def first(self, role: str, count: int) -> Array:
        """The first `count` values; from the start again where there are fewer."""
        return self.values[role][np.arange(count) % len(self)]

    def beyond(self, role: str, count: int, compared: int) -> Array:
        """`count` values that are not among the first `compared`, if there are enough of them."""
        start = compared if len(self) - compared >= FEWEST else 0
        return self.values[role][start + np.arange(count) % (len(self) - start)]


def of_run(run: Path, inputs: Sequence[Tensor], images: Tensor | None = None) -> RealExamples | None:
    """The examples.npz of a run, or None where there is none; `images` is the output whose right values it may hold.

    Raises:
        ExportError: it cannot be read, or does not fit the model's inputs.
    """
    file = run / FILE
    if not file.exists():
        return None
    try:
        with np.load(file, allow_pickle=False) as stored:
            arrays = {name: stored[name][:MOST] for name in stored.files}
    except (OSError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ExportError(f"{file}: cannot be read: {one_line(error)}; write it again with gentrain") from error
    values = {t.role: _values(file, arrays[t.name], t) for t in inputs if t.name in arrays}
    if not values or not min(map(len, values.values())):
        names = ", ".join(tensor.name for tensor in inputs if tensor.role != "latents")
        raise ExportError(f"{file}: expected examples of {names}, found {', '.join(arrays) or 'nothing'}")
    truth = _values(file, arrays[images.name], images) if images and images.name in arrays else None
    return RealExamples(values, truth, FILE)


def of_folder(folder: Path, inputs: Sequence[Tensor]) -> RealExamples:
    """The pictures in a folder, PNG, JPEG, BMP or GIF of any size, for the input that is a picture.

    Raises:
        ExportError: there are none, or the generator takes no picture.
    """
    image = next((tensor for tensor in inputs if tensor.role == "image"), None)
    if image is None:
        raise ExportError(f"--examples {folder}: this generator takes no pictures; leave --examples out")
    if not folder.is_dir():
        raise ExportError(f"--examples {folder}: expected a folder of pictures")
    frame = Frame.of_tensor(image)
    pictures: list[Array] = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = file.read_bytes()
        if content.startswith(STARTS) and len(pictures) < MOST:
            try:
                pictures.append(np.asarray(decoded(tf.constant([content]), frame))[0])
            except tf.errors.OpError:  # cut short, or a kind of BMP that nobody reads
                continue
    if not pictures:
        raise ExportError(f"--examples {folder}: no PNG, JPEG, BMP or GIF in it that can be decoded")
    return RealExamples({"image": np.stack(pictures)}, None, str(folder))


def _values(file: Path, array: Array, tensor: Tensor) -> Array:
    """Stored values as `serving_default` takes them."""
    if tuple(array.shape[1:]) != tensor.shape[1:]:
        sizes = shape((None, *array.shape[1:]))
        raise ExportError(f"{file}: {tensor.name} is {sizes}, expected {shape(tensor.shape)} as the generator has it")
    if len(tensor.shape) not in (4, 5):
        return array.astype(tensor.dtype)
    if array.dtype != np.uint8:
        raise ExportError(f"{file}: {tensor.name} is {array.dtype}; expected pixels, uint8")
    return requests.restore({tensor.name: array})[tensor.name]
