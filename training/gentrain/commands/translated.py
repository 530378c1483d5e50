"""`gentrain evaluate` of a generator that translates pictures: how near it comes on pairs it has not seen."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain.files import write_json
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
    from gentrain.commands.reading import read
    from gentrain.conditions import hints
    from gentrain.images import image_grid, save_png
    from gentrain.metrics import feature_files
    from gentrain.metrics.features import second_for
    from gentrain.metrics.translation import DOTS, PairJudge

    begun = time.monotonic()
    measured, others = dataset, None
    if on is None:
        unseen = subject.unseen(dataset)
        indices = dataset.distinct if unseen is None else unseen
        seen = unseen is None
    else:
        measured, seen = read(on, replace(subject.frame, style="")), False
        echo(summary(measured))
        indices = np.arange(len(measured.images))
        others = dataset.images[np.random.default_rng(0).permutation(dataset.distinct)[: 2 * len(indices)]]
    indices = np.sort(np.random.default_rng(0).permutation(indices)[:samples])
    generator = subject.generator
    takes_hints = any(tensor.name == hints.Hints.name for tensor in generator.inputs)
    with Measuring((2 + (len(DOTS) if takes_hints else 1) * 2) * len(indices)) as measuring:
        judge = PairJudge(measured, indices, net, measuring.show, others)
        each = {dots: judge.translate(generator, dots=dots) for dots in (DOTS if takes_hints else (None,))}
        scores = {dots: judge.score(images) for dots, images in each.items()}
    first = next(iter(scores.values()))
    second = second_for(dataset, net)
    report: dict[str, Any] = {
        **subject.describe(),
        "on": on or ("pairs of the training" if seen else "pairs held out of the training"),
        "metrics": {name: _entry(name, value, judge) for name, value in first.items()},
        "second": second and _second(PairJudge(measured, indices, second, others=others), next(iter(each.values()))),
        **judge.describe(),
    }
    if takes_hints:
        report["dots"] = {str(dots): values for dots, values in scores.items()}
    report["seconds"] = round(time.monotonic() - begun, 1)
    if target := out or (subject.run and subject.run / "metrics.json"):
        grid = target.with_name("translations.png")
        shown = min(SHOWN, len(indices))
        dots, images = list(each.items())[-1]
        save_png(image_grid(_shown(judge, images, dots)[:shown], COLUMNS), grid)
        write_json(target, report)
        if subject.run:
            feature_files.keep(judge, subject.run)
        echo(f"{target}, {grid}")
    echo(f"measured {judge.samples} pairs in {duration(report['seconds'])}")
    return _table(report, judge)


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
    found = {"value": value, "unchanged": judge.unchanged[name]}
    return found | ({"floor": judge.reference[name]} if name in judge.reference else {})


def _table(report: dict[str, Any], judge: PairJudge) -> str:
    """Each metric beside what the inputs score as they are; then with dots."""
    from gentrain.metrics import METRICS

    lines = [f"{'metric':10} {'value':>9} {'input':>9} {'reference':>9}  better"]
    for name, entry in report["metrics"].items():
        floor = f"{entry['floor']:9.4g}" if "floor" in entry else f"{'':9}"
        about = f"{METRICS[name].better:6}  {METRICS[name].about}"
        lines.append(f"{name:10} {entry['value']:9.4g} {entry['unchanged']:9.4g} {floor}  {about}")
    if report["second"]:
        name, entry = report["second"]["features"]["name"], report["second"]["metrics"]["frechet"]
        about = f"lower   the same distance in the features of the {name} net"
        lines.append(f"{'frechet':10} {entry['value']:9.4g} {entry['unchanged']:9.4g} {entry['floor']:9.4g}  {about}")
    for dots, values in report.get("dots", {}).items():
        lines.append(f"{dots:>3} dots   " + "   ".join(f"{name} {value:.4g}" for name, value in values.items()))
    lines.append(f"{report['on']}: {judge.samples}; input: the picture left as it is; reference: the right answers")
    return "\n".join(lines)
