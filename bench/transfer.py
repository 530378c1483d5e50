"""Does a training on few pictures gain by starting from a run on others? 500 emoji of one house, and another's run.

A run on all emoji of the first package is made once. Then 500 pictures of the second are trained on twice, from scratch
and with `--init-from`, all else equal, and judged beside the pictures that were left out, in the features of two nets
that have learned from ImageNet. Prints Markdown.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Any

import judged
import numpy as np
from common import KEPT, Cells, gentrain, median, number, paragraph, table, tell

PICTURES = 500
WAYS = {"from scratch": False, "from the other run": True}


def pictures(package: Path) -> tuple[Path, list[Path]]:
    """A folder of so many pictures of the package, and the others."""
    files = sorted(package.glob("img/*/64/*.png"))
    if len(files) <= PICTURES:
        sys.exit(f"{package}: no emoji-datasource package of more than {PICTURES} pictures")
    order = np.random.default_rng(0).permutation(len(files))
    folder = KEPT / "transfer-pictures"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for at in order[:PICTURES]:
        shutil.copy(files[at], folder / files[at].name)
    return folder, [files[at] for at in order[PICTURES:]]


def train(data: Path, source: Path | None, seed: int, kimg: float, beside: judged.Beside) -> dict[str, float]:
    """One training on the pictures: its processor time, and its scores beside those that it has not seen."""
    run_directory = KEPT / f"transfer-{seed}{'-from' if source else ''}"
    shutil.rmtree(run_directory, ignore_errors=True)
    start = ["--init-from", source] if source else []
    length = ("--kimg", kimg, "--seed", seed, "--set", "kimg_per_evaluation=0", "--set", "held_out=0")
    seconds = judged.train(run_directory, "--data", data, "--preset", "small", *start, *length)
    return {"seconds": seconds, **beside.scores(judged.generated(run_directory))}


def read(folder: Path, files: list[Path] | None = None) -> Any:
    """The pictures of a folder, or those files, as a training sees them: uint8 (N, 32, 32, 3)."""
    from gentrain import sources
    from gentrain.settings import Settings

    if files is not None:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        for file in files:
            shutil.copy(file, folder / file.name)
    return np.asarray(sources.read(str(folder), Settings().frame).images)


def main() -> None:
    """Train both ways with each seed, print the section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--package", type=Path, required=True, help="unpacked npm emoji-datasource-google")
    parser.add_argument("--other", type=Path, required=True, help="unpacked npm emoji-datasource-twitter")
    parser.add_argument("--source", type=Path, help="a run on --package that is there (default: one is made)")
    parser.add_argument("--source-kimg", type=float, default=60.0, help="(default: 60)")
    parser.add_argument("--kimg", type=float, default=16.0, help="of each training on the pictures (default: 16)")
    parser.add_argument("--seeds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    arguments = parser.parse_args()
    cells = Cells("transfer", arguments.again)
    source = arguments.source or KEPT / "transfer-source"
    if arguments.source is None:
        length = ("--preset", "small", "--kimg", arguments.source_kimg, "--set", "kimg_per_evaluation=0")
        tell(gentrain("fit", "--data", f"emoji:{arguments.package}", "--run", source, *length))
    folder, others = pictures(arguments.other)
    unseen = read(KEPT / "transfer-unseen", others)
    beside = judged.Beside(unseen)
    rows = []
    for way, starts in WAYS.items():
        key = f"{way}, {arguments.kimg:g} kimg, seed"
        measured = [
            cells.get(f"{key} {seed}", train, folder, source if starts else None, seed, arguments.kimg, beside)
            for seed in range(arguments.seeds)
        ]
        rows.append(row(way, measured))
    rows.append(row("the 500 themselves", [cells.get("real", lambda: beside.scores(read(folder)))]))
    how = paragraph(
        f"""`python bench/transfer.py --package DIR --other DIR`, the unpacked npm packages emoji-datasource-google and
        -twitter: {PICTURES} of the second, 32×32, {arguments.kimg:g} kimg, beside the {len(unseen):,} others; medians
        over {arguments.seeds} seed(s), {cells.days()}. The other run: {arguments.source_kimg:g} kimg of the first,
        preset `small`. lite0, lite1: EfficientNet-Lite of those sizes, on images of 64×64."""
    )
    print(f"## Training: 500 pictures, from another run\n\n{how}\n\n{table(['', 'CPU s', *judged.HEAD], rows)}")


def row(name: str, measured: list[dict[str, Any]]) -> list[str]:
    """One row of the table: medians."""
    middle = {key: median(measured, key) for key in measured[0] if key != "date"}
    return [name, number(middle["seconds"]) if "seconds" in middle else "", *judged.row(middle)]


if __name__ == "__main__":
    main()
