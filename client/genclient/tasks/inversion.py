"""From a picture to the latents, and the class, that a generator draws it of: what a run's encoder finds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient.errors import ClientError
from genclient.model.picture_roles import PICTURE
from genclient.model.role import FLOATS, INTEGERS, Read, Role, has_rank
from genclient.model.roles import FILES
from genclient.model.signature import TensorSpec
from genclient.tasks.task import Task

INVERT = "invert"
OF_FILES = "invert_encoded"
"""The signature that takes pictures of any size."""


class FoundLatents(Role):
    """Latents float (N, Z) that a model gives; only by their name, as many things are such numbers."""

    name = "latents"
    expected = "latents to be floats (N, Z)"
    guessed = False

    def fits(self, spec: TensorSpec) -> bool:
        """Floats of two dimensions."""
        return spec.dtype in FLOATS and has_rank(spec, 2)

    def reader(self, value_range: Any) -> Read:
        """float32 (N, Z), all of them finite."""
        return _latents


class FoundLabels(Role):
    """Classes that a model sees in pictures, integers (N,)."""

    name = "labels"
    expected = "labels to be integers (N)"
    guessed = False
    optional = True

    def fits(self, spec: TensorSpec) -> bool:
        """Whole numbers, one a picture."""
        return spec.dtype in INTEGERS and has_rank(spec, 1)


def _latents(array: NDArray[Any], name: str) -> NDArray[np.float32]:
    if array.ndim != 2 or array.dtype.kind != "f" or not np.isfinite(array).all():
        raise ClientError(f"{name}: found {array.dtype} {array.shape}, expected finite numbers (N, Z)")
    return array.astype(np.float32)


INVERSION = Task(
    "inversion",
    inputs=[PICTURE, FILES],
    outputs=[FoundLatents(), FoundLabels()],
    noun="one that finds latents of pictures",
    expected=("an input image or image_bytes", "an output latents"),
    cheapest=(INVERT, OF_FILES),
    strict=False,
)
