"""Image grids, captioned rows: contact_sheet.png (every file's images of the same inputs), directions.png."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

CONTACT_SHEET = "contact_sheet.png"

GAP = 4
CAPTION_HEIGHT = 18

# Images are enlarged in whole steps to about this many pixels, and shrunk to at most twice as many.
SHOWN_SIDE = 64


def write(rows: Mapping[str, np.ndarray[Any, Any]], file: Path) -> None:
    """Write rows of float images (N, H, W, C) in [0, 1], each under its caption, at a size to be seen."""
    count, height, width, _ = next(iter(rows.values())).shape
    scale: float = max(1, SHOWN_SIDE // max(height, width))
    if max(height, width) > 2 * SHOWN_SIDE:
        scale = 2 * SHOWN_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    cell_width, cell_height = size[0] + GAP, size[1] + GAP
    grid = Image.new("RGB", (count * cell_width + GAP, len(rows) * (cell_height + CAPTION_HEIGHT) + GAP), "white")
    draw = ImageDraw.Draw(grid)
    font = ImageFont.load_default(size=13)
    top = GAP
    for caption, images in rows.items():
        draw.text((GAP, top), caption, fill="black", font=font)
        top += CAPTION_HEIGHT
        pixels = np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)
        for column, image in enumerate(pixels):
            picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
            resampling = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
            picture = picture.resize(size, resampling)
            grid.paste(picture, (GAP + column * cell_width, top), picture if image.shape[-1] == 4 else None)
        top += cell_height
    mark = PngInfo()  # by which whoever reads images knows that it is none
    mark.add_text("genline", "a sheet of images")
    grid.save(file, "PNG", pnginfo=mark)
