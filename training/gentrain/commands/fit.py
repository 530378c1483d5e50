"""`gentrain fit`: options in, one training, the run directory's path on stdout."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

import click

from gentrain.progress import ProgressLine, duration, summary, tell


@click.command()
@click.option("--data", metavar="SOURCE", help="`digits`, or a folder of images (a sub-folder is a class).")
@click.option(
    "--run", required=True, type=click.Path(path_type=Path), help="The run directory; an existing one is continued."
)
@click.option("--preset", metavar="NAME", help="Where the settings start from; see `gentrain presets`.")
@click.option("--kimg", type=float, help="Length: thousand images shown to the discriminator.")
@click.option("--epochs", type=float, help="Length: times that every image is shown.")
@click.option("--minutes", type=float, help="Length: minutes of training, whatever the machine manages in them.")
@click.option("--batch", type=int, help="Images a step.")
@click.option("--seed", type=int, help="Of weights, noise and the order of the images.")
@click.option("--set", "sets", metavar="NAME=VALUE", multiple=True, help="Change any other setting; may be repeated.")
@click.option("--fresh", is_flag=True, help="Start over, even if the run directory holds a run.")
@click.option("--dry-run", is_flag=True, help="Print what would be trained as JSON, and stop.")
def fit(
    data: str | None,
    run: Path,
    preset: str | None,
    kimg: float | None,
    epochs: float | None,
    minutes: float | None,
    batch: int | None,
    seed: int | None,
    sets: tuple[str, ...],
    fresh: bool,
    dry_run: bool,
) -> None:
    """Train a GAN, or go on with one: the same command continues a run that was stopped.

    \b
    gentrain fit --data digits --run runs/digits
    gentrain fit --data photos/ --run runs/photos --minutes 30 --set batch=32
    """
    from gentrain import plan as plans
    from gentrain import run as training
    from gentrain.commands import reading
    from gentrain.settings import parse_change

    if sum(length is not None for length in (kimg, epochs, minutes)) > 1:
        raise click.UsageError("--kimg, --epochs and --minutes all set the length; give one of them")
    options = {"kimg": kimg, "minutes": minutes, "batch": batch, "seed": seed}
    changes = {name: value for name, value in options.items() if value is not None}
    for text in sets:
        name, value = parse_change(text)
        if changes.setdefault(name, value) != value:
            raise click.UsageError(f"{name} is set twice, to {changes[name]} and to {value}")
    plan = plans.plan(run, data, preset, changes, epochs, fresh)
    if plan.finished and not dry_run:
        tell(f"{run}: finished at {plan.done.images_seen / 1000:g} kimg; --kimg makes it longer, --fresh starts over")
        click.echo(run)
        return
    dataset = reading.read(plan.data, plan.frame)
    if dry_run:
        click.echo(json.dumps(plans.describe(plan, dataset), indent=2))
        return

    tell(summary(dataset))
    tell(
        f"{run}: {'going on at' if plan.continues else 'new run, preset'} "
        f"{f'{plan.done.images_seen / 1000:g} kimg' if plan.continues else plan.preset}"
    )
    with ProgressLine(plan) as line:
        done = training.fit(plan, dataset, line.show, line.note)
    kimg_done = f"{done.images_seen / 1000:g} kimg"
    if not dataclasses.replace(plan, done=done).finished:
        tell(f"stopped and kept at {kimg_done}; go on with: gentrain fit --run {run}")
        sys.exit(130)
    tell(f"finished: {kimg_done} in {duration(done.seconds)}")
    click.echo(run)
