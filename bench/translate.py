"""Outlines to colour: what the discriminator adds to the distance alone, in equal processor time. Prints Markdown.

OpenMoji's outlines with dots of colour, 64×64, trained by the real commands and measured on concepts that were not
trained on; draws docs/translate.png: outline with dots, translated, by the distance alone, and as it is.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import judged
import numpy as np
import openmoji
from common import KEPT, ROOT, Cells, gentrain, median, number, paragraph, table
from emoji import save_small
from PIL import Image

RECIPES = {"translate": (1, 25.5), "L1 alone": (0, 31.5)}
"""Weight of the adversarial loss, and images a second of processor time, by which both take the same."""

DOTS = (0, 3, 8)
METRICS = ("l1", "psnr", "ssim", "frechet")
SHOWN_DOTS, SHOWN, COLUMNS = 3, 24, 4


def pairs(package: Path) -> Path:
    """The folder with all pairs, drawn where they are not there yet."""
    folder = KEPT / "openmoji"
    if not folder.exists():
        unfinished = folder.with_name("openmoji-unfinished")
        openmoji.write(package, unfinished)
        unfinished.rename(folder)
    return folder


def source(folder: Path, part: str) -> str:
    """What `--data` and `--on` call one part of them."""
    return f"pairs:{folder / part / 'outline'},{folder / part / 'colour'}"


def run_of(recipe: str, minutes: float, seed: int) -> Path:
    """Where a training is kept."""
    return KEPT / f"translate-{'gan' if RECIPES[recipe][0] else 'l1'}-{minutes:g}-{seed}"


def measure(folder: Path, recipe: str, minutes: float, seed: int) -> dict[str, Any]:
    """One training, its processor time and its scores on the pairs for testing."""
    run_directory = run_of(recipe, minutes, seed)
    adversarial, rate = RECIPES[recipe]
    options = ("--data", source(folder, "train"), "--preset", "translate", "--hints", "--seed", seed)
    settings = (f"adversarial={adversarial}", "kimg_per_evaluation=0")
    sets = [part for setting in settings for part in ("--set", setting)]
    seconds = judged.train(run_directory, *options, *sets, "--kimg", round(minutes * 60 * rate / 1000, 1))
    gentrain("evaluate", run_directory, "--features", "random", "--on", source(folder, "test"))
    found = json.loads((run_directory / "metrics.json").read_text(encoding="utf-8"))
    cell = {f"{dots} {name}": found["dots"][str(dots)][name] for dots in DOTS for name in METRICS}
    for which in ("unchanged", "floor"):
        cell |= {f"{which} {name}": entry.get(which) for name, entry in found["metrics"].items()}
        cell[f"{which} second"] = found["second"]["metrics"]["frechet"][which]
    cell["0 second"] = found["second"]["metrics"]["frechet"]["value"]
    return {**cell, "seconds": seconds, "kimg": found["kimg"], "pairs": found["samples"]}


def draw(folder: Path, minutes: float, seed: int, out: Path) -> None:
    """Pairs for testing with three dots each: outline, translated, by the distance alone, and as it is."""
    from gentrain import quiet, sources
    from gentrain.commands.subject import find
    from gentrain.conditions import hints
    from gentrain.images import image_grid
    from gentrain.metrics.generate import generate
    from gentrain.settings import Settings
    from gentrain.training.examples import Examples, as_colour

    quiet.import_tensorflow()
    data = sources.read(source(folder, "test"), Settings(resolution=openmoji.SIDE).frame)
    rows = np.linspace(0, len(data.images) - 1, SHOWN).round().astype(int)
    images, outlines = data.images[rows], data.columns["image"][rows]
    floats, inputs = (pixels.astype(np.float32) / 127.5 - 1.0 for pixels in (images, outlines))
    given = {"image": inputs, "hints": hints.some(floats, SHOWN_DOTS, inputs)}
    made = [generate(find(run_of(recipe, minutes, seed)).generator, SHOWN, given=given) for recipe in RECIPES]
    beside = np.concatenate([as_colour(Examples(given, images).inputs()), *made, images], axis=2)
    out.parent.mkdir(parents=True, exist_ok=True)
    save_small(Image.fromarray(image_grid(beside, COLUMNS)), out)


def rows_of(cells: dict[str, list[dict[str, Any]]]) -> list[list[str]]:
    """The table: each recipe with so many dots, between the outlines as they are and the right answers."""
    some = next(iter(cells.values()))

    def row(name: str, of: list[dict[str, Any]], dots: str, key: str) -> list[str]:
        known = [f"{key} {metric}" for metric in (*METRICS, "second")]
        scores = ["" if of[0].get(name) is None else number(median(of, name)) for name in known]
        seconds = number(median(of, "seconds")) if dots else ""
        return [name, dots, seconds, *scores]

    made = [row(recipe, of, str(dots), str(dots)) for dots in DOTS for recipe, of in cells.items()]
    return [row("the outline as it is", some, "", "unchanged"), *made, row("the right answers", some, "", "floor")]


def main() -> None:
    """Each recipe with each seed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--package", type=Path, required=True, metavar="DIR", help="unpacked npm package openmoji")
    parser.add_argument("--minutes", type=float, default=15.0, help="of processor time, for each training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs")
    arguments = parser.parse_args()
    if not (arguments.package / "data" / "openmoji.json").is_file():
        sys.exit(f"{arguments.package}: not the npm package openmoji; unpack what `npm pack openmoji` gives")
    folder, minutes = pairs(arguments.package), arguments.minutes
    kept = Cells("translate", arguments.again)
    cells: dict[str, list[dict[str, Any]]] = {recipe: [] for recipe in RECIPES}
    for seed in range(arguments.seeds):
        for recipe in RECIPES:
            key = f"{recipe}, {minutes:g} minutes, seed {seed}"
            cells[recipe].append(kept.get(key, measure, folder, recipe, minutes, seed))
    draw(folder, minutes, 0, arguments.docs / "translate.png")
    counted = ", ".join(f"{of[0]['kimg']:g} kimg for {recipe}" for recipe, of in cells.items())
    how = paragraph(
        f"""`python bench/translate.py --package DIR --minutes {minutes:g} --seeds {arguments.seeds}`, the unpacked npm
        package openmoji: preset `translate`, `--hints`, 64×64, {counted} ("L1 alone": `--set adversarial=0`), measured
        on {cells["translate"][0]["pairs"]} pairs of other concepts, {kept.days()}; the median of the seeds. Fréchet
        distances in the features of a random net and of EfficientNet-Lite0."""
    )
    head = ["", "dots", "CPU s", "L1", "PSNR", "SSIM", "Fréchet, random net", "Fréchet, lite0"]
    print(f"## Training: outlines to colour\n\n{how}\n\n{table(head, rows_of(cells))}")


if __name__ == "__main__":
    main()
