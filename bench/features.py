"""Does a discriminator on the features of a pretrained net bring more than the same time on pixels alone brings?

Emoji in colour, 32×32 or 64×64, trained in several ways; kimg chosen so that all take about the same processor time.
Judged beside a half of all emoji, in the features of the net that was looked through and of another. Prints Markdown,
and draws seeds 0 to 63 of each run in its folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import judged
import numpy as np
from common import KEPT, Cells, number, paragraph, table

HELD_OUT = 250
PRESETS = {32: "small", 64: "medium"}
RUNS = {
    32: {"features_weight=0 batch=64": 60.0, "features_weight=0.5 batch=64": 30.8, "features_weight=2 batch=64": 30.8},
    64: {"features_weight=0 batch=64": 86.0, "features_weight=0 batch=16": 86.0, "features_weight=0.4 batch=16": 60.0},
}
"""Side → settings of a run → kimg."""


def measure(package: Path, side: int, settings: str, kimg: float, beside: judged.Beside) -> dict[str, float]:
    """One training, its processor time and its scores."""
    from gentrain.images import image_grid
    from PIL import Image

    run_directory = KEPT / f"features-{side}-{settings.replace(' ', '-')}"
    options = ("kimg_per_evaluation=0", f"held_out={HELD_OUT}", *settings.split())
    sets = [part for option in options for part in ("--set", option)]
    length = ("--preset", PRESETS[side], "--kimg", kimg, "--fresh")
    seconds = judged.train(run_directory, "--data", f"emoji:{package}", *length, *sets)
    images = judged.generated(run_directory)
    Image.fromarray(image_grid(images[:64], 8)).save(run_directory / "sheet.png")
    return {"seconds": seconds, **beside.scores(images)}


def halves(package: Path, side: int) -> tuple[Any, Any]:
    """All emoji in two halves, in no order."""
    from gentrain import sources
    from gentrain.settings import Settings

    real = np.asarray(sources.read(f"emoji:{package}", Settings(resolution=side).frame).images)
    real = real[np.random.default_rng(1).permutation(len(real))]
    return real[: len(real) // 2], real[len(real) // 2 :]


def report(package: Path, side: int, cells: Cells) -> str:
    """Each way to train, and real images in the place of generated ones."""
    first, second = halves(package, side)
    beside = judged.Beside(first)
    rows = []
    for settings, kimg in RUNS[side].items():
        cell = cells.get(f"{side}, {settings}, {kimg:g} kimg", measure, package, side, settings, kimg, beside)
        rows.append([f"{kimg:g} kimg, `{settings}`", number(cell["seconds"]), *judged.row(cell)])
    real = cells.get(f"{side}, real", beside.scores, second[: judged.GENERATED])
    rows.append(["real images", "", *judged.row(real)])
    how = paragraph(
        f"""`python bench/features.py --package DIR --side {side}`, the unpacked npm package emoji-datasource-google:
        preset `{PRESETS[side]}` with these settings, seed 0, `--set held_out={HELD_OUT}`; {judged.GENERATED} images
        beside a half of all emoji, {cells.days()}. lite0, which the second discriminator looks through, and lite1,
        which it does not: EfficientNet-Lite, on images of 64×64."""
    )
    title = f"## Training: a discriminator on features, {side}×{side}"
    return f"{title}\n\n{how}\n\n{table(['', 'CPU s', *judged.HEAD], rows)}"


def main() -> None:
    """The table of each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--package", type=Path, required=True, help="unpacked npm emoji-datasource-google")
    parser.add_argument("--side", type=int, choices=list(RUNS), action="append", help="(default: both)")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    arguments = parser.parse_args()
    if not arguments.package.is_dir():
        sys.exit(f"{arguments.package}: no such folder; unpack what `npm pack emoji-datasource-google` gives")
    cells = Cells("features", arguments.again)
    print("\n\n".join(report(arguments.package, side, cells) for side in arguments.side or RUNS))


if __name__ == "__main__":
    main()
