"""`gentrain evaluate` of a generator that translates pictures: how near it comes on pairs it has not seen."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from gentrain.progress import Measuring, duration, echo, summary

if TYPE_CHECKING:
    from gentrain.commands.subject import Subject
    from gentrain.data.dataset import Dataset
    from gentrain.metrics.features import FeatureNet
    from gentrain.metrics.translation import PairJudge

SHOWN, COLUMNS = 32, 4


def evaluate(
    subject: Subject, dataset: Dataset, samples: int, net: FeatureNet, on: str | None, out: Path | None
) -> str:
    """Measure, write metrics.json and translations.png, and return the table for the user.

    Args:
        subject: the run, or a generator alone.
        dataset: the pairs that it was trained on.
        samples: pairs to translate, at most.
        net: whose features the Fréchet distance is in; `second_for` gives another one to compare with.
        on: a source of other pairs to measure on; None for those that the run held out.
        out: where the report goes; None for the run's metrics.json.
    """
    from gentrain.conditions import hints
    from gentrain.images import image_grid, save_png
    from gentrain.metrics.features import second_for
    from gentrain.metrics.translation import DOTS, PairJudge

    begun = time.monotonic()
    pairs = _pairs(subject, dataset, samples, on)
    takes_hints = any(tensor.name == hints.Hints.name for tensor in subject.generator.inputs)
    with Measuring((2 + (len(DOTS) if takes_hints else 1) * 2) * len(pairs.indices)) as measuring:
        judge = PairJudge(pairs.dataset, pairs.indices, net, measuring.show, pairs.others)
        each = {dots: judge.translate(subject.generator, dots=dots) for dots in (DOTS if takes_hints else (None,))}
        scores = {dots: judge.score(images) for dots, images in each.items()}
    first = next(iter(scores.values()))
    second = (other := second_for(dataset, net)) and PairJudge(pairs.dataset, pairs.indices, other, others=pairs.others)
    report: dict[str, Any] = {
        **subject.describe(),
        "on": pairs.where,
        "metrics": {name: _entry(name, value, judge) for name, value in first.items()},
        "second": second and _second(second, next(iter(each.values()))),
        **judge.describe(),
    }
    if takes_hints:
        report["dots"] = {str(dots): values for dots, values in scores.items()}
    report["seconds"] = round(time.monotonic() - begun, 1)
    dots, images = list(each.items())[-1]

    def draw(path: Path) -> None:
        save_png(image_grid(_shown(judge, images, dots)[:SHOWN], COLUMNS), path)

    subject.keep(report, judge, out, "translations.png", draw)
    echo(f"measured {judge.samples} pairs in {duration(report['seconds'])}")
    return _table(report, judge)


class Pairs(NamedTuple):
    """What is measured on: these pairs of a data set, `others` for `PairJudge`, and in words where they are from."""

    dataset: Dataset
    indices: Any
    others: Any
    where: str


def _pairs(subject: Subject, dataset: Dataset, samples: int, on: str | None) -> Pairs:
    """At most so many pairs: those that the run held out, all that it was trained on if it held out none, or others."""
    from gentrain.commands.reading import read

    def some(indices: Any) -> Any:
        return np.sort(np.random.default_rng(0).permutation(indices)[:samples])

    if on is not None:
        measured = read(on, replace(subject.frame, style=""))
        echo(summary(measured))
        most = 2 * len(measured.images)
        others = dataset.images[np.random.default_rng(0).permutation(dataset.distinct)[:most]]
        return Pairs(measured, some(np.arange(len(measured.images))), others, on)
    unseen = subject.unseen(dataset)
    if unseen is None:
        return Pairs(dataset, some(dataset.distinct), None, "pairs of the training")
    return Pairs(dataset, some(unseen), None, "pairs held out of the training")


def _shown(judge: PairJudge, images: Any, dots: int | None) -> Any:
    """Input, with its dots on it, translated and true side by side."""
    from gentrain.training.examples import Examples

    given = {"image": judge.dataset.columns["image"][judge.indices].astype(np.float32) / 127.5 - 1.0}
    if dots is not None:
        given["hints"] = judge.hints(dots)
    return Examples(given, judge.images).shown(images)


def _second(judge: PairJudge, images: Any) -> dict[str, Any]:
    """What metrics.json says of another feature net."""
    distance = {"frechet": _entry("frechet", judge.frechet(images), judge)}
    return {"features": judge.describe()["features"], "metrics": distance}


def _entry(name: str, value: float, judge: PairJudge) -> dict[str, float]:
    entry = {"value": value, "unchanged": judge.unchanged[name]}
    return entry | ({"floor": judge.reference[name]} if name in judge.reference else {})


def _table(report: dict[str, Any], judge: PairJudge) -> str:
    """Each metric beside what the inputs score as they are; then with dots."""
    from gentrain.metrics import METRICS

    lines = [f"{'metric':10} {'value':>9} {'input':>9} {'reference':>9}  better"]
    for name, entry in report["metrics"].items():
        reference = f"{entry['floor']:9.4g}" if "floor" in entry else f"{'':9}"
        about = f"{METRICS[name].better:6}  {METRICS[name].about}"
        lines.append(f"{name:10} {entry['value']:9.4g} {entry['unchanged']:9.4g} {reference}  {about}")
    if report["second"]:
        name, entry = report["second"]["features"]["name"], report["second"]["metrics"]["frechet"]
        about = f"lower   the same distance in the features of the {name} net"
        lines.append(f"{'frechet':10} {entry['value']:9.4g} {entry['unchanged']:9.4g} {entry['floor']:9.4g}  {about}")
    for dots, values in report.get("dots", {}).items():
        lines.append(f"{dots:>3} dots   " + "   ".join(f"{name} {value:.4g}" for name, value in values.items()))
    lines.append(f"{report['on']}: {judge.samples}; input: the picture left as it is; reference: the right answers")
    return "\n".join(lines)
