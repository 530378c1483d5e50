"""Whether generated images help a classifier: `gentrain augment-study` on digits and on Fashion-MNIST. Prints Markdown.

With --rare `gentrain augment --fill` instead: digits of which five classes, drawn anew for each seed, have few images;
and once more with the half of its pictures that a classifier of real ones is surest of, and with the half that a
detector of generated ones takes for real. Both keep their own results,
so one that was stopped goes on. A gain is reported, and so is none.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

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
SUREST, MOST_REAL = f"{BOTH}, the surest half", f"{BOTH}, the most real half"
CHOSEN = {SUREST: "surest.json", MOST_REAL: "most-real.json"}
STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)  # 97.5% quantiles of t, 2 to 10 seeds
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
    for arm in CHOSEN:
        of_class = better_half(arm, data, test, out, seed, steps)
        found[arm] = mean(of_class), mean([of_class[label] for label in rare])
    return found


def better_half(arm: str, data: Path, test: Path, out: Path, seed: int, steps: int) -> list[float]:
    """Accuracy by class without the half of the generated pictures of each that `arm`'s judge thinks least of."""
    kept = out / CHOSEN[arm]
    if kept.exists():
        return list(json.loads(kept.read_text(encoding="utf-8")))
    from gentrain import quiet

    quiet.import_tensorflow()
    from gentrain.commands.augmentation import pictures
    from gentrain.commands.study import classifier

    real, tested = (sources.read(str(each), Frame(SIDE)) for each in (data, test))
    names = dict(enumerate(pictures.folders(real.class_names)))
    made, made_labels = pictures.read(out, names, real.images.shape[1:])
    images, labels = np.asarray(real.images), np.asarray(real.labels)
    judge = surest if arm == SUREST else most_real
    scores = judge(images, labels, made, made_labels, steps, seed + 100)
    members = [np.flatnonzero(made_labels == label) for label in np.unique(made_labels)]
    rows = np.concatenate([each[np.argsort(scores[each])[len(each) // 2 :]] for each in members])
    order = classifier.by_class(labels, made_labels[rows], steps, 64, seed)
    all_images, all_labels = np.concatenate([images, made[rows]]), np.concatenate([labels, made_labels[rows]])
    model = classifier.train(all_images, all_labels, order, len(names), seed, True, False)
    right = classifier.right(model, np.asarray(tested.images), np.asarray(tested.labels))
    of_class = [100 * float(right[np.asarray(tested.labels) == label].mean()) for label in names]
    kept.write_text(json.dumps(of_class), encoding="utf-8")
    return of_class


def surest(
    images: np.ndarray, labels: np.ndarray, made: np.ndarray, made_labels: np.ndarray, steps: int, seed: int
) -> np.ndarray:
    """Of each generated picture, how probable its own class is to a classifier of the real ones."""
    from gentrain.commands.study import classifier

    order = classifier.by_class(labels, made_labels[:0], steps, 64, seed)
    judge = classifier.train(images, labels, order, int(labels.max()) + 1, seed, True, False)
    return chances(judge, made)[np.arange(len(made)), made_labels]


def most_real(
    images: np.ndarray, labels: np.ndarray, made: np.ndarray, made_labels: np.ndarray, steps: int, seed: int
) -> np.ndarray:
    """Of each generated picture, how probably real a detector holds it that was trained on the other half of them."""
    from gentrain.commands.study import classifier

    same = np.isin(labels, made_labels)  # else it would tell the classes that nothing was made of
    fold = np.arange(len(made)) % 2
    scores = np.empty(len(made))
    for part in (0, 1):
        both = np.concatenate([images[same], made[fold != part]])
        real = np.arange(len(both)) < same.sum()
        groups = 2 * np.concatenate([labels[same], made_labels[fold != part]]) + real
        order = classifier.by_class(groups, groups[:0], steps, 64, seed)
        judge = classifier.train(both, real.astype(np.int32), order, 2, seed, True, False)
        scores[fold == part] = chances(judge, made[fold == part])[:, 1]
    return scores


def chances(model: Any, images: np.ndarray) -> np.ndarray:
    """Softmax of the logits, float64 (N, classes)."""
    logits = np.asarray(model.predict(images, verbose=0), np.float64)
    raised = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def rare(seeds: int, kimg: float, steps: int) -> str:
    """Markdown: accuracy by the way of training, and what generated images add, over the seeds."""
    found = [filled_up(seed, kimg, steps) for seed in range(seeds)]
    lines = ["| trained on | accuracy | of the rare classes |", "| --- | ---: | ---: |"]
    pairs = [("real", "real + classical"), *PAIRS, *((BOTH, arm) for arm in CHOSEN)]
    for arm in found[0]:
        lines.append(f"| {arm} | {' | '.join(_spread([one[arm][i] for one in found]) for i in (0, 1))} |")
    lines += ["", "| gain in points, of the same seed | accuracy | of the rare classes |", "| --- | ---: | ---: |"]
    for without, with_ in pairs:
        cells = [_interval([one[with_][i] - one[without][i] for one in found]) for i in (0, 1)]
        lines.append(f"| {with_} against {without} | {' | '.join(cells)} |")
    about = (
        f"Digits, {SIDE}×{SIDE}: {RARE_CLASSES} classes of {RARE} images and the others of {OTHERS}, tested on 1,000 "
        f"held out; mean ± standard deviation over {seeds} seeds (of the rare classes, the images, the generator and "
        f"the classifier), of gains the 95% interval (Student's t over the seeds). Generators of {kimg:g} kimg, one "
        f"classifier of {steps} steps a cell; every class is drawn equally often in each."
    )
    return "\n".join([*lines, "", about])


def _spread(values: list[float]) -> str:
    return f"{mean(values):.1f} ± {deviation(values):.1f}"


def _interval(values: list[float]) -> str:
    """`+0.9 (-0.3 to +2.1)`; of one seed there is no interval."""
    middle = mean(values)
    if len(values) == 1:
        return f"{middle:+.1f}"
    half = STUDENT[min(len(values) - 2, len(STUDENT) - 1)] * deviation(values) / len(values) ** 0.5
    return f"{middle:+.1f} ({middle - half:+.1f} to {middle + half:+.1f})"


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
