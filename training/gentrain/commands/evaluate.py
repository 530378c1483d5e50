"""`gentrain evaluate`: how good a generator is, each number beside what real images would score."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gentrain import quiet
from gentrain.files import write_json
from gentrain.progress import Measuring, duration, echo, summary

if TYPE_CHECKING:
    from gentrain.metrics.features import FeatureNet
    from gentrain.metrics.judge import Judge
    from gentrain.metrics.nearest import Nearest

PRETRAINED = ("efficientnet-lite0", "efficientnet-lite1")

WITH_WEIGHTS = ("inception", "resnet50", "mobilenet-v2", "convnext-tiny")  # files of keras.applications

BLIND = (
    "features: a classifier sees what tells classes apart, neither blur nor noise; precision and density are the\n"
    "  lower of its own and those in a random net's features, which see texture; the rest is the classifier's"
)


@click.command()
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--samples", type=click.IntRange(min=10), default=5000, show_default=True, help="Number of images to generate."
)
@click.option(
    "--features",
    type=click.Choice(["auto", "pretrained", *PRETRAINED, "classifier", "random", *WITH_WEIGHTS]),
    default="auto",
    show_default=True,
    help="Feature extractor: EfficientNet-Lite0 trained on ImageNet (for colour), a classifier trained on the labels, "
    "a fixed random network, or a net of keras.applications.",
)
@click.option(
    "--weights", type=click.Path(path_type=Path), help="Weights of a net of keras.applications; never downloaded."
)
@click.option("--data", metavar="SOURCE", help="Training images, if they have moved; required for a .keras file.")
@click.option(
    "--snapshot", type=click.Choice(["best", "last"]), help="Snapshot of the run.  [default: best, if there is one]"
)
@click.option(
    "--on",
    metavar="SOURCE",
    help="Other pairs, or pictures to be given a style, to measure on.  [default: those held out]",
)
@click.option("--out", type=click.Path(path_type=Path), help="Where to write the scores.  [default: RUN/metrics.json]")
def evaluate(
    run: Path,
    samples: int,
    features: str,
    weights: Path | None,
    data: str | None,
    snapshot: str | None,
    on: str | None,
    out: Path | None,
) -> None:
    """Score the generator of RUN, a run directory or a .keras file, against real images it was not trained on.

    Writes RUN/metrics.json and RUN/nearest.png: generated images above their nearest training images. A generator that
    translates pictures is measured on pairs that it was not trained on, and shown in RUN/translations.png.

    \b
    gentrain evaluate runs/digits
    gentrain evaluate generator.keras --data photos/ --out metrics.json
    gentrain evaluate runs/colour --on pairs:test/outlines,test/pictures
    """
    from gentrain.commands import subject as subjects
    from gentrain.commands.reading import read

    if (features in WITH_WEIGHTS) != (weights is not None):
        raise click.UsageError(f"--features {'|'.join(WITH_WEIGHTS)} and --weights FILE go together")
    begun = time.monotonic()
    subject = subjects.find(run, data, snapshot)
    dataset = read(subject.data, subject.frame)
    subject.check(dataset)
    echo(summary(dataset))

    quiet.import_tensorflow()
    from gentrain.commands import styled, translated
    from gentrain.metrics import feature_files, nearest, translation
    from gentrain.metrics.features import features_for
    from gentrain.metrics.generate import generate
    from gentrain.metrics.judge import Judge, split

    generator = subject.generator
    if on is not None and not translation.translates(generator):
        raise click.UsageError(f"--on {on}: {run} makes images of latents; --on is for what translates pictures")
    takes_on_style = dataset.inputs is not None and not (on or "").startswith("pairs:")
    echo("features: preparing the feature extractor; training a classifier takes about 15 seconds …")
    net = features_for(dataset, features, weights, subject.seen_through)
    echo(_about(net))
    if translation.translates(generator):
        measure = styled.evaluate if takes_on_style else translated.evaluate
        click.echo(measure(subject, dataset, samples, net, on, out))
        return
    unseen = subject.unseen(dataset)
    searched = min(len(dataset.distinct), nearest.LARGEST)
    real, made = (len(rows) for rows in split(dataset, samples, unseen=unseen))
    with Measuring(2 * (real + 2 * made) + made + searched) as measuring:
        judge = Judge(dataset, net, samples, show=measuring.show, unseen=unseen, seen_through=subject.seen_through)
        given = judge.given(generator)
        labels = given.get("labels")
        images = generate(generator, judge.samples, given=given, show=measuring.show)
        values = judge.score(images, labels)
        others = judge.second.marks(images) if judge.second else {}
        found = nearest.search(images, dataset, judge.small, searched, measuring.show, unseen)

    report = {
        **subject.describe(),
        **_numbers(judge, values, others, found),
        "seconds": round(time.monotonic() - begun, 1),
    }
    if labels is not None:
        report["class_accuracy"] = judge.class_accuracy(images, labels)
    if target := out or (subject.run and subject.run / "metrics.json"):
        picture = target.with_name("nearest.png")
        nearest.draw(images, dataset, found, picture)
        write_json(target, report)
        if subject.run:
            feature_files.keep(judge, subject.run)
        echo(f"{target}, {picture}")
    echo(f"measured {judge.samples} images in {duration(report['seconds'])}")
    click.echo(_table(report))


def _about(net: FeatureNet) -> str:
    accuracy = f", right on {net.accuracy:.1%} of held-out images" if net.accuracy is not None else ""
    return f"features: {net.name} {net.hash[:12]}{accuracy}" + (f"\n  {net.note}" if net.note else "")


def _numbers(
    judge: Judge, values: dict[str, float], others: dict[str, float], found: dict[str, Nearest]
) -> dict[str, Any]:
    """What metrics.json holds of a measurement."""
    from gentrain.metrics.nearest import NEAR, memorised, originality

    original = originality(found)
    second = judge.second and {
        "features": judge.second.describe(),
        "metrics": _with_reference(others, judge.second.reference),
    }
    return {
        "metrics": _with_reference(values, judge.reference),
        "second": second,
        "nearest": {space: nearest.ratio for space, nearest in found.items()},
        "memorised": {"value": memorised(found), "floor": NEAR},
        **({"originality": {"value": original, "floor": 1.0}} if original is not None else {}),
        **judge.describe(),
        "unknown": judge.unknown,
    }


def _with_reference(values: dict[str, float], reference: dict[str, float]) -> dict[str, dict[str, float]]:
    return {name: {"value": value, "floor": reference[name]} for name, value in values.items()}


def _alone(names: Iterable[str]) -> str:
    """What has full marks by one number alone: `A (precision, density); B (recall)`."""
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
    lines.append(f"memorised  {copied['value']:9.4g} {copied['floor']:9.4g}  lower   part that copies training images")
    if original := report.get("originality"):
        about = "distance to training images over that to held-out ones; near 0: copies"
        lines.append(f"originality {original['value']:8.4g} {original['floor']:9.4g}  higher  {about}")
    if nearest.copies(copied["value"], original and original["value"]):
        lines.append("This generator copies training images: its other numbers say nothing.")
    lines.append("reference: real images in the place of the generated ones; nearest: near 0 are copies")
    lines.append("*: says nothing by itself; full marks also go to " + _alone(report["metrics"]))
    if second["metrics"]:
        lines.append(f"2nd net: {second['features']['name']}; the first: {report['features']['name']}")
    lines += [BLIND] if report["features"]["name"] == "classifier" else []
    lines += [report["unknown"]] if report["unknown"] else []
    return "\n".join(lines)
