"""`gentrain evaluate` of a generator that gives pictures a style: how near it comes to real ones, and what stays."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain.progress import Measuring, duration, echo, summary

if TYPE_CHECKING:
    from gentrain.commands.subject import Subject
    from gentrain.data.dataset import Dataset
    from gentrain.metrics.features import FeatureNet
    from gentrain.metrics.style import StyleJudge

SHOWN, COLUMNS = 32, 4
PASSES = 4
"""Each picture goes through the feature net as it is, recoloured and translated, and once for a real one."""


def evaluate(
    subject: Subject, dataset: Dataset, samples: int, net: FeatureNet, on: str | None, out: Path | None
) -> str:
    """Measure, write metrics.json and translations.png, and return the table for the user.

    Args:
        subject: the run.
        dataset: pictures of the style, with the inputs that it was trained on.
        samples: pictures to translate, at most.
        net: whose features the distances are in; `second_for` gives another one to compare with.
        on: a source of other pictures to translate; None for those that the run held out.
        out: where the report goes; None for the run's metrics.json.
    """
    from gentrain.metrics import style
    from gentrain.metrics.features import second_for

    begun = time.monotonic()
    classifier = style.classifier_of(dataset)
    measured, held_out, where = _pictures(subject, dataset, on)
    with Measuring(PASSES * 2 * samples) as measuring:
        judge = style.StyleJudge(measured, held_out, samples, net, measuring.show)
        images = judge.translate(subject.generator)
        metrics = {name: _entry(value, name, judge) for name, value in judge.score(images).items()}
        if not isinstance(classifier, str):
            each = {"value": images, "unchanged": judge.images, "recoloured": judge.recoloured}
            hits = {name: style.hits(classifier, pictures) for name, pictures in each.items()}
            metrics["hits"] = hits | {"floor": classifier.accuracy or 0.0}
        second = (other := second_for(dataset, net)) and style.StyleJudge(measured, held_out, samples, other)
    report: dict[str, Any] = {
        **subject.describe(),
        "style": dataset.source,
        "on": where,
        "metrics": metrics,
        "second": second and _second(second, images),
        **judge.describe(),
        "seconds": round(time.monotonic() - begun, 1),
    }
    subject.keep(report, judge, out, "translations.png", lambda path: _draw(judge, images, path))
    echo(f"measured {judge.samples} pictures in {duration(report['seconds'])}")
    return _table(report)


def _pictures(subject: Subject, dataset: Dataset, on: str | None) -> tuple[Dataset, int, str]:
    """The pictures to translate, as a data set's `inputs`; how many of each were held out; where they are from."""
    from gentrain.commands.reading import read

    if on is not None:
        side, channels = dataset.images.shape[2:]
        others = read(on, replace(subject.frame, style="", labels="none", resolution=side, channels=channels))
        echo(summary(others))
        return replace(dataset, inputs=others), 0, on
    held_out = subject.held_out
    return dataset, held_out, "pictures held out of the training" if held_out else "pictures of the training"


def _draw(judge: StyleJudge, images: Any, path: Path) -> None:
    """Input, translated and a picture of the style side by side."""
    from gentrain.images import image_grid, save_png
    from gentrain.training.examples import Examples

    given = {"image": judge.images.astype(np.float32) / 127.5 - 1.0}
    beside = judge.dataset.images[judge.compared[np.arange(judge.samples) % len(judge.compared)]]
    save_png(image_grid(Examples(given, np.asarray(beside)).shown(images)[:SHOWN], COLUMNS), path)


def _second(judge: StyleJudge, images: Any) -> dict[str, Any]:
    """What metrics.json says of another feature net."""
    scores = {name: _entry(value, name, judge) for name, value in judge.score(images).items() if name != "content"}
    return {"features": judge.describe()["features"], "metrics": scores}


def _entry(value: float, name: str, judge: StyleJudge) -> dict[str, float]:
    entry = {"value": value, "unchanged": judge.unchanged[name], "recoloured": judge.by_colours[name]}
    return entry | ({"floor": judge.reference[name]} if name in judge.reference else {})


def _table(report: dict[str, Any]) -> str:
    """Each metric beside what the inputs score as they are and recoloured, and real pictures of the style."""
    from gentrain.metrics import METRICS

    lines = [f"{'metric':10} {'value':>9} {'input':>9} {'recoloured':>10} {'reference':>9}  better"]

    def line(name: str, entry: dict[str, float], about: str) -> str:
        reference = f"{entry['floor']:9.4g}" if "floor" in entry else f"{'':9}"
        numbers = f"{entry['value']:9.4g} {entry['unchanged']:9.4g} {entry['recoloured']:10.4g} {reference}"
        return f"{name:10} {numbers}  {METRICS[name].better:6}  {about}"

    lines += [line(name, entry, METRICS[name].about) for name, entry in report["metrics"].items()]
    if report["second"]:
        net = report["second"]["features"]["name"]
        about = f"the same in the features of the {net} net"
        lines += [line(name, entry, about) for name, entry in report["second"]["metrics"].items()]
    lines.append(
        f"{report['on']}: {report['samples']}; input: the picture left as it is; recoloured: with the histogram of the "
        "style; reference: what real pictures of it score"
    )
    return "\n".join(lines)
