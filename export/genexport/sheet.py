"""contact_sheet.png: the same latents through Keras, the SavedModel and each TFLite file, one row each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

GAP = 4
CAPTION_HEIGHT = 18


def write(rows: Mapping[str, np.ndarray[Any, Any]], file: Path) -> None:
    """Write rows of float images (N, H, W, C) in [0, 1], each under its caption, enlarged to be seen."""
    count, height, width, channels = next(iter(rows.values())).shape
    scale = max(1, 64 // max(height, width))
    cell_width, cell_height = width * scale + GAP, height * scale + GAP
    sheet = Image.new("RGB", (count * cell_width + GAP, len(rows) * (cell_height + CAPTION_HEIGHT) + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=13)
    top = GAP
    for caption, images in rows.items():
        draw.text((GAP, top), caption, fill="black", font=font)
        top += CAPTION_HEIGHT
        pixels = np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)
        for column, image in enumerate(pixels):
            picture = Image.fromarray(image[..., 0] if channels == 1 else image)
            picture = picture.resize((width * scale, height * scale), Image.Resampling.NEAREST)
            sheet.paste(picture, (GAP + column * cell_width, top), picture if channels == 4 else None)
        top += cell_height
    sheet.save(file, "PNG")
