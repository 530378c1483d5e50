"""The rows of a call, cut into requests as they are needed: seeds or latents, labels, images to be scored.

A call may be of any length, so nothing is made for the whole of it: row i is known from i.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genclient.errors import UsageError
from genclient.images import pixels
from genclient.latents.seeds import latents as draw_latents
from genclient.latents.seeds import seed_array
from genclient.model.signature import SignatureSpec

Label = int | Sequence[int] | NDArray[Any] | None

_ROUNDING = 1e-3
"""How far floats may leave [0, 1] and still be such pixels: what resizing leaves."""

Inputs = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Rows:
    """What a call asks for.

    Attributes:
        count: how many rows.
        numbers: int64 numbers (N,) of the rows from one to another: seeds, or where there are none, places.
        inputs: arrays by genline's names for the same rows.
        labels: int64 (N,) or None, for the same rows.
    """

    count: int
    numbers: Callable[[int, int], NDArray[np.int64]]
    inputs: Callable[[int, int], Inputs]
    labels: Callable[[int, int], NDArray[np.int64] | None]


def seed_numbers(seeds: Sequence[int] | NDArray[Any]) -> tuple[int, Callable[[int, int], NDArray[np.int64]]]:
    """How many seeds there are, and those from one place to another."""
    array = seed_array(seeds)
    return len(array), lambda start, stop: array[start:stop]


def counted_seeds(first: int, n: int | None) -> tuple[int, Callable[[int, int], NDArray[np.int64]]]:
    """The same for `n` seeds from `first` on, however many; None: as many as there are.

    Raises:
        UsageError: `n` is below 1, or a seed leaves int64.
    """
    count = 2**63 - first if n is None else n
    if count < 1:
        raise UsageError(f"n: found {n}, expected 1 or more")
    if first < -(2**63) or first + count > 2**63:
        raise UsageError(f"seed: {count} seeds from {first} leave int64, expected {-(2**63)} to {2**63 - 1}")
    return count, lambda start, stop: np.arange(start, stop, dtype=np.int64) + np.int64(first)


def of_generator(
    spec: SignatureSpec,
    numbered: tuple[int, Callable[[int, int], NDArray[np.int64]]],
    truncation: float,
    label: Label,
    given: NDArray[np.float32] | None,
) -> Rows:
    """Rows for a generator: of seeds, or of `given` latents.

    Raises:
        UsageError: the arguments do not fit each other or the model.
    """
    count, numbers = numbered
    labels = _labels(spec, label, count)
    check_truncation(spec, truncation)
    if given is not None and "latents" not in spec.inputs:
        raise UsageError("latents: found some, expected none with a signature that takes seeds")
    if given is not None and given.shape[1] != spec.z:
        raise UsageError(f"latents: found {given.shape[1]} an image, expected {spec.z}")

    def inputs(start: int, stop: int) -> Inputs:
        if "seeds" in spec.inputs:
            made: Inputs = {"seeds": numbers(start, stop)}
        elif given is not None:
            made = {"latents": given[start:stop] * np.float32(truncation)}
        else:
            made = {"latents": draw_latents(numbers(start, stop), spec.z or 0) * np.float32(truncation)}
        classes = labels(start, stop)
        return made if classes is None else {**made, "labels": classes}

    return Rows(count, numbers, inputs, labels)


def of_critic(spec: SignatureSpec, images: ArrayLike, label: Label) -> Rows:
    """Rows for a critic: uint8 images, or floats in [0, 1], (N, H, W, C).

    Raises:
        UsageError: they are no images, have another range, or are not of the critic's size.
    """
    array = np.asarray(images)
    if array.ndim != 4 or not array.size or (array.dtype != np.uint8 and array.dtype.kind != "f"):
        raise UsageError(f"images: found {array.dtype} {array.shape}, expected uint8 or floats (N, H, W, C)")
    if array.dtype.kind == "f" and not (array.min() >= -_ROUNDING and array.max() <= 1 + _ROUNDING):
        raise UsageError(
            f"images: found floats from {array.min():g} to {array.max():g}, expected uint8, or floats in [0, 1]"
        )
    declared = spec.inputs["images"].shape
    if declared is not None and any(
        want not in (None, got) for want, got in zip(declared[1:], array.shape[1:], strict=False)
    ):
        raise UsageError(f"images: found {array.shape[1:]}, expected {declared[1:]}")
    wants_bytes = spec.inputs["images"].dtype == "uint8"
    labels = _labels(spec, label, len(array))

    def inputs(start: int, stop: int) -> Inputs:
        part = array[start:stop]
        if wants_bytes:
            part = pixels.to_pixels(part, "images")
        elif part.dtype == np.uint8:
            part = part.astype(np.float32) / np.float32(255)
        classes = labels(start, stop)
        return {"images": part} if classes is None else {"images": part, "labels": classes}

    return Rows(len(array), lambda start, stop: np.arange(start, stop, dtype=np.int64), inputs, labels)


def of_files(spec: SignatureSpec, files: Sequence[bytes], label: Label) -> Rows:
    """Rows for a critic that takes picture files.

    Raises:
        UsageError: there are none, or the labels do not fit.
    """
    if not files:
        raise UsageError("files: found none, expected pictures")
    array = np.empty(len(files), object)
    array[:] = files
    labels = _labels(spec, label, len(array))

    def inputs(start: int, stop: int) -> Inputs:
        classes = labels(start, stop)
        made: Inputs = {"image_bytes": array[start:stop]}
        return made if classes is None else {**made, "labels": classes}

    return Rows(len(array), lambda start, stop: np.arange(start, stop, dtype=np.int64), inputs, labels)


def check_truncation(spec: SignatureSpec, truncation: float) -> None:
    """See that a truncation can be applied.

    Raises:
        UsageError: it is out of range, or the server draws the latents.
    """
    if isinstance(truncation, bool) or not isinstance(truncation, (int, float, np.number)):
        raise UsageError(f"truncation: found {truncation!r:.60}, expected a number from -100 to 100")
    if not -100 <= truncation <= 100:  # so that not-a-number and what float32 cannot hold stay out
        raise UsageError(f"truncation: found {truncation}, expected a number from -100 to 100")
    if "seeds" in spec.inputs and truncation != 1:
        raise UsageError(
            f"truncation: found {truncation:g}, expected 1 with a signature that takes seeds: "
            "the server draws the latents, choose one that takes latents"
        )


def check_label(spec: SignatureSpec, label: int | None) -> None:
    """See that the label of an image fits a model.

    Raises:
        UsageError: it is missing, superfluous or no index.
    """
    if spec.conditional and label is None:
        raise UsageError("label: found none, expected the index of a class, since this generator is conditional")
    if not spec.conditional and label is not None:
        raise UsageError(f"label: found {label}, expected none, since this generator is not conditional")
    if label is not None and not 0 <= label < 2**31:
        raise UsageError(f"label: found {label}, expected the index of a class, from 0")


def _labels(spec: SignatureSpec, label: Label, count: int) -> Callable[[int, int], NDArray[np.int64] | None]:
    """The labels from one row to another: the same for all, or one for each."""
    if label is None or isinstance(label, (int, np.integer)):
        check_label(spec, None if label is None else int(label))
        return lambda start, stop: None if label is None else np.full(stop - start, label, np.int64)
    array = np.asarray(label)
    if array.dtype.kind not in "iu" or array.shape != (count,):
        raise UsageError(
            f"label: found {array.dtype} {array.shape}, expected a class, or one for each of {count} images"
        )
    for extreme in (array.min(), array.max()):
        check_label(spec, int(extreme))
    whole = array.astype(np.int64)
    return lambda start, stop: whole[start:stop]
