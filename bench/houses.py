"""The same emoji as several houses draw them, 64×64, cropped to their content: for pictures in the style of others.

From the npm packages emoji-datasource-google (Apache-2.0), emoji-datasource-twitter (CC BY 4.0) and openmoji (CC BY-SA
4.0), each unpacked in a folder. Concepts are in one of three parts, `a`, `b` and `test`, with all of their variants (a
man judge, a woman judge and a judge are one), so OUT/HOUSE/a and OUT/OTHER/b show nothing twice, and OUT/HOUSE/test and
OUT/OTHER/test show the same. Skin tones and flags are left out.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from openmoji import concept
from PIL import Image

SIDE, MARGIN = 64, 2
DRAWN = 128  # SVG files, before they are cropped
FAINTEST = 16  # what is less opaque is no content
PARTS = {"a": 0.44, "b": 0.44, "test": 0.12}
SEX = re.compile(r"\b(male|female|mens?|womens?)\b")


def part_of(name: str) -> str:
    """The part of an emoji, the same for all of one concept."""
    digest = hashlib.sha256(concept(SEX.sub(" ", name.lower())).encode()).digest()
    place, least = int.from_bytes(digest[:4], "big") / 2**32, 0.0
    for part, size in PARTS.items():
        least += size
        if place < least:
            return part
    return part


def to_content(image: Image.Image, side: int = SIDE) -> Image.Image:
    """What is not transparent, as large as fits on a white square."""
    image = image.convert("RGBA")
    box = image.getchannel("A").point(lambda alpha: 255 * (alpha >= FAINTEST)).getbbox() or (0, 0, *image.size)
    content = image.crop(box)
    scale = (side - 2 * MARGIN) / max(content.size)
    size = tuple(max(1, round(length * scale)) for length in content.size)
    content = content.resize((size[0], size[1]), Image.Resampling.LANCZOS)
    square = Image.new("RGBA", (side, side), "white")
    square.alpha_composite(content, ((side - size[0]) // 2, (side - size[1]) // 2))
    return square.convert("RGB")


def write(google: Path, twitter: Path, openmoji: Path, out: Path) -> dict[str, int]:
    """Draw all emoji that the three houses have; how many there are in each part."""
    found = json.loads((google / "emoji.json").read_text(encoding="utf-8"))
    wanted = [one for one in found if one["category"] not in ("Flags", "Component")]
    for house in ("google", "twitter", "openmoji"):
        for part in PARTS:
            (out / house / part).mkdir(parents=True, exist_ok=True)

    def draw(one: dict[str, Any]) -> str | None:
        name = one["image"]
        files = {
            house: folder / f"img/{house}/64/{name}" for house, folder in (("google", google), ("twitter", twitter))
        }
        svgs = [openmoji / f"color/svg/{one[key]}.svg" for key in ("unified", "non_qualified") if one[key]]
        svg = next((file for file in svgs if file.is_file()), None)
        if svg is None or not all(file.is_file() for file in files.values()):
            return None
        part = part_of(one["name"])
        for house, file in files.items():
            with Image.open(file) as image:
                to_content(image).save(out / house / part / name)
        to_content(rasterised(svg)).save(out / "openmoji" / part / name)
        return part

    with ThreadPoolExecutor(2) as pool:
        drawn = list(pool.map(draw, wanted))
    return {part: drawn.count(part) for part in PARTS}


def rasterised(svg: Path) -> Image.Image:
    """A drawing, transparent where nothing is."""
    import resvg_py

    png = resvg_py.svg_to_bytes(svg_path=str(svg), width=DRAWN, height=DRAWN)
    return Image.open(io.BytesIO(bytes(png)))


def main() -> None:
    """Draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for house in ("google", "twitter", "openmoji"):
        parser.add_argument(f"--{house}", type=Path, required=True, help="the unpacked npm package")
    parser.add_argument("out", type=Path)
    arguments = parser.parse_args()
    counts = write(arguments.google, arguments.twitter, arguments.openmoji, arguments.out)
    print(", ".join(f"{count} in {part}" for part, count in counts.items()))


if __name__ == "__main__":
    main()
