"""Whether generated images help a classifier: `gentrain augment-study` on digits and on Fashion-MNIST. Prints Markdown.

With --rare `gentrain augment --fill` instead: digits of which five classes, drawn anew for each seed, have few images;
and once more with the half of its pictures that a classifier of real ones is surest of. Both keep their own results,
so one that was stopped goes on. A gain is reported, and so is none.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from common import BIN, ENVIRONMENT, KEPT, gentrain, tell
from gentrain import sources
from gentrain.commands.augmentation.verdict import PAIRS
from gentrain.commands.study import split
from gentrain.data.dataset import Dataset, Frame
from gentrain.report.figures import deviation, mean

DATA = {"digits": "digits", "fashion-mnist": "Fashion-MNIST"}
NOT_MIRRORED = {"digits"}
AUGMENTED = ("--set", "augment=0.8")  # what colour has by itself: from few images D gets ahead, with grey ones too
RARE, OTHERS, SIDE = 10, 200, 16  # images of a rare class and of the others; 16×16, for the time it takes
RARE_CLASSES = 5
BOTH = "real + classical + synthetic"
SUREST = f"{BOTH}, the surest half"
SMALL = ["--set", f"resolution={SIDE}", "--set", "generator_width=24", "--set", "discriminator_width=32"]


def study(name: str, options: list[str], folder: Path) -> str | None:
    """The study's tables; None if it failed, with its own line on stderr."""
    flip = [] if name in NOT_MIRRORED else ["--flip"]
    options = [*AUGMENTED, *options, *flip]
    command = [str(BIN / "gentrain"), "augment-study", "--data", name, "--out", str(folder), *options]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT)
    return done.stdout.strip() if done.returncode == 0 else None


