"""Which of four pictures is meant? A person reads a caption and picks, without knowing; then the answers are compared.

Draws 40 captions that the run was trained on, evenly from all of them, each beside four of the run's pictures, seed 0:
its own and those of three other captions. After bench/words.py, whose pictures and captions it takes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from asked import SIDE, asked
from PIL import Image, ImageDraw, ImageFont
from words import Run

COUNT, CHOICES, ROWS = 40, "abcd", 20


def main() -> None:
    """Draw the sheets; or say how many answers are right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("run", type=Path)
    parser.add_argument("out", type=Path, help="folder of the sheets")
    parser.add_argument("--answers", help=f"{COUNT} letters of {CHOICES}, in the order of the captions")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    right = rng.integers(0, len(CHOICES), COUNT)
    if arguments.answers:
        found = [given == CHOICES[at] for given, at in zip(arguments.answers, right, strict=True)]
        print(f"{sum(found)} of {COUNT} are right")
        return
    known = asked("train")
    chosen = np.linspace(0, len(known) - 1, COUNT).astype(int)
    rows = [rng.permutation(np.delete(np.arange(len(known)), at))[: len(CHOICES)] for at in chosen]
    for others, place, at in zip(rows, right, chosen, strict=True):
        others[place] = at
    run = Run(arguments.run)
    drawn = [run.draw([known[at].said]) for row in rows for at in row]
    arguments.out.mkdir(parents=True, exist_ok=True)
    side, font = 2 * SIDE, ImageFont.load_default(18)
    for first in range(0, COUNT, ROWS):
        sheet = Image.new("RGB", (400 + len(CHOICES) * (side + 8), ROWS * (side + 4)), "white")
        pen = ImageDraw.Draw(sheet)
        for row in range(ROWS):
            pen.text((390, row * (side + 4) + side / 2), known[chosen[first + row]].name, "black", font, anchor="rm")
            for column in range(len(CHOICES)):
                image = Image.fromarray(drawn[(first + row) * len(CHOICES) + column][0]).resize((side, side))
                sheet.paste(image, (400 + column * (side + 8), row * (side + 4)))
        sheet.save(arguments.out / f"{first}.png")


if __name__ == "__main__":
    main()
