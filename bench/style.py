"""Emoji of one house in the style of another, 64×64, trained without pairs and judged by pairs. Prints Markdown.

The real command does it: `gentrain fit --style`. Google's emoji of one half of the concepts
are given the style that Twitter's, or OpenMoji's, of the other half have (see houses.py). A third part is translated,
and compared with what the other house drew. The judge (house_judge.py) learned from what the trainings did not see of
each house: Google's emoji of the second half, the others' of the first.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import house_judge
import houses
import judged
import numpy as np
from common import KEPT, ROOT, Cells, log_of, number, paragraph, table
from emoji import save_small
from PIL import Image

INPUT, STYLES = "google", ("twitter", "openmoji")
NAMES = {"google": "Google", "twitter": "Twitter", "openmoji": "OpenMoji"}
KIMG = 8.0
GROUPS, ROWS = 2, 10
GAP = 6
# Nothing is measured while it trains: what it is measured by comes from neither side of the training.
ALONE = ("--set", "kimg_per_evaluation=0")

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


def pictures(house: str, part: str) -> Pixels:
    """Uint8 (N, 64, 64, 3), in the order of the files' names."""
    files = sorted((KEPT / "houses" / house / part).glob("*.png"))
    return np.stack([np.asarray(Image.open(file)) for file in files])


def run_of(style: str) -> Path:
    """The run directory."""
    return KEPT / f"style-{style}"


def train(style: str, kimg: float, options: list[str]) -> dict[str, Any]:
    """Train on all that is there of both; how much CPU time it took."""
    folder = KEPT / "houses"
    data = ("--data", folder / INPUT / "a", "--style", folder / style / "b", "--holdout", 0, "--fresh")
    cpu = judged.train(run_of(style), *data, "--kimg", kimg, *ALONE, *options)
    return {"kimg": log_of(run_of(style))[-1]["kimg"], "cpu": cpu}


def translated(run_directory: Path, inputs: Pixels) -> Pixels:
    """What the run's generator makes of pictures."""
    from gentrain.commands.subject import find
    from gentrain.metrics.generate import generate

    return generate(find(run_directory).generator, len(inputs), 0, {"image": inputs.astype(np.float32) / 127.5 - 1.0})


def judge() -> house_judge.HouseJudge:
    """The classifier of houses; the class of one is its place in `NAMES`."""
    learned = {house: pictures(house, "b" if house == INPUT else "a") for house in NAMES}
    others = {house: pictures(house, "a" if house == INPUT else "b") for house in NAMES}
    return house_judge.prepare(KEPT / "house-judge.keras", learned, others)


def marks(net: house_judge.HouseJudge, images: Pixels, inputs: Pixels, true: Pixels, house: int) -> dict[str, float]:
    """How much these look like the house, and how much like what they are to show."""
    from gentrain.metrics import frechet, style

    apart = np.abs(images.astype(np.float32)[:, None] - true.astype(np.float32)[None]).mean(axis=(2, 3, 4)) / 255
    others = ~np.eye(len(images), dtype=bool)
    return {
        "hits": float((net.classes(images) == house).mean()),
        "frechet": frechet.distance(net.features(true), net.features(images)),
        "content": style.content(inputs, images),
        "l1": float(np.diag(apart).mean()),
        "l1 of another": float(apart[others].mean()),
    }


