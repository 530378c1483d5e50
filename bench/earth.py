"""The Earth by day and by night as pairs, 64×64, for training on one part of the globe and testing on another.

From the npm package `three-globe` unpacked in DIR to OUT/{train,test}/{day,night}/TOP_LEFT.png: tiles of a map of
2048×1024 that are land for a third or more, none beyond 70° north or south. Tested are the longitudes of India and its
neighbours, and no tile of the training comes nearer to these than half a tile. The package says nothing about where its
pictures come from: they are to measure with, not to show.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT, SIDE = 2048, 1024, 64
LAND = 0.35
FURTHEST = 70.0
TESTED = (65.0, 105.0)  # degrees east
PICTURES = {"day": "earth-blue-marble.jpg", "night": "earth-night.jpg"}


def column(degrees: float) -> int:
    """Where a longitude is on the map."""
    return round((degrees + 180.0) / 360.0 * WIDTH)


def part_of(left: int) -> str | None:
    """Which part a tile belongs to by its left border: `train`, `test`, or neither where it is near to both."""
    west, east = (column(degrees) for degrees in TESTED)
    if west <= left and left + SIDE <= east:
        return "test"
    return None if west - SIDE // 2 < left + SIDE and left < east + SIDE // 2 else "train"


def write(package: Path, out: Path) -> dict[str, int]:
    """Cut all pairs; how many there are in each part."""
    maps = {name: _map(package, file) for name, file in PICTURES.items()}
    water = np.asarray(_map(package, "earth-water.png").convert("L")) > 127
    last = round((90.0 - FURTHEST) / 180.0 * HEIGHT)
    counts = {"train": 0, "test": 0}
    for top in range(last, HEIGHT - last - SIDE + 1, SIDE // 2):
        for left in range(0, WIDTH - SIDE + 1, SIDE // 2):
            part = part_of(left)
            if part is None or 1.0 - water[top : top + SIDE, left : left + SIDE].mean() < LAND:
                continue
            counts[part] += 1
            for name, picture in maps.items():
                path = out / part / name / f"{top:04}_{left:04}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                picture.crop((left, top, left + SIDE, top + SIDE)).save(path)
    return counts


def _map(package: Path, file: str) -> Image.Image:
    with Image.open(package / "example" / "img" / file) as picture:
        return picture.convert("RGB").resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)


def main() -> None:
    """Cut them where they are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("package", type=Path, help="unpacked npm package three-globe")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    if not (arguments.package / "example" / "img" / PICTURES["day"]).is_file():
        sys.exit(f"{arguments.package}: not the npm package three-globe; unpack what `npm pack three-globe` gives")
    counts = write(arguments.package, arguments.out)
    print(", ".join(f"{count} pairs in {arguments.out / part}" for part, count in counts.items()))


if __name__ == "__main__":
    main()
