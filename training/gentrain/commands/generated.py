"""`gentrain evaluate` of a generator of images from latents: how real and how varied they are, and whether copied."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain.progress import Measuring, duration, echo

if TYPE_CHECKING:
    from gentrain.commands.subject import Subject
    from gentrain.data.dataset import Dataset
    from gentrain.metrics.features import FeatureNet, Images
    from gentrain.metrics.judge import Judge
    from gentrain.metrics.nearest import Nearest

BLIND = (
    "features: a classifier sees what tells classes apart, neither blur nor noise; precision and density are the\n"
    "  lower of its own and those in a random net's features, which see texture; the rest is the classifier's"
)


def evaluate(subject: Subject, dataset: Dataset, samples: int, net: FeatureNet, out: Path | None, begun: float) -> str:
    """Measure, write metrics.json and nearest.png, and return the table for the user.

    Args:
        subject: the run, or a generator alone.
        dataset: the images that it was trained on.
        samples: images to generate.
        net: whose features the metrics are in.
        out: where the report goes; None for the run's metrics.json.
        begun: when the command began, by `time.monotonic`.
    """
    from gentrain.data import holdout
    from gentrain.metrics import exposures, nearest
    from gentrain.metrics.generate import generate
    from gentrain.metrics.judge import Judge, split

    unseen = subject.unseen(dataset)
    clips, dataset = dataset, exposures.of(dataset) if dataset.frames else dataset
    held_out = {"unseen": unseen, "compared": None if unseen is None else holdout.halves(unseen)[1]}
    searched = min(len(dataset.distinct), nearest.LARGEST)
    real, made = (len(indices) for indices in split(dataset, samples, **held_out))
    with Measuring(2 * (real + 2 * made) + made + searched) as measuring:
        judge = Judge(dataset, net, samples, show=measuring.show, seen_through=subject.seen_through, **held_out)
        given = judge.given(subject.generator)
        labels = given.get("labels")
        drawn = generate(subject.generator, judge.samples, given=given, show=measuring.show)
        images = exposures.exposed(drawn)
        values = judge.score(images, labels) | judge.diversity(subject.generator, images, given)
        others = judge.second.marks(images) if judge.second else {}
        neighbours = nearest.search(images, dataset, judge.small, searched, measuring.show, unseen)
    report = {
        **subject.describe(),
        **_numbers(judge, values, others, neighbours),
        "seconds": round(time.monotonic() - begun, 1),
    }
    if labels is not None:
        report["class_accuracy"] = judge.class_accuracy(images, labels)
    if clips.frames:
        report |= _moving(drawn, clips, judge)
    kept = None if clips.frames else judge
    subject.keep(report, kept, out, "nearest.png", lambda path: nearest.draw(images, dataset, neighbours, path))
    echo(f"measured {judge.samples} images in {duration(report['seconds'])}")
    return _table(report)


def _numbers(
    judge: Judge, values: dict[str, float], others: dict[str, float], neighbours: dict[str, Nearest]
) -> dict[str, Any]:
    """What metrics.json holds of a measurement."""
    from gentrain.metrics.nearest import NEAR, memorised, originality

    original = originality(neighbours)
    second = judge.second and {
        "features": judge.second.describe(),
        "metrics": _with_reference(others, judge.second.reference),
    }
    return {
        "metrics": _with_reference(values, judge.reference),
        "second": second,
        "nearest": {space: nearest.ratio for space, nearest in neighbours.items()},
        "memorised": {"value": memorised(neighbours), "floor": NEAR},
        **({"originality": {"value": original, "floor": 1.0}} if original is not None else {}),
        **judge.describe(),
        "unknown": judge.unknown,
    }


def _with_reference(values: dict[str, float], reference: dict[str, float]) -> dict[str, dict[str, float]]:
    return {name: {"value": value, "floor": reference[name]} for name, value in values.items()}


def _moving(made: Images, clips: Dataset, judge: Judge) -> dict[str, Any]:
    """How much clips move, of what real ones do, and what these score in another order, and where one frame is held."""
    from gentrain.metrics import exposures
    from gentrain.metrics.motion import moves

    real = np.asarray(clips.images[np.sort(judge.held_out)])
    baselines = {name: change(real) for name, change in (("shuffled", exposures.shuffled), ("held", exposures.held))}
    found: dict[str, Any] = {
        name: {**judge.score(exposures.exposed(images)), "motion": moves(images) / moves(real)}
        for name, images in baselines.items()
    }
    return {"motion": {"value": moves(made) / moves(real), "floor": 1.0}, "baselines": found}


def _alone(names: Iterable[str]) -> str:
    """What has a perfect score by one number alone: `A (precision, density); B (recall)`."""
    from gentrain.metrics import METRICS

    by_reason: dict[str, list[str]] = {}
    for name in names:
        if METRICS[name].alone:
            by_reason.setdefault(METRICS[name].alone, []).append(name)
    return "; ".join(f"{reason} ({', '.join(names)})" for reason, names in by_reason.items())


def _table(report: dict[str, Any]) -> str:
    """Each metric beside its reference, then classes and nearest images."""
    from gentrain.metrics import METRICS, nearest

    second = report["second"] or {"metrics": {}}
    head = f" {'2nd net':>9} {'reference':>9}" if second["metrics"] else ""
    lines = [f"{'metric':10} {'value':>9} {'reference':>9}{head}  better"]
    for name, number in report["metrics"].items():
        others = second["metrics"].get(name)
        beside = f" {others['value']:9.4g} {others['floor']:9.4g}" if others else " " * len(head)
        about = f"{METRICS[name].better + '*' * bool(METRICS[name].alone):7} {METRICS[name].about}"
        lines.append(f"{name:10} {number['value']:9.4g} {number['floor']:9.4g}{beside}  {about}")
    lines += [f"  {accuracy:8.1%} of {name}" for name, accuracy in report.get("class_accuracy", {}).items()]
    lines += [
        f"nearest    {ratio:9.4g} {1:9}  times as far from training images, by {space}, as unseen real ones"
        for space, ratio in report["nearest"].items()
    ]
    copied = report["memorised"]
    lines.append(
        f"memorised  {copied['value']:9.4g} {copied['floor']:9.4g}  lower   fraction that are copies of training images"
    )
    if original := report.get("originality"):
        about = "distance to training images over that to held-out ones; near 0: copies"
        lines.append(f"originality {original['value']:8.4g} {original['floor']:9.4g}  higher  {about}")
    if motion := report.get("motion"):
        about = "how much a frame differs from the one before, of what it does in real clips"
        lines.append(f"motion     {motion['value']:9.4g} {motion['floor']:9.4g}  near 1  {about}")
        scores = (f"{name} {scores['frechet']:.4g}" for name, scores in report["baselines"].items())
        lines.append(f"frechet of real clips, frames {', frames '.join(scores)}")
    if nearest.copies(copied["value"], original and original["value"]):
        lines.append("This generator copies training images: its other numbers mean nothing.")
    lines.append("reference: what real images score in place of generated ones; nearest: near 0 means copies")
    lines.append("*: means nothing by itself; a perfect score also goes to " + _alone(report["metrics"]))
    if second["metrics"]:
        lines.append(f"2nd net: {second['features']['name']}; the first: {report['features']['name']}")
    lines += [BLIND] if report["features"]["name"] == "classifier" else []
    lines += [report["unknown"]] if report["unknown"] else []
    return "\n".join(lines)
