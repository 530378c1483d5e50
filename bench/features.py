"""Does a discriminator on the features of a pretrained net bring more than the same time on pixels alone brings?

Emoji in colour, 32×32, with each weight; kimg chosen so that all take the same processor time. Judged beside a half
of all emoji, in the features of the net that was looked through and of another. Prints Markdown, and draws seeds 0 to
63 of each run in its folder.
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
RUNS = {0.0: 60.0, 0.5: 30.8}
"""Weight of the second discriminator → kimg."""


def measure(package: Path, weight: float, kimg: float, beside: judged.Beside) -> dict[str, float]:
    """One training, its processor time and its scores."""
    from gentrain.images import sheet
    from PIL import Image

    run_directory = KEPT / f"features-{weight:g}"
    options = ("kimg_per_evaluation=0", f"held_out={HELD_OUT}", f"features_weight={weight:g}")
    sets = [part for option in options for part in ("--set", option)]
    seconds = judged.train(run_directory, "--data", f"emoji:{package}", "--preset", "small", "--kimg", kimg, *sets)
    images = judged.generated(run_directory)
    Image.fromarray(sheet(images[:64], 8)).save(run_directory / "sheet.png")
    return {"seconds": seconds, **beside.scores(images)}


def halves(package: Path) -> tuple[Any, Any]:
    """All emoji in two halves, in no order."""
    from gentrain import sources
    from gentrain.settings import Settings

    real = np.asarray(sources.read(f"emoji:{package}", Settings().frame).images)
    real = real[np.random.default_rng(1).permutation(len(real))]
    return real[: len(real) // 2], real[len(real) // 2 :]


def main() -> None:
    """Each weight, and real images in the place of generated ones."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--package", type=Path, required=True, help="unpacked npm emoji-datasource-google")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    arguments = parser.parse_args()
    if not arguments.package.is_dir():
        sys.exit(f"{arguments.package}: no such folder; unpack what `npm pack emoji-datasource-google` gives")
    cells = Cells("features", arguments.again)
    first, second = halves(arguments.package)
    beside = judged.Beside(first)
    rows = []
    for weight, kimg in RUNS.items():
        cell = cells.get(f"{weight:g}, {kimg:g} kimg", measure, arguments.package, weight, kimg, beside)
        rows.append([f"`features_weight` {weight:g}, {kimg:g} kimg", number(cell["seconds"]), *judged.row(cell)])
    rows.append(["real images", "", *judged.row(cells.get("real", beside.scores, second[: judged.GENERATED]))])
    how = paragraph(
        f"""`python bench/features.py --package DIR`, the unpacked npm package emoji-datasource-google: preset `small`,
        32×32, seed 0, `--set held_out={HELD_OUT}`; {judged.GENERATED} images beside a half of all emoji,
        {cells.days()}. lite0, which the second discriminator looks through, and lite1, which it does not:
        EfficientNet-Lite, on images of 64×64."""
    )
    print(f"## Training: a discriminator on features\n\n{how}\n\n{table(['', 'CPU s', *judged.HEAD], rows)}")


if __name__ == "__main__":
    main()
