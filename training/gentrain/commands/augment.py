"""`gentrain augment`: more images of each class, and whether they help a classifier."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from gentrain.progress import Training, echo, summary


@click.command(short_help="Make more images of each class, and say whether they help a classifier.")
@click.option("--data", metavar="SOURCE", help="Images with class labels, as for `gentrain fit`; a run knows its own.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder of the pictures; resumed if begun.")
@click.option("--per-class", type=int, metavar="N", help="Pictures to make of every class.")
@click.option("--fill", is_flag=True, help="Instead: fill up rare classes to the size of the largest.")
@click.option("--run", type=click.Path(path_type=Path), help="Take the generator of this conditional run.")
@click.option("--test", metavar="SOURCE", help="Images to test on.  [default: a fifth of each class, held out]")
@click.option("--kimg", type=float, help="Length of the generator's training.  [default: 100]")
@click.option("--minutes", type=float, help="Its length in minutes.")
@click.option("--preset", metavar="NAME", help="Its preset.  [default: small]")
@click.option("--set", "sets", metavar="NAME=VALUE", multiple=True, help="Override a setting of it; repeatable.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of generator, pictures and classifiers.")
@click.option("--repeats", type=int, default=5, show_default=True, help="Classifiers to train in each way.")
@click.option("--steps", type=int, default=1000, show_default=True, help="Training steps of every classifier.")
@click.option("--flip", is_flag=True, help="Also mirror images in classical augmentation; not for digits or letters.")
@click.option("--dry-run", is_flag=True, help="Print what would be done as JSON and exit.")
def augment(
    data: str | None,
    out: Path,
    per_class: int | None,
    fill: bool,
    run: Path | None,
    test: str | None,
    sets: tuple[str, ...],
    dry_run: bool,
    seed: int,
    repeats: int,
    steps: int,
    flip: bool,
    **training: Any,
) -> None:
    """Train a generator on the classes of SOURCE, write a folder of its pictures a class, and try them on a classifier.

    Near-copies of training images are left out. Classifiers learn from the real images with and without these pictures,
    with and without classical augmentation, and are tested on real images that neither they nor the generator have
    seen; the answer goes to stdout, and may be that they do not help. OUT/manifest.json has seeds, counts and results.
    The same command resumes what was stopped.

    \b
    gentrain augment --data photos/ --per-class 500 --out more/
    gentrain augment --data photos/ --fill --out more/ --flip
    gentrain augment --run runs/photos --per-class 500 --out more/ --test photos-test/
    """
    from gentrain.commands import reading
    from gentrain.commands.augmentation.options import Options
    from gentrain.commands.augmentation.work import Augmentation
    from gentrain.settings import parse_change

    training = {name: value for name, value in training.items() if value is not None}
    _check(data, per_class, fill, run, {**training, **({"set": sets} if sets else {})})
    changes = dict(map(parse_change, sets)) | {name: training.pop(name) for name in ("minutes",) if name in training}
    options = Options(
        data or "",
        per_class,
        str(run) if run else None,
        test,
        changes=tuple(changes.items()),
        seed=seed,
        repeats=repeats,
        steps=steps,
        flip=flip,
        **training,
    )
    work = Augmentation(options, out, reading.read, echo, Training)
    if dry_run:
        click.echo(json.dumps(work.describe(), indent=2))
        return
    echo(summary(work.dataset))
    work.go()
    click.echo(work.text(), nl=False)


def _check(data: str | None, per_class: int | None, fill: bool, run: Path | None, training: dict[str, Any]) -> None:
    """Raises click.UsageError where options do not go together."""
    if data is None and run is None:
        raise click.UsageError("needs --data, images in a folder a class, or --run, a conditional run")
    if (per_class is None) != fill:
        raise click.UsageError("give one of --per-class N and --fill")
    if "kimg" in training and "minutes" in training:
        raise click.UsageError("--kimg and --minutes both set the length; give one of them")
    if run is not None and training:
        raise click.UsageError(f"{', '.join('--' + name for name in training)}: nothing is trained with --run")
