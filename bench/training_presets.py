"""What every preset does in a few minutes: images a second, memory and score. Prints Markdown.

The lengths are for seeing what a preset costs, not for its best images; those take as long as `gentrain presets` says.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import BIN, ENVIRONMENT, Cells, gentrain, log_of, number, paragraph, table, tell
from training_growth import memory


@dataclass(frozen=True)
class Subject:
    """A preset, what it is trained on (`digits` or `emoji`), and for how long."""

    data: str
    minutes: float


SUBJECTS = {
    "quick": Subject("digits", 0),
    "small": Subject("digits", 2.5),
    "micro": Subject("digits", 2.5),
    "dcgan28": Subject("digits", 2.5),
    "tf-tutorial": Subject("digits", 2.5),
    "medium": Subject("emoji", 5),
    "dcgan64": Subject("emoji", 5),
    "celeba64": Subject("emoji", 5),
    "large": Subject("emoji", 5),
}


def measure(preset: str, source: str, minutes: float) -> dict[str, Any]:
    """Train for so long (0: as long as the preset wants) and evaluate the last snapshot."""
    with tempfile.TemporaryDirectory() as folder:
        run_directory = Path(folder) / "run"
        command = [str(BIN / "gentrain"), "fit", "--data", source, "--run", str(run_directory), "--preset", preset]
        command += ["--set", "kimg_per_evaluation=0"] + (["--minutes", str(minutes)] if minutes else [])
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
        peak = 0.0
        while True:
            peak = max(peak, memory(process.pid)[0])
            try:
                code = process.wait(timeout=0.2)
                break
            except subprocess.TimeoutExpired:
                continue
        if code:
            raise SystemExit(f"gentrain fit --preset {preset}: exit code {code}")
        ticks = log_of(run_directory)
        tell(gentrain("evaluate", run_directory))
        metrics = json.loads((run_directory / "metrics.json").read_text(encoding="utf-8"))["metrics"]
        dataset = json.loads((run_directory / "dataset.json").read_text(encoding="utf-8"))
    return {
        "kimg": ticks[-1]["kimg"],
        "seconds": ticks[-1]["seconds"],
        "images_per_second": statistics.median(tick["images_per_second"] for tick in ticks[1:]),
        "memory": peak,
        "side": dataset["image_shape"][0],
        "metrics": {name: metrics[name] for name in ("frechet", "precision", "recall")},
    }


def report(found: dict[str, dict[str, Any]], days: str) -> str:
    """The section of Markdown."""
    head = ["preset", "data", "minutes", "kimg", "images/s", "memory, MB", "Fréchet distance", "floor", "precision"]
    rows = []
    for preset, cell in found.items():
        frechet, precision = cell["metrics"]["frechet"], cell["metrics"]["precision"]
        rows.append(
            [f"`{preset}`", f"{SUBJECTS[preset].data}, {cell['side']}×{cell['side']}", f"{cell['seconds'] / 60:.1f}"]
            + [number(cell[name]) for name in ("kimg", "images_per_second", "memory")]
            + [number(frechet["value"]), number(frechet["floor"]), number(precision["value"])]
        )
    how = paragraph(
        f"""One run each, measured {days}: `gentrain fit --preset …`, cut short by `--minutes`, then `gentrain evaluate`
        of the last snapshot; the features are those of a classifier of the data's own labels, so rows with the same
        data and size can be compared. Memory is the most that the training allocated. Emoji are drawings of 64×64 and
        stay so in `large`, which differs from `medium` there by its batch of 32. How far
        one run is from another on pixels alone, `medium` in batches of 64: with
        66 to 71 kimg, in faster hours of the machine, `large` gave 0.996 and `medium` 1.46, 1.58, and 11.6 where its
        discriminator lost its way from 6 to 14 kimg. That befell one run of 19, and none of 12 with `--batch 32`, of
        which one got no further than 0.78 in 250 kimg, where `medium` reaches 0.55."""
    )
    return f"""## Training: the presets

`python bench/training_presets.py --package DIR`, DIR being the unpacked npm package emoji-datasource-google.

{table(head, rows, texts=2)}

{how}"""


def main() -> None:
    """Measure the presets that are not there yet, print all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--package", type=Path, help="unpacked npm emoji-datasource-google; without it digits alone")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    arguments = parser.parse_args()
    if arguments.package and not arguments.package.is_dir():
        sys.exit(f"{arguments.package}: no such folder; unpack what `npm pack emoji-datasource-google` gives")
    sources = {"digits": "digits"} | ({"emoji": f"emoji:{arguments.package}"} if arguments.package else {})
    cells = Cells("training_presets", arguments.again)
    found = {
        preset: cells.get(f"{preset}, {subject.minutes:g} min", measure, preset, sources[subject.data], subject.minutes)
        for preset, subject in SUBJECTS.items()
        if subject.data in sources
    }
    print(report(found, cells.days()))


if __name__ == "__main__":
    main()
