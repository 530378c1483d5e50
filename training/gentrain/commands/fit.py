"""`gentrain fit`: options in, one training, the run directory's path on stdout."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import click

from gentrain.commands.options import Resolution, once
from gentrain.progress import Training, duration, echo, summary


@click.command(short_help="Train a GAN, or resume a run.")
@click.option(
    "--data",
    metavar="SOURCE",
    callback=once,
    multiple=True,
    help="A folder of images, a file, or a name; see `gentrain data --help`.",
)
@click.option(
    "--run", required=True, type=click.Path(path_type=Path), help="Run directory; an existing run is resumed."
)
@click.option("--preset", metavar="NAME", help="Settings to start from; `gentrain presets` lists them.")
@click.option("--kimg", type=float, help="Length in thousands of real images shown to the discriminator.")
@click.option("--epochs", type=float, help="Length in passes of each network over all images.")
@click.option("--minutes", type=float, help="Length in minutes of training time.")
@click.option(
    "--resolution",
    type=Resolution(),
    metavar="SIDE|WIDTHxHEIGHT",
    help="Squares of this side, or rectangles such as 96x64; multiples of 4 from 8 to 256.",
)
@click.option("--channels", type=int, metavar="1|3", help="Train in grey (1) or colour (3), whatever the images are.")
@click.option("--crop", metavar="center|pad|none", help="Crop to the middle, pad with the background, or stretch.")
@click.option("--background", metavar="COLOUR", help="Colour behind transparent pixels and around padded images.")
@click.option("--value-range", metavar="LOW:HIGH", help="Values of black and white in images deeper than 8 bits.")
@click.option("--split", metavar="NAME", help="Split to train on, or all.  [default: train]")
@click.option("--labels", metavar="HOW", help="Where class labels come from; see `gentrain data --help`.")
@click.option(
    "--captions",
    metavar="HOW",
    help="Draw from words: captions of the data (auto), names of classes (classes), or a column of the metadata.",
)
@click.option(
    "--from",
    "input_from",
    metavar="NAME",
    help="Translate what is made of each image: outline, grey, blur, small or mask.",
)
@click.option("--side", "input_side", metavar="left|right", help="Of pairs side by side, the half that is the input.")
@click.option("--style", metavar="SOURCE", help="Pictures that those of --data are to look like; no pairs are needed.")
@click.option("--hints", is_flag=True, help="Translate with dots of colour as hints, at places that a user chooses.")
@click.option("--frames", type=int, metavar="N", help="Cut clips of so many frames, for what moves: 16.")
@click.option("--fps", type=float, help="Frames a second that clips are cut at; 0: every frame.  [default: 12]")
@click.option("--animate", is_flag=True, help="Learn to make a clip of a still picture, the first frame of each clip.")
@click.option("--flip/--no-flip", default=None, help="Mirror images left to right at random.")
@click.option("--conditional/--unconditional", default=None, help="Condition on the class labels.")
@click.option("--loss", metavar="NAME", help="Adversarial loss: rpgan, bce, lsgan, hinge or wgan-gp.")
@click.option(
    "--augment", type=float, metavar="FRACTION", help="Largest fraction of images that DiffAugment changes, 0 to 1."
)
@click.option(
    "--holdout",
    "held_out",
    type=int,
    metavar="N",
    help="Images never trained on, by which the generator is measured; 0: none.  [default: a tenth, from 200 to 2000]",
)
@click.option("--batch", type=int, help="Batch size.")
@click.option("--seed", type=int, help="Seed of the weights, the noise and the order of the images.")
@click.option("--precision", metavar="NAME", help="auto, float32 or bfloat16.")
@click.option(
    "--strategy",
    type=click.Choice(["auto", "one", "mirrored"]),
    default="auto",
    show_default=True,
    help="Train on one device or on every GPU; with TF_CONFIG set, auto and mirrored join its cluster.",
)
@click.option(
    "--init-from",
    metavar="RUN|FILE",
    type=click.Path(path_type=Path),
    help="Start from the networks of another run, with its data and settings as defaults, or from the weights of a "
    ".keras file.",
)
@click.option("--set", "sets", metavar="NAME=VALUE", multiple=True, help="Override any other setting; repeatable.")
@click.option("--fresh", is_flag=True, help="Start over, discarding the run in the directory.")
@click.option("--dry-run", is_flag=True, help="Print the resolved settings as JSON and exit.")
def fit(
    data: str | None,
    run: Path,
    preset: str | None,
    epochs: float | None,
    strategy: str,
    sets: tuple[str, ...],
    fresh: bool,
    dry_run: bool,
    init_from: Path | None,
    hints: bool,
    animate: bool,
    **options: Any,
) -> None:
    """Train a GAN. The same command again resumes a run that was stopped.

    \b
    gentrain fit --data digits --run runs/digits
    gentrain fit --data photos/ --run runs/photos --minutes 30 --set latent_size=64
    gentrain fit --data photos/ --run runs/wide --preset medium --resolution 96x64
    gentrain fit --data emoji:package/ --run runs/emoji --conditional --kimg 300
    gentrain fit --init-from runs/emoji --run runs/flags --data flags/
    gentrain fit --preset translate --data pairs:outlines/,pictures/ --run runs/colour --hints
    gentrain fit --data photos/ --style paintings/ --run runs/painted
    gentrain fit --data emoji:package/ --captions auto --run runs/words
    gentrain fit --data gifs/ --frames 16 --animate --run runs/moving
    """
    from gentrain import plan as plans
    from gentrain import run as training
    from gentrain.commands import reading
    from gentrain.training.devices import in_cluster

    if sum(length is not None for length in (options["kimg"], epochs, options["minutes"])) > 1:
        raise click.UsageError("--kimg, --epochs and --minutes all set the length; give one of them")
    if hints and animate:
        raise click.UsageError("--hints are for pictures, and --animate makes clips; give one of them")
    changes = _changes(options, sets, "image,hints" if hints else "still" if animate else "")
    plan = plans.plan(run, data, preset, changes, epochs, fresh, reading.read, init_from)
    if plan.finished and not dry_run:
        if plan.moved:
            training.record_place(plan, reading.read(plan.data, plan.frame))
        echo(f"{run}: finished at {plan.done.images_seen / 1000:g} kimg; a greater --kimg trains it further")
        click.echo(run)
        return
    joined = _devices(strategy) if in_cluster() and not dry_run else None  # before anything else uses TensorFlow
    read = reading.read if dry_run else reading.read_for_training
    dataset = read(plan.data, plan.frame)
    if dry_run:
        click.echo(json.dumps(plans.describe(plan, dataset), indent=2))
        return

    echo(summary(dataset))
    echo(
        f"{run}: {'going on at' if plan.continues else 'new run, preset'} "
        f"{f'{plan.done.images_seen / 1000:g} kimg' if plan.continues else plan.preset}"
    )
    with Training() as line:
        done = training.fit(plan, dataset, line.show, line.note, joined or _devices(strategy))
    kimg_done = f"{done.images_seen / 1000:g} kimg"
    if not dataclasses.replace(plan, done=done).finished:
        echo(f"stopped at {kimg_done}, state saved; go on with: gentrain fit --run {run}")
        sys.exit(130)
    echo(f"finished: {kimg_done} in {duration(done.seconds)}")
    click.echo(run)


def _changes(options: dict[str, Any], sets: tuple[str, ...], conditions: str) -> dict[str, Any]:
    """The settings that options and --set give; raises click.UsageError where two give one setting different values."""
    from gentrain.settings import parse_change

    changes = {name: value for name, value in options.items() if value is not None}
    for text in sets:
        name, value = parse_change(text)
        if changes.setdefault(name, value) != value:
            raise click.UsageError(f"{name} is set twice, to {changes[name]} and to {value}")
    if conditions:
        changes["conditions"] = conditions
    return changes


def _devices(strategy: str) -> Any:
    from gentrain import quiet

    quiet.import_tensorflow()
    from gentrain.training.devices import Devices

    return Devices(strategy)
