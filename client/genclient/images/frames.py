"""The frames of an animated picture: GIF, WebP or APNG."""

from __future__ import annotations

import io
from typing import NamedTuple

from PIL import Image, ImageSequence

_DEFAULT_DURATION = 100
"""Milliseconds of a frame that says nothing, or 10 at most: as browsers show it."""


class FrameSequence(NamedTuple):
    """Frames as contents of PNG files, how long each is shown in milliseconds, and whether it begins again."""

    frames: list[bytes]
    milliseconds: list[int]
    loops: bool


def read(content: bytes) -> FrameSequence | None:
    """The frames of a picture file as they are seen; None of one that has not several, or that cannot be read."""
    try:
        with Image.open(io.BytesIO(content)) as opened:
            if getattr(opened, "n_frames", 1) < 2:
                return None
            frames = [(_png(frame), _milliseconds(frame)) for frame in ImageSequence.Iterator(opened)]
            loops = opened.info.get("loop", 1) == 0
    except Exception:  # which ones a damaged file raises is not bounded; whoever reads its picture tells
        return None
    return FrameSequence([frame for frame, _ in frames], [milliseconds for _, milliseconds in frames], loops)


def _png(frame: Image.Image) -> bytes:
    made = io.BytesIO()
    frame.convert("RGBA" if frame.has_transparency_data else "RGB").save(made, "PNG", compress_level=1)
    return made.getvalue()


def _milliseconds(frame: Image.Image) -> int:
    duration = round(frame.info.get("duration", 0) or 0)
    return duration if duration > 10 else _DEFAULT_DURATION
