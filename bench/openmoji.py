"""OpenMoji's outlines and colours as pairs of pictures, 64×64, for training on one part and testing on another.

From the npm package `openmoji` (CC BY-SA 4.0) unpacked in DIR to OUT/{train,test}/{outline,colour}/HEXCODE.png. Skin
tones and flags are left out, and whole concepts are held out: a man judge, a woman judge and a judge are one.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

SIDE = 64
TESTED = 0.11  # of the concepts
FOLDERS = {"outline": "black", "colour": "color"}
WHO = re.compile(r"\b(old|older|man|men|woman|women|person|people|boy|girl|child|facing right|in skirt|\d+)\b")


def concept(annotation: str) -> str:
    """`woman judge` → `judge`: what pictures that hardly differ have in common."""
    return " ".join(WHO.sub(" ", annotation.lower()).split()) or annotation


def is_tested(annotation: str) -> bool:
    """Whether a picture is held out, with all of its concept."""
    digest = hashlib.sha256(concept(annotation).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32 < TESTED


def write(package: Path, out: Path, side: int = SIDE) -> dict[str, int]:
    """Draw all pairs; how many there are in each part."""
    found = json.loads((package / "data" / "openmoji.json").read_text(encoding="utf-8"))
    wanted = [one for one in found if not one["skintone"] and one["group"] != "flags"]
    parts = ("train", "test")
    for part in parts:
        for name in FOLDERS:
            (out / part / name).mkdir(parents=True, exist_ok=True)

    def draw(one: dict[str, Any]) -> str:
        part = parts[is_tested(one["annotation"])]
        for name, folder in FOLDERS.items():
            svg = package / folder / "svg" / f"{one['hexcode']}.svg"
            rasterised(svg, side, out / part / name / f"{one['hexcode']}.png")
        return part

    with ThreadPoolExecutor(2) as pool:
        drawn = list(pool.map(draw, wanted))
    return {part: drawn.count(part) for part in parts}


def rasterised(svg: Path, side: int, out: Path) -> None:
    """A drawing as PNG (side, side) on white."""
    import resvg_py
    from PIL import Image

    png = resvg_py.svg_to_bytes(svg_path=str(svg), width=side, height=side, background="#ffffff")
    with Image.open(io.BytesIO(bytes(png))) as image:
        image.convert("RGB").save(out, "PNG")


def main() -> None:
    """Draw them where they are not there yet."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("package", type=Path, help="unpacked npm package openmoji")
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=SIDE)
    arguments = parser.parse_args()
    if not (arguments.package / "data" / "openmoji.json").is_file():
        sys.exit(f"{arguments.package}: not the npm package openmoji; unpack what `npm pack openmoji` gives")
    counts = write(arguments.package, arguments.out, arguments.side)
    print(", ".join(f"{count} pairs in {arguments.out / part}" for part, count in counts.items()))


if __name__ == "__main__":
    main()
