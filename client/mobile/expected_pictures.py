"""Write expected_pictures.csv, the pixels that the unit tests of both phone samples compare with.

    python client/mobile/expected_pictures.py

A line a picture: how large it is, how it is brought to 4×6 pixels, and these, as Pillow makes them with what genclient
calls. Value c of pixel (x, y) of a picture is (37 x + 91 y + 53 c + 7 x y) mod 256.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from genclient.images.prepare import Preprocessing, fitted

TABLE = Path(__file__).resolve().with_name("expected_pictures.csv")
WIDTH, HEIGHT, BACKGROUND = 4, 6, "#20a0ff"
CASES = (
    *((4, 6, 3, "center", "lanczos"), (3, 2, 3, "center", "lanczos"), (31, 17, 3, "center", "lanczos")),
    *((90, 133, 3, "center", "lanczos"), (90, 133, 1, "center", "lanczos"), (64, 20, 3, "none", "lanczos")),
    *((64, 20, 3, "pad", "lanczos"), (20, 64, 1, "pad", "lanczos"), (31, 17, 3, "center", "nearest")),
)


def picture(width: int, height: int) -> np.ndarray:
    """The picture of a size, uint8 (height, width, 3)."""
    y, x, c = np.ogrid[:height, :width, :3]
    return ((37 * x + 91 * y + 53 * c + 7 * x * y) % 256).astype(np.uint8)


def grey(pixels: np.ndarray) -> np.ndarray:
    """As Pillow weighs colours, (h, w, 1)."""
    return ((pixels @ np.array([19595, 38470, 7471]) + 2**15) >> 16).astype(np.uint8)[..., None]


def table() -> str:
    """`width,height,channels,crop,resize,p0,p1,…`."""
    lines = ["width,height,channels,crop,resize,pixels"]
    for width, height, channels, crop, resize in CASES:
        pixels = picture(width, height)
        how = Preprocessing(crop, BACKGROUND, resize)
        made = fitted(grey(pixels) if channels == 1 else pixels, HEIGHT, WIDTH, how)
        lines.append(",".join(map(str, [width, height, channels, crop, resize, *made.ravel().tolist()])))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TABLE.write_text(table(), encoding="utf-8")
    sys.exit(0)
