"""How good a generator is after the same minutes: genline's recipe beside TensorFlow's DCGAN tutorial. Prints Markdown.

Three recipes train on the same images for the same wall-clock time, one after another for each seed; one feature net,
trained on the same images, judges all of them and the real images held out, which are the floor.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import HERE, KEPT, Cells, gentrain, log_of, median, number, paragraph, run, table, tell
from gentrain.data.dataset import Pixels
from gentrain.errors import TrainError
from gentrain.presets import PRESETS
from held_out import DATA, Parts, parts_of

ONE_SEED_FROM = 10.0  # minutes: from there on the two peers, which are far off, get one seed

REFERENCE = 10_000  # real training images that all are compared with, at most
JUDGED = 5_000  # images of each generator, at least, in sets of as many as are held out: of 1,000 alone the distance
# moves by a third from one set to another

OURS, TUTORIAL, SAME_SIZE = "genline", "tutorial", "same-size"
RECIPES = {
    OURS: "genline: `gentrain fit --preset small`",
    TUTORIAL: "the TensorFlow tutorial: its networks, recipe and loop",
    SAME_SIZE: "the tutorial's recipe with genline's networks",
}
AS_THE_TUTORIAL = {
    "gamma": 0, "gamma_final": 0, "learning_rate": 1e-4, "learning_rate_final": 1e-4, "beta_1": 0.9, "beta_2": 0.999,
    "ema_halflife_kimg": 0, "dropout": 0.3, "shared_pass": 1,
}  # fmt: skip
METRICS = ("frechet", "kernel", "precision", "recall", "density", "coverage")


def _fingerprint(**changes: Any) -> str:
    """Of the settings that grey images are trained with: others are another recipe."""
    settings = dataclasses.replace(PRESETS["small"](), **changes).resolved(28, 1, "auto")
    return hashlib.sha256(json.dumps(dataclasses.asdict(settings)).encode()).hexdigest()[:8]


FINGERPRINTS = {OURS: "-" + _fingerprint(), TUTORIAL: "", SAME_SIZE: "-" + _fingerprint(loss="bce", **AS_THE_TUTORIAL)}

Found = dict[float, dict[str, list[dict[str, Any]]]]
"""Minutes → recipe → what was measured, a seed each: every metric and `kimg`."""


class Subject:
    """A data set, the generators trained on it, and the one feature net that judges them."""

    def __init__(self, name: str) -> None:
        """Raises TrainError where the images are not to be had."""
        self.name, self.folder = name, KEPT / "quality" / name
        from gentrain.metrics.features import features_for, features_of

        self.parts: Parts = parts_of(name, self.folder)
        train = self.parts.train
        self.net = features_for(train)
        rows = np.random.default_rng(0).permutation(len(train.images))[:REFERENCE]
        self.reference = features_of(self.net, train.images, rows)
        self.judged = len(self.parts.held_out)
        self.sets = -(-JUDGED // self.judged)
        self.judge = f"images in {self.net.hash[:12]}"

    def score(self, images: Pixels) -> dict[str, Any]:
        """Every metric for images uint8 (n, 28, 28, 1)."""
        from gentrain.metrics import compare
        from gentrain.metrics.features import features_of

        return dict(compare(self.reference, features_of(self.net, images)))

    def score_kept(self, generator: Path) -> dict[str, Any]:
        """Every metric for the images of a generator that was kept, the mean over sets as large as the held-out one."""
        images = images_of(generator, self.sets * self.judged)
        scores = [self.score(part) for part in np.split(images, self.sets)]
        return {name: float(np.mean([score[name] for score in scores])) for name in METRICS}

    def generator(self, recipe: str, minutes: float, seed: int) -> Path:
        """Where it is kept; what it is called is also its cell's key."""
        return self.folder / f"{recipe}-{minutes:g}min-seed{seed}{FINGERPRINTS[recipe]}.keras"

    def train(self, recipe: str, minutes: float, seed: int) -> dict[str, Any]:
        """Train for so long and keep the generator; thousand images seen."""
        kept, length = self.generator(recipe, minutes, seed), ("--minutes", minutes, "--seed", seed)
        if recipe == TUTORIAL:
            told = run(
                sys.executable, HERE / "peers" / "tf_tutorial.py", "--data", self.parts.arrays, *length, "--out", kept
            )
            return {"kimg": json.loads(told)["images"] / 1000}
        options: list[object] = ["--data", self.parts.source, "--preset", "small", "--set", "kimg_per_evaluation=0"]
        if recipe == SAME_SIZE:
            options += ["--loss", "bce"]
            options += [part for name, value in AS_THE_TUTORIAL.items() for part in ("--set", f"{name}={value}")]
        # Always a new run: of one that was stopped, the clock is not to be trusted.
        with tempfile.TemporaryDirectory() as scratch:
            run_directory = Path(scratch) / "run"
            gentrain("fit", "--run", run_directory, *length, *options)
            shutil.copyfile(run_directory / "generator.keras", kept)
            return {"kimg": log_of(run_directory)[-1]["kimg"]}


