"""Roles of models that make clips: the clips themselves, and the same as a PNG file for each frame."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient.errors import ClientError
from genclient.images import pixels
from genclient.model.role import FLOATS, Read, has_rank
from genclient.model.roles import PixelsRole, PngRole
from genclient.model.signature import TensorSpec
from genclient.rpc import codec


class ClipsRole(PixelsRole):
    """Clips (N, T, H, W, C) that a generator makes, uint8 or floats; in results `images`, uint8 with T frames each."""

    name = "clips"
    expected = "clips to be floats or uint8 (N, T, H, W, C)"
    instead = ("png_bytes",)

    @property
    def result(self) -> str:
        """Read, they are images, several of each example."""
        return "images"

    def fits(self, spec: TensorSpec) -> bool:
        """Floats or bytes of five dimensions."""
        return spec.dtype in (*FLOATS, "bfloat16", "uint8") and has_rank(spec, 5)

    def reader(self, value_range: pixels.Range | None) -> Read:
        """As uint8 (N, T, H, W, C)."""
        return _frames(super().reader(value_range), 5)


class ClipFilesRole(PngRole):
    """Clips as PNG files, string (N, T)."""

    expected = "png_bytes to be string (N, T)"
    instead = ("clips",)

    def fits(self, spec: TensorSpec) -> bool:
        """Strings of two dimensions."""
        return spec.dtype == "string" and has_rank(spec, 2)

    def reader(self, value_range: pixels.Range | None) -> Read:
        """As uint8 (N, T, H, W, C)."""
        return _frames(super().reader(value_range), 2)


CLIPS, CLIP_FILES = ClipsRole(), ClipFilesRole()


def _frames(read: Read, rank: int) -> Read:
    """Reads the frames of all clips as images, (N·T, …), and gives them as (N, T, …)."""

    def clips(array: NDArray[Any], name: str) -> NDArray[np.uint8]:
        if array.ndim != rank or not array.size:
            raise ClientError(f"{name}: found shape {codec.shape_text(array.shape)}, expected clips, (N, T, …)")
        frames = read(array.reshape(-1, *array.shape[2:]), name)
        return frames.reshape(*array.shape[:2], *frames.shape[1:])

    return clips