def save(dataset: Dataset, rows: np.ndarray, path: Path) -> Path:
    """These images as a file, for the commands."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        labels = np.asarray(dataset.labels)[rows]
        np.savez(path, images=dataset.images[rows], labels=labels, class_names=np.array(dataset.class_names))
    return path


def filled_up(seed: int, kimg: float, steps: int) -> dict[str, tuple[float, float]]:
    """Way of training → accuracy over all classes and over the rare ones, tested on 1,000 digits held out."""
    dataset = sources.read("digits", Frame(SIDE))
    parts = split.hold_out(dataset)
    rng = np.random.default_rng(seed)
    rare = rng.permutation(len(parts.pools))[:RARE_CLASSES]
    drawn = [rng.permutation(pool)[: RARE if label in rare else OTHERS] for label, pool in enumerate(parts.pools)]
    folder = KEPT / "augmentation-rare"
    test = save(dataset, parts.test, folder / "test.npz")
    data = save(dataset, np.concatenate(drawn), folder / f"seed{seed}.npz")
    out = folder / f"seed{seed}-{kimg:g}kimg-{steps}steps"
    lengths = ["--kimg", f"{kimg:g}", "--steps", steps, "--repeats", 1, "--seed", seed, *SMALL]
    tell(gentrain("augment", "--data", data, "--test", test, "--fill", "--out", out, *lengths))
    kept = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    labels, found = np.asarray(dataset.labels)[parts.test], {}
    for result in kept["results"]:
        right = np.ones(len(labels), bool)
        right[result["wrong"]] = False
        of_class = [100 * float(right[labels == label].mean()) for label in range(len(parts.pools))]
        found[result["arm"]] = mean(of_class), mean([of_class[label] for label in rare])
    of_class = surest_half(data, test, out, seed, steps)
    found[SUREST] = mean(of_class), mean([of_class[label] for label in rare])
    return found


def surest_half(data: Path, test: Path, out: Path, seed: int, steps: int) -> list[float]:
    """Accuracy by class without the half of the generated pictures of each that a classifier doubts most."""
    kept = out / "surest.json"
    if kept.exists():
        return list(json.loads(kept.read_text(encoding="utf-8")))
    from gentrain import quiet

    quiet.import_tensorflow()
    import tensorflow as tf
    from gentrain.commands.augmentation import pictures
    from gentrain.commands.study import classifier

    real, tested = (sources.read(str(each), Frame(SIDE)) for each in (data, test))
    folders = dict(enumerate(pictures.folders(real.class_names)))
    made, made_labels = pictures.read(out, folders, real.images.shape[1:])
    labels, classes = np.asarray(real.labels), len(real.class_names)
    order = classifier.by_class(labels, made_labels[:0], steps, 64, seed + 100)
    judge = classifier.train(np.asarray(real.images), labels, order, classes, seed + 100, True, False)
    sure = tf.nn.softmax(judge.predict(made, verbose=0)).numpy()[np.arange(len(made)), made_labels]
    half = [
        rows[np.argsort(sure[rows])[len(rows) // 2 :]]
        for label in folders
        if len(rows := np.flatnonzero(made_labels == label))
    ]
    rows = np.concatenate(half)
    images, all_labels = np.concatenate([real.images, made[rows]]), np.concatenate([labels, made_labels[rows]])
    order = classifier.by_class(labels, made_labels[rows], steps, 64, seed)
    model = classifier.train(images, all_labels, order, classes, seed, True, False)
    right = classifier.right(model, np.asarray(tested.images), np.asarray(tested.labels))
    of_class = [100 * float(right[np.asarray(tested.labels) == label].mean()) for label in range(classes)]
    kept.write_text(json.dumps(of_class), encoding="utf-8")
    return of_class


def rare(seeds: int, kimg: float, steps: int) -> str:
    """Markdown: accuracy by the way of training, and what generated images add, over the seeds."""
    found = [filled_up(seed, kimg, steps) for seed in range(seeds)]
    lines = ["| trained on | accuracy | of the rare classes |", "| --- | ---: | ---: |"]
    pairs = [("real", "real + classical"), *PAIRS, (BOTH, SUREST)]
    for arm in found[0]:
        lines.append(f"| {arm} | {' | '.join(_spread([one[arm][i] for one in found]) for i in (0, 1))} |")
    lines += ["", "| gain in points, of the same seed | accuracy | of the rare classes |", "| --- | ---: | ---: |"]
    for without, with_ in pairs:
        cells = [_spread([one[with_][i] - one[without][i] for one in found], "+") for i in (0, 1)]
        lines.append(f"| {with_} against {without} | {' | '.join(cells)} |")
    about = (
        f"Digits, {SIDE}×{SIDE}: {RARE_CLASSES} classes of {RARE} images and the others of {OTHERS}, tested on 1,000 "
        f"held out; mean ± standard deviation over {seeds} seeds (of the rare classes, the images, the generator and "
        f"the classifier). Generators of {kimg:g} kimg, one classifier of {steps} steps a cell; every class is drawn "
        f"equally often in each."
    )
    return "\n".join([*lines, "", about])


def _spread(values: list[float], sign: str = "") -> str:
    return f"{mean(values):{sign}.1f} ± {deviation(values):.1f}"


def main() -> None:
    """Run the studies, print their tables; a data set that is not to be had is left out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", choices=list(DATA), action="append", help="may be repeated (default: both)")
    parser.add_argument("--n", default="20,50,200,all", help="real images a class (default: 20,50,200,all)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kimg", type=float, default=100.0, help="of each generator's training (default: 100)")
    parser.add_argument("--steps", type=int, default=1000, help="of each classifier's training (default: 1000)")
    parser.add_argument("--figures", type=Path, metavar="DIR", help="write augmentation-….png there")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    parser.add_argument("--rare", action="store_true", help="digits with rare classes that are filled up, instead")
    arguments = parser.parse_args()
    if arguments.rare:
        command = f"`python bench/augmentation.py --rare --kimg {arguments.kimg:g} --steps {arguments.steps}`"
        found = rare(arguments.seeds, arguments.kimg, arguments.steps)
        print(f"## Training: data augmentation, rare digits\n\n{command}.\n\n{found}")
        return
    lengths = {"--kimg": f"{arguments.kimg:g}", "--steps": str(arguments.steps)}
    options = [
        "--n",
        arguments.n,
        "--seeds",
        str(arguments.seeds),
        *(part for pair in lengths.items() for part in pair),
    ]
    reports = []
    for name in arguments.data or DATA:
        folder = KEPT / f"augmentation-{name}-{arguments.kimg:g}kimg-{arguments.steps}steps"
        if arguments.again:
            shutil.rmtree(folder, ignore_errors=True)
        tables = study(name, options, folder)
        if tables is None:
            tell(f"{name} is left out")
            continue
        command = f"`make bench-training`, or `python bench/augmentation.py --data {name}`."
        reports.append(f"## Training: data augmentation, {DATA[name]}\n\n{command}\n\n{tables}")
        if arguments.figures:
            arguments.figures.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / "study.png", arguments.figures / f"augmentation-{name}.png")
    if not reports:
        sys.exit("no study has run")
    print("\n\n".join(reports))


if __name__ == "__main__":
    main()
