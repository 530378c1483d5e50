"""Streets by day and by night as pairs, 64×64, whose lit windows can be counted: those with curtains are lit at night.

To OUT/{train,test}/{day,night}/NUMBER.png, and the windows of the tested ones to OUT/windows.json: for each picture a
list of [left, top, right, bottom, lit], pixels, right and bottom outside.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

SIDE, SCALE = 64, 4  # drawn four times as large, for soft edges
TRAINED, TESTED = 1500, 200
SKY, NIGHT = ((170, 205, 240), (120, 170, 225)), ((18, 22, 48), (8, 10, 28))
WALLS = ((196, 120, 90), (214, 190, 150), (150, 160, 170), (180, 150, 130), (120, 135, 120), (205, 205, 200))
GLASS, CURTAIN, LIT, DARK = (90, 120, 150), (225, 215, 190), (255, 214, 110), (24, 26, 40)
DIMMED = 0.22
NEAR = 120  # of 765, the sum of the differences of three colours

Window = tuple[int, int, int, int, bool]


def scene(seed: int) -> tuple[Image.Image, Image.Image, list[Window]]:
    """By day, by night, and where the windows are."""
    random = np.random.default_rng(seed)
    day, night = (_sky(*colours) for colours in (SKY, NIGHT))
    draw, dark = ImageDraw.Draw(day), ImageDraw.Draw(night)
    windows: list[Window] = []
    left = -int(random.integers(0, 6))
    while left < SIDE:
        width, top = int(random.integers(14, 26)), int(random.integers(10, 34))
        wall = WALLS[int(random.integers(len(WALLS)))]
        _box(draw, (left, top, left + width, SIDE), wall)
        _box(dark, (left, top, left + width, SIDE), tuple(round(DIMMED * value) for value in wall))
        for row in range(top + 4, SIDE - 8, 9):
            for column in range(left + 3, left + width - 6, 7):
                box, lit = (column, row, column + 4, row + 5), bool(random.random() < 0.4)
                _box(draw, box, GLASS)
                if lit:
                    _box(draw, (column, row, column + 4, row + 2), CURTAIN)
                _box(dark, box, LIT if lit else DARK)
                if column >= 0 and column + 4 <= SIDE:
                    windows.append((*box, lit))
        left += width + int(random.integers(0, 3))
    return _small(day), _small(night), windows


def write(out: Path) -> None:
    """Draw all of them."""
    for part, first, count in (("train", 0, TRAINED), ("test", TRAINED, TESTED)):
        found: dict[str, list[Window]] = {}
        for name in ("day", "night"):
            (out / part / name).mkdir(parents=True, exist_ok=True)
        for seed in range(first, first + count):
            day, night, windows = scene(seed)
            day.save(out / part / "day" / f"{seed:05}.png")
            night.save(out / part / "night" / f"{seed:05}.png")
            found[f"{seed:05}"] = windows
        if part == "test":
            (out / "windows.json").write_text(json.dumps(found), encoding="utf-8")


def right(images: Any, windows: dict[str, list[Window]]) -> float:
    """The part of the windows whose middle is lit, or dark, as it should be.

    Args:
        images: uint8 (N, 64, 64, 3), in the order of `windows`.
        windows: what `write` keeps.
    """
    found = []
    for image, of_image in zip(np.asarray(images, np.float32), windows.values(), strict=True):
        for x0, y0, x1, y1, lit in of_image:
            middle = image[y0 + 1 : y1 - 1, x0 + 1 : x1 - 1].mean(axis=(0, 1))
            found.append(float(np.abs(middle - np.array(LIT if lit else DARK)).sum()) < NEAR)
    return float(np.mean(found))


def _sky(top: tuple[int, ...], bottom: tuple[int, ...]) -> Image.Image:
    ramp = np.linspace(0, 1, SIDE * SCALE)[:, None, None]
    rows = np.array(top) * ramp + np.array(bottom) * (1 - ramp)
    return Image.fromarray(np.broadcast_to(rows, (SIDE * SCALE, SIDE * SCALE, 3)).astype(np.uint8))


def _box(draw: ImageDraw.ImageDraw, box: tuple[int, int, int, int], colour: tuple[int, ...]) -> None:
    x0, y0, x1, y1 = (SCALE * value for value in box)
    draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=colour)


def _small(image: Image.Image) -> Image.Image:
    return image.resize((SIDE, SIDE), Image.Resampling.BOX)


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("out", type=Path)
    write(parser.parse_args().out)


if __name__ == "__main__":
    main()
