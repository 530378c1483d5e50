"""`gentrain augment-study`: whether a GAN's images help a classifier, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gentrain.progress import Training, echo


@click.command("augment-study", short_help="Measure whether generated images help a classifier.")
@click.option("--data", required=True, metavar="SOURCE", help="Images with class labels, as for `gentrain fit`.")
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder of the study; an existing one is resumed."
)
@click.option("--n", "sizes", default="20,50,200,all", show_default=True, help="Real images per class.")
@click.option("--seeds", type=int, default=3, show_default=True, help="Repetitions, each with its own draw of images.")
@click.option("--kimg", type=float, help="Length of each generator's training.  [default: 100]")
@click.option("--preset", metavar="NAME", help="Preset of each generator's training.  [default: small]")
@click.option(
    "--set", "sets", metavar="NAME=VALUE", multiple=True, help="Override a setting of that training; repeatable."
)
@click.option(
    "--generator", type=click.Path(path_type=Path), help="Use this conditional .keras file instead of training."
)
@click.option("--synthetic", type=int, default=1000, show_default=True, help="Generated images per class.")
@click.option("--steps", type=int, default=1000, show_default=True, help="Training steps of every classifier.")
@click.option("--flip", is_flag=True, help="Also mirror images in classical augmentation; not for digits or letters.")
def augment_study(
    data: str,
    out: Path,
    sizes: str,
    seeds: int,
    kimg: float | None,
    preset: str | None,
    sets: tuple[str, ...],
    generator: Path | None,
    synthetic: int,
    steps: int,
    flip: bool,
) -> None:
    """Train classifiers on a few real images, on generated images and on both; test them on held-out real images.

    Each n and seed has a generator of its own, trained on those n images per class alone. The table goes to stdout;
    OUT gets study.json (every result), study.md and study.png. The same command resumes a study that was stopped.

    \b
    gentrain augment-study --data digits --out studies/digits
    gentrain augment-study --data photos/ --out studies/photos --n 50,all --seeds 5 --flip
    """
    from gentrain.commands import reading
    from gentrain.commands.study.options import Options, parse_sizes
    from gentrain.commands.study.run import Study
    from gentrain.settings import parse_change

    training: dict[str, Any] = {"--kimg": kimg, "--preset": preset, "--set": sets or None}
    training = {name: value for name, value in training.items() if value is not None}
    if generator is not None and training:
        raise click.UsageError(f"{', '.join(training)}: nothing is trained with --generator")
    options = Options(
        data,
        parse_sizes(sizes),
        seeds,
        generator=str(generator) if generator else None,
        synthetic=synthetic,
        steps=steps,
        flip=flip,
        **{name.strip("-"): value for name, value in training.items() if name != "--set"},
        changes=tuple(parse_change(text) for text in sets),
    )
    study = Study(options, out, reading.read, echo, Training)
    study.go()
    click.echo(study.text(), nl=False)
