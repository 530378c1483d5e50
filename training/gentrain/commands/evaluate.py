"""`gentrain evaluate`: how good a generator is, each number beside what real images would score."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gentrain import quiet
from gentrain.progress import echo, summary

if TYPE_CHECKING:
    from gentrain.metrics.features import FeatureNet

PRETRAINED = ("efficientnet-lite0", "efficientnet-lite1")

WITH_WEIGHTS = ("inception", "resnet50", "mobilenet-v2", "convnext-tiny")  # files of keras.applications


@click.command(short_help="Score a generator against real images it was not trained on.")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--samples", type=click.IntRange(min=10), default=5000, show_default=True, help="Number of images to generate."
)
@click.option(
    "--features",
    type=click.Choice(["auto", "pretrained", *PRETRAINED, "classifier", "random", *WITH_WEIGHTS]),
    default="auto",
    show_default=True,
    help="Feature extractor: EfficientNet-Lite0 trained on ImageNet (for colour, and without labels), a classifier "
    "trained on the labels, a fixed random network (for tiny images), or a net of keras.applications.",
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
    help="Other pairs, clips, or pictures to be given a style, to measure on.  [default: those held out]",
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
    translates pictures is measured on pairs that it was not trained on, and shown in RUN/translations.png; one that
    makes clips of stills in RUN/animations.png and .webp. Clips of latents are measured as pictures: three frames of
    each as red, green and blue.

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
    from gentrain.commands import animated, generated, styled, translated
    from gentrain.metrics import exposures
    from gentrain.metrics.features import features_for
    from gentrain.metrics.translation import translates

    is_translation = translates(subject.generator)
    if dataset.frames and is_translation:
        click.echo(animated.evaluate(subject, dataset, samples, on, out))
        return
    if on is not None and not is_translation:
        raise click.UsageError(f"--on {on}: {run} makes images of latents; --on is for what translates pictures")
    echo("features: preparing the feature extractor; training a classifier takes about 15 seconds …")
    if dataset.frames:
        net = features_for(exposures.of(dataset), "random" if features == "auto" else features, weights)
    else:
        net = features_for(dataset, features, weights, subject.seen_through)
    echo(_about(net))
    if not is_translation:
        table = generated.evaluate(subject, dataset, samples, net, out, begun)
    elif dataset.inputs is not None and not (on or "").startswith("pairs:"):
        table = styled.evaluate(subject, dataset, samples, net, on, out)
    else:
        table = translated.evaluate(subject, dataset, samples, net, on, out)
    click.echo(table)


def _about(net: FeatureNet) -> str:
    accuracy = f", right on {net.accuracy:.1%} of held-out images" if net.accuracy is not None else ""
    return f"features: {net.name} {net.hash[:12]}{accuracy}" + (f"\n  {net.note}" if net.note else "")
