"""`gentrain evaluate`: how good a generator is, each number beside what real images would score."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gentrain import quiet
from gentrain.files import write_json
from gentrain.progress import Measuring, duration, summary, tell

if TYPE_CHECKING:
    from gentrain.metrics.features import FeatureNet
    from gentrain.metrics.judge import Judge
    from gentrain.metrics.nearest import Nearest

SEARCHED_WITH_INCEPTION = 5000

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
    type=click.Choice(["auto", "classifier", "random", "inception"]),
    default="auto",
    show_default=True,
    help="Feature extractor: a classifier trained on the labels, a fixed random network, or InceptionV3.",
)
@click.option("--weights", type=click.Path(path_type=Path), help="InceptionV3 weights file; never downloaded.")
@click.option("--data", metavar="SOURCE", help="Training images, if they have moved; required for a .keras file.")
@click.option(
    "--snapshot", type=click.Choice(["best", "last"]), help="Snapshot of the run.  [default: best, if there is one]"
)
@click.option("--out", type=click.Path(path_type=Path), help="Where to write the scores.  [default: RUN/metrics.json]")
def evaluate(
    run: Path,
    samples: int,
    features: str,
    weights: Path | None,
    data: str | None,
    snapshot: str | None,
    out: Path | None,
) -> None:
    """Score the generator of RUN, a run directory or a .keras file, against the images it was trained on.

    Writes RUN/metrics.json and RUN/nearest.png: generated images above their nearest training images.

    \b
    gentrain evaluate runs/digits
    gentrain evaluate generator.keras --data photos/ --out metrics.json
    """
    from gentrain.commands import subject as subjects
    from gentrain.commands.reading import read

    if (features == "inception") != (weights is not None):
        raise click.UsageError("--features inception and --weights FILE go together")
    begun = time.monotonic()
    subject = subjects.find(run, data, snapshot)
    dataset = read(subject.data, subject.frame)
    subject.check(dataset)
    tell(summary(dataset))

    quiet.import_tensorflow()
    from gentrain.metrics import feature_files, nearest
    from gentrain.metrics.features import features_for
    from gentrain.metrics.generate import generate
    from gentrain.metrics.judge import COMPARED, Judge

    generator = subject.generator
    tell("features: preparing the feature extractor; training a classifier takes about 15 seconds …")
    net = features_for(dataset, weights or features)
    tell(_about(net))
    different = len(dataset.distinct)
    searched = min(different, SEARCHED_WITH_INCEPTION if net.name == "inception" else nearest.LARGEST)
    count = min(samples, different // 2)
    unseen = subject.unseen(dataset)
    with Measuring(min(different - count, COMPARED * count) + 3 * count + searched) as measuring:
        judge = Judge(dataset, net, samples, show=measuring.show)
        given = judge.given(generator)
        labels = given.get("labels")
        images = generate(generator, count, given=given, show=measuring.show)
        values = judge.score(images, labels)
        found = nearest.search(images, dataset, net, searched, measuring.show, unseen)

    report = {**subject.describe(), **_numbers(judge, values, found), "seconds": round(time.monotonic() - begun, 1)}
    if labels is not None:
        report["class_accuracy"] = judge.class_accuracy(images, labels)
    if target := out or (subject.run and subject.run / "metrics.json"):
        sheet = target.with_name("nearest.png")
        nearest.draw(images, dataset, found, sheet)
        write_json(target, report)
        if subject.run:
            feature_files.keep(judge, subject.run)
        tell(f"{target}, {sheet}")
    tell(f"measured {judge.samples} images in {duration(report['seconds'])}")
    click.echo(_table(report))


def _about(net: FeatureNet) -> str:
    accuracy = f", right on {net.accuracy:.1%} of held-out images" if net.accuracy is not None else ""
    return f"features: {net.name} {net.hash[:12]}{accuracy}" + (f"\n  {net.note}" if net.note else "")


def _numbers(judge: Judge, values: dict[str, float], found: dict[str, Nearest]) -> dict[str, Any]:
    """What metrics.json holds of a measurement."""
    from gentrain.metrics.nearest import NEAR, memorised

    return {
        "metrics": {name: {"value": value, "floor": judge.reference[name]} for name, value in values.items()},
        "nearest": {space: nearest.ratio for space, nearest in found.items()},
        "memorised": {"value": memorised(found), "floor": NEAR},
        **judge.describe(),
    }


def _table(report: dict[str, Any]) -> str:
    """Each metric beside its reference, then classes and nearest images."""
    from gentrain.metrics import METRICS
    from gentrain.metrics.nearest import MEMORISER

    lines = [f"{'metric':10} {'value':>9} {'reference':>9}  better"]
    for name, number in report["metrics"].items():
        about = f"{METRICS[name].better:6}  {METRICS[name].about}"
        lines.append(f"{name:10} {number['value']:9.4g} {number['floor']:9.4g}  {about}")
    lines += [f"  {accuracy:8.1%} of {name}" for name, accuracy in report.get("class_accuracy", {}).items()]
    lines += [
        f"nearest    {ratio:9.4g} {1:9}  times as far from training images, by {space}, as unseen real ones"
        for space, ratio in report["nearest"].items()
    ]
    copies = report["memorised"]
    lines.append(f"memorised  {copies['value']:9.4g} {copies['floor']:9.4g}  lower   part that copies training images")
    if copies["value"] > MEMORISER:
        lines.append("This generator copies training images: its other numbers say nothing.")
    lines.append("reference: real images in the place of the generated ones; nearest: near 0 are copies")
    return "\n".join([*lines, *([BLIND] if report["features"]["name"] == "classifier" else [])])