def measure(subject: Subject, cells: Cells, minutes: list[float], seeds: int) -> Found:
    """Train and judge what is not there yet; the recipes take turns."""
    found: Found = {length: {recipe: [] for recipe in RECIPES} for length in minutes}
    for length in minutes:
        for seed in range(seeds):
            for recipe in RECIPES:
                if seed and recipe != OURS and length >= ONE_SEED_FROM:
                    continue
                file = subject.generator(recipe, length, seed)
                trained = cells.get(file.stem, subject.train, recipe, length, seed)
                scores = cells.get(
                    f"{file.stem}, {subject.sets} × {subject.judged} {subject.judge}", subject.score_kept, file
                )
                found[length][recipe].append(scores | trained)
    return found


def images_of(generator: Path, count: int) -> Pixels:
    """Images uint8 (count, 28, 28, 1) of the seeds from 0 on."""
    import keras
    from gentrain.metrics.generate import generate

    return generate(keras.models.load_model(generator, compile=False), count)


def report(subject: Subject, found: Found, floor: dict[str, Any], days: str) -> str:
    """The section of Markdown."""
    head = ["minutes", "", "seeds", "Fréchet distance", "least and greatest", *METRICS[1:], "kimg"]
    values = [number(floor[name]) for name in METRICS]
    rows = [["", f"{subject.judged:,} real images held out: the floor", "", values[0], "", *values[1:], "–"]]
    for length, recipes in found.items():
        rows += [[f"{length:g}", RECIPES[recipe], *_medians(scores)] for recipe, scores in recipes.items()]
    comparisons = "\n".join(f"- {_comparison(length, recipes, floor)}" for length, recipes in found.items())
    net = subject.net
    right = f" (right on {net.accuracy:.1%} of images that it has not seen)" if net.accuracy is not None else ""
    how = paragraph(
        f"""Medians over the seeds. Trained on {len(subject.parts.train.images):,} images, the recipes in turns,
        {days}; the clock runs from the first step, compiling included. Images of each generator, from seed 0 on, are
        compared with {len(subject.reference):,} training images in the features of one {net.name},
        {net.hash[:12]}{right}: {subject.sets} times {subject.judged:,} of them, as many at a time as are held out, and
        the mean is taken."""
    )
    return f"""## Training: quality in equal time, {DATA[subject.name]}

`make bench-training`, or `python bench/training_quality.py --data {subject.name}`.

{table(head, rows, texts=2)}

{comparisons}

{how}"""


def _comparison(length: float, recipes: dict[str, list[dict[str, Any]]], floor: dict[str, Any]) -> str:
    """One sentence of ratios."""
    ours, tutorial, same = (median(recipes[recipe], "frechet") for recipe in (OURS, TUTORIAL, SAME_SIZE))
    return (
        f"After {length:g} minutes the tutorial's Fréchet distance is {number(tutorial / ours)} times genline's; "
        f"its recipe with genline's networks, {number(same / ours)} times. "
        f"genline's is {number(ours / floor['frechet'])} times the floor."
    )


def _medians(scores: list[dict[str, Any]]) -> list[str]:
    first, *rest = (number(median(scores, name)) for name in (*METRICS, "kimg"))
    distances = [score["frechet"] for score in scores]
    spread = f"{number(min(distances))} to {number(max(distances))}" if len(distances) > 1 else ""
    return [str(len(scores)), first, spread, *rest]


def save_grids(subject: Subject, minutes: list[float], folder: Path) -> None:
    """The seeds 0 to 63 of every recipe's first training, a small PNG each."""
    from gentrain.images import image_grid, save_png

    for length in minutes:
        for recipe in RECIPES:
            pixels = image_grid(images_of(subject.generator(recipe, length, 0), 64), 8)
            save_png(pixels, folder / f"{subject.name}-{recipe}-{length:g}min.png")


def main() -> None:
    """Measure the cells that are not there yet, print all of them; a data set that is not to be had is left out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", choices=list(DATA), action="append", help="may be repeated (default: both)")
    parser.add_argument("--minutes", default="2.5,10", help="lengths, with commas between them (default: 2.5,10)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sheets", type=Path, metavar="DIR", help="write uncurated samples of every recipe there")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    arguments = parser.parse_args()
    minutes = [float(length) for length in arguments.minutes.split(",")]
    reports = []
    for name in arguments.data or DATA:
        try:
            subject = Subject(name)
        except TrainError as error:
            tell(f"{name} is left out: {error}")
            continue
        cells = Cells(f"training_quality-{name}", arguments.again)
        found = measure(subject, cells, minutes, arguments.seeds)
        floor = cells.get(f"floor, {subject.judged} {subject.judge}", subject.score, subject.parts.held_out)
        reports.append(report(subject, found, floor, cells.days()))
        if arguments.sheets:
            save_grids(subject, minutes, arguments.sheets)
    if not reports:
        sys.exit("no data set is to be had")
    print("\n\n".join(reports))


if __name__ == "__main__":
    main()
