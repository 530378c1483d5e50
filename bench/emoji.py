"""Emoji in colour, 32×32 in 12 minutes and 64×64 in half an hour: trained, measured, shown in docs/. Prints Markdown.

The real commands do it: `gentrain fit`, then `gentrain evaluate`. A training that was stopped goes on where it was.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import KEPT, ROOT, gentrain, log_of, number, paragraph, table, tell
from PIL import Image

SHOWN = 64  # seeds from 0 on, whatever they look like
COLUMNS = 8
LARGEST_FILE = 300_000


@dataclass(frozen=True)
class Training:
    """How emoji of one size are trained, unless options say otherwise."""

    minutes: float
    preset: str
    options: str = ""


TRAININGS = {32: Training(12.0, "small"), 64: Training(30.0, "medium")}


def train(package: Path, side: int, training: Training, again: bool) -> Path:
    """Train, or go on, and measure; the run directory."""
    run_directory = KEPT / f"emoji-{side}"
    if again:
        shutil.rmtree(run_directory, ignore_errors=True)
    length = ("--minutes", training.minutes, "--resolution", side, "--preset", training.preset)
    gentrain("fit", "--data", f"emoji:{package}", "--run", run_directory, *length, *shlex.split(training.options))
    tell(gentrain("evaluate", run_directory))
    return run_directory


def draw(run_directory: Path, side: int, docs: Path) -> None:
    """Both pictures: the first seeds of the generator that was measured, and the images nearest to sixteen of them."""
    from gentrain import quiet

    quiet.import_tensorflow()
    from gentrain.commands.subject import find
    from gentrain.images import image_grid
    from gentrain.metrics.generate import generate

    generator = find(run_directory).generator
    is_conditional = any(tensor.name == "labels" for tensor in generator.inputs)
    given = {"labels": _labels(run_directory)} if is_conditional else None
    pixels = image_grid(generate(generator, SHOWN, given=given), COLUMNS)
    docs.mkdir(parents=True, exist_ok=True)
    save_small(Image.fromarray(pixels), docs / f"emoji-{side}.png")
    with Image.open(run_directory / "nearest.png") as nearest:
        save_small(nearest.convert("RGB"), docs / f"emoji-{side}-nearest.png")


def save_small(picture: Image.Image, path: Path) -> None:
    """A PNG of at most 300 kB: as it is where that is enough, else in 256 colours of its own."""
    for variant in (picture, picture.quantize(256, dither=Image.Dither.FLOYDSTEINBERG)):
        variant.save(path, "PNG", optimize=True)
        if path.stat().st_size <= LARGEST_FILE:
            return
    tell(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")


def _labels(run_directory: Path) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Classes for the shown seeds, drawn as often as the data have them."""
    counts = list(_read(run_directory / "dataset.json")["class_counts"].values())
    drawn = np.random.default_rng(0).choice(len(counts), SHOWN, p=np.array(counts) / sum(counts))
    return drawn.astype(np.int32)


def report(run_directory: Path, side: int, training: Training) -> str:
    """The section of Markdown."""
    measured, last = _read(run_directory / "metrics.json"), log_of(run_directory)[-1]
    rows = [[name, number(m["value"]), number(m["floor"])] for name, m in measured["metrics"].items()]
    net, data = measured["features"], _read(run_directory / "dataset.json")
    right = f", right on {net['accuracy']:.1%} of images that it has not seen" if net["accuracy"] is not None else ""
    note = f"; {net['note']}" if net["note"] else ""
    nearest = ", ".join(f"{ratio:.2f} by {space}" for space, ratio in measured["nearest"].items())
    snapshot = f"{measured['snapshot']} snapshot ({measured['kimg']:g} kimg)"
    options = f" {training.options}" if training.options else ""
    command = paragraph(
        f"""`python bench/emoji.py --package DIR --side {side}`, DIR being the unpacked npm package
        emoji-datasource-google: `gentrain fit --preset {training.preset} --minutes {training.minutes:g}{options}`
        on {data["count"]:,} emoji, then `gentrain evaluate`."""
    )
    how = paragraph(
        f"""{last["kimg"]:.0f} kimg in {last["seconds"] / 60:.1f} minutes; {measured["samples"]} images of the
        {snapshot}, in the features of the {net["name"]} net {net["hash"][:12]}{right}{note}. Reference: real images in
        the place of generated ones. Distance to the nearest training image, as a multiple of what unseen real images
        have: {nearest}; 1 and more is what new images give, near 0 are copies."""
    )
    return f"""## Training: emoji, {side}×{side}

{command}

{table(["", "value", "reference"], rows)}

{how}

![seeds 0 to {SHOWN - 1}, uncurated](../docs/emoji-{side}.png)
![sixteen of them above the training images nearest to them](../docs/emoji-{side}-nearest.png)"""


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return read


def main() -> None:
    """Train, measure and draw each size, print all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--package", type=Path, required=True, help="unpacked npm emoji-datasource-google")
    parser.add_argument("--side", type=int, choices=list(TRAININGS), action="append", help="(default: both)")
    parser.add_argument("--minutes", type=float, help="(default: 12 for 32×32, 30 for 64×64)")
    parser.add_argument("--preset", help="(default: small for 32×32, medium for 64×64)")
    parser.add_argument("--options", help="more for gentrain fit, as in --options='--conditional --set gamma=2'")
    parser.add_argument("--docs", type=Path, default=ROOT / "docs", help="where the pictures go (default: docs/)")
    parser.add_argument("--again", action="store_true", help="start the trainings over")
    arguments = parser.parse_args()
    if not arguments.package.is_dir():
        sys.exit(f"{arguments.package}: no such folder; unpack what `npm pack emoji-datasource-google` gives")
    reports = []
    for side in arguments.side or TRAININGS:
        usual = TRAININGS[side]
        training = Training(
            usual.minutes if arguments.minutes is None else arguments.minutes,
            arguments.preset or usual.preset,
            usual.options if arguments.options is None else arguments.options,
        )
        run_directory = train(arguments.package, side, training, arguments.again)
        draw(run_directory, side, arguments.docs)
        reports.append(report(run_directory, side, training))
    print("\n\n".join(reports))


if __name__ == "__main__":
    main()
