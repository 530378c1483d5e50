"""preview.webp: some clips side by side, which play in the model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

FILE = "preview.webp"

FRAMES_PER_SECOND = 12.0
"""Where nobody says how fast clips are."""

CLIPS = (4, 2)
"""Columns and rows."""

SMALLEST_SIDE = 96


def write(clips: np.ndarray[Any, Any], fps: float, file: Path) -> None:
    """Write an animation of the first eight of float clips (N, T, H, W, C) in [0, 1], at a size to be seen."""
    columns = min(CLIPS[0], len(clips))
    rows = min(CLIPS[1], len(clips) // columns)
    shown = np.rint(np.clip(clips[: columns * rows], 0, 1) * 255).astype(np.uint8)
    _, frames, height, width, channels = shown.shape
    laid_out = shown.reshape(rows, columns, frames, height, width, channels).transpose(2, 0, 3, 1, 4, 5)
    pixels = laid_out.reshape(frames, rows * height, columns * width, channels)
    scale = max(1, SMALLEST_SIDE // max(height, width))
    size = columns * width * scale, rows * height * scale
    pictures = [
        Image.fromarray(frame[..., 0] if channels == 1 else frame).resize(size, Image.Resampling.NEAREST)
        for frame in pixels
    ]
    pictures[0].save(
        file, "WEBP", save_all=True, append_images=pictures[1:], duration=round(1000 / fps), loop=0, quality=80
    )
