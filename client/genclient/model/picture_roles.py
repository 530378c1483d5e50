"""Roles of models that make pictures of pictures: the picture itself, and colours at some of its places."""

from __future__ import annotations

import zlib
from dataclasses import replace
from struct import pack
from typing import Any

import numpy as np

from genclient.model.role import Column, Given, Repeated
from genclient.model.roles import FilesRole, ImageRole, PixelsRole
from genclient.model.signature import TensorSpec


class PictureRole(ImageRole):
    """The picture that a model makes another of."""

    def fits(self, spec: TensorSpec) -> bool:
        """Also of a size that pictures have: latents may have four dimensions too."""
        if not super().fits(spec) or spec.shape is None:
            return False
        return len(spec.shape) == 4 and spec.shape[-1] in (1, 3, 4, None) and 1 not in spec.shape[1:3]


class HintsRole(PixelsRole):
    """Colours at some places (N, H, W, 4): red, green, blue and a mask; all black where there are none."""

    name = "hints"
    expected = "hints to be floats or uint8 (N, H, W, 4)"
    guessed = False
    optional = True
    instead = ("hints_bytes",)

    def column(self, spec: TensorSpec, given: Given, count: int | None) -> Column:
        """Those that are given, or none."""
        if given.get(self.name) is None:
            sizes = (spec.shape or (None,) * 4)[1:]
            given = {**given, self.name: np.zeros([size or 1 for size in sizes], np.uint8)}
        return super().column(spec, given, count)


class HintFilesRole(FilesRole):
    """The same as PNG files whose opaque pixels are the hints, string (N,)."""

    name = "hints_bytes"
    expected = "hints_bytes to be string (N)"
    optional = True
    instead = ("hints",)

    def column(self, spec: TensorSpec, given: Given, count: int | None) -> Column:
        """Those that are given, one for all or one for each; or none."""
        files: Any = given.get(self.name)
        if files is None or isinstance(files, bytes):  # of a call without an end too
            return replace(Repeated(files or transparent(), 1).column(self, spec, given), count=count)
        return super().column(spec, given, count)


PICTURE, HINTS, HINT_FILES = PictureRole(), HintsRole(), HintFilesRole()


def transparent(side: int = 8) -> bytes:
    """A PNG file (RGBA) in which nothing is opaque. Source: w3.org/TR/png-3."""
    rows = zlib.compress(bytes(side * (1 + 4 * side)))
    parts = ((b"IHDR", pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)), (b"IDAT", rows), (b"IEND", b""))
    chunks = [pack(">I", len(c)) + kind + c + pack(">I", zlib.crc32(kind + c)) for kind, c in parts]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