def report(cells: dict[str, dict[str, Any]], net: house_judge.HouseJudge, options: list[str], days: str) -> str:
    """The section of Markdown."""
    from gentrain.metrics.style import recoloured

    inputs, rows, notes = pictures(INPUT, "test"), [], []
    for style, cell in cells.items():
        true, house = pictures(style, "test"), list(NAMES).index(style)
        each = {
            "left as they are": inputs,
            "recoloured: the style's histogram": recoloured(inputs, pictures(style, "b")),
            "**translated**": translated(run_of(style), inputs),
            f"{NAMES[style]}'s own": true,
        }
        for name, images in each.items():
            scores = marks(net, images, inputs, true, house)
            rows.append([f"{NAMES[INPUT]} → {NAMES[style]}", name, *map(number, scores.values())])
        unseen = marks(net, pictures(style, "a")[: len(inputs)], inputs, true, house)
        notes.append(f"{cell['kimg']:.3g} kimg to {NAMES[style]} in {cell['cpu']:.0f} CPU seconds; other pictures of "
                     f"{NAMES[style]}'s have a Fréchet distance of {number(unseen['frechet'])}")  # fmt: skip
    told = f" {' '.join(options)}" if options else ""
    command = paragraph(
        f"""`python bench/style.py --google DIR --twitter DIR --openmoji DIR{told and f" --options='{told.strip()}'"}`,
        DIRs being the unpacked npm packages emoji-datasource-google, emoji-datasource-twitter and openmoji: `gentrain
        fit --data google/a --style twitter/b{told}`, 64×64, on {len(pictures(INPUT, "a"))} pictures of Google's and
        {len(pictures("twitter", "b"))} of other concepts by the other house, one seed, {days};
        {len(inputs)} pictures of further concepts are translated."""
    )
    how = paragraph(
        f"""{". ".join(notes)}. Hits: the part that a classifier takes for the house; it has learned the three houses
        from pictures that no training saw, and is right on {net.accuracy:.1%} of others. Fréchet: in its features,
        scaled to a mean variance of 1, to the house's own drawings of the same. Content: correlation of where edges are
        with the input. L1: mean distance to the house's own drawing of the same, and of another thing."""
    )
    head = ["", "", "hits", "Fréchet", "content", "L1", "L1 of another"]
    return f"""## Training: emoji of one house as another would draw them

{command}

{table(head, rows, texts=2)}

{how}"""


def draw(styles: list[str], docs: Path) -> None:
    """Input · translated, recoloured and the house's own for each style; emoji drawn at random, none trained on."""
    from gentrain.metrics.style import recoloured

    inputs = pictures(INPUT, "test")
    chosen = np.sort(np.random.default_rng(0).permutation(len(inputs))[: GROUPS * ROWS])
    columns = [inputs[chosen]]
    for style in styles:
        by_colours = recoloured(inputs, pictures(style, "b"))[chosen]
        columns += [translated(run_of(style), inputs[chosen]), by_colours, pictures(style, "test")[chosen]]
    across = np.concatenate(columns, axis=2)
    gap = np.full((*across.shape[:2], GAP, 3), 160, np.uint8)
    cells = np.concatenate([across, gap], axis=2)
    lines = [np.concatenate(list(cells[i : i + GROUPS]), axis=1)[:, :-GAP] for i in range(0, len(cells), GROUPS)]
    save_small(Image.fromarray(np.concatenate(lines)), docs / "style.png")


def main() -> None:
    """Train, judge and draw each style, print the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    for house in NAMES:
        parser.add_argument(f"--{house}", type=Path, required=True, help="the unpacked npm package")
    parser.add_argument("--style", choices=STYLES, action="append", help="(default: both)")
    parser.add_argument("--kimg", type=float, default=KIMG, help=f"length of each training (default: {KIMG:g})")
    parser.add_argument("--options", default="", help="more for gentrain fit, as in --options='--set nce=2'")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the picture goes (default: docs/)")
    parser.add_argument("--again", action="store_true", help="start the trainings over")
    arguments = parser.parse_args()
    if not (arguments.google / "emoji.json").is_file():
        sys.exit(f"{arguments.google}: not the npm package; unpack what `npm pack emoji-datasource-google` gives")
    if not (KEPT / "houses" / INPUT / "test").is_dir():
        houses.write(arguments.google, arguments.twitter, arguments.openmoji, KEPT / "houses")
    options, measured = arguments.options.split(), Cells("style", arguments.again)
    styles = arguments.style or list(STYLES)
    cells = {
        style: measured.get(" ".join([style, f"{arguments.kimg:g}", *options]), train, style, arguments.kimg, options)
        for style in styles
    }

    from gentrain import quiet

    quiet.import_tensorflow()
    print(report(cells, judge(), options, measured.days()))
    draw(styles, arguments.docs)


if __name__ == "__main__":
    main()
