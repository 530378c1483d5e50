"""`gentrain detector`: a classifier of real against generated pictures, its threshold, and its figures."""

from __future__ import annotations

import time
from pathlib import Path

import click

from gentrain.commands.options import once
from gentrain.progress import Reporter, duration, echo, summary


@click.command(short_help="Train a detector of generated pictures.")
@click.option(
    "--real",
    required=True,
    metavar="SOURCE",
    callback=once,
    multiple=True,
    help="Real pictures: a folder, or any --data source of `gentrain fit`.",
)
@click.option(
    "--fake",
    "fakes",
    required=True,
    multiple=True,
    metavar="SOURCE",
    help="Generated pictures: a run, a published version, a .keras or .tflite file, or a folder; repeatable.",
)
@click.option(
    "--unseen", multiple=True, metavar="SOURCE", help="The same, not to learn from, only to be measured on; repeatable."
)
@click.option(
    "--run", required=True, type=click.Path(path_type=Path), help="Run directory; a detector in it is replaced."
)
@click.option(
    "--resolution",
    type=int,
    metavar="PIXELS",
    help="Side of the pictures.  [default: that of the smallest generator, or 64]",
)
@click.option("--crop", metavar="center|pad|none", help="As in `gentrain fit`.  [default: as the first run had it]")
@click.option("--steps", type=click.IntRange(min=1), default=3000, show_default=True, help="Training steps.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the weights and of what is drawn.")
def detector(
    real: str,
    fakes: tuple[str, ...],
    unseen: tuple[str, ...],
    run: Path,
    resolution: int | None,
    crop: str | None,
    steps: int,
    seed: int,
) -> None:
    """Train a detector of generated pictures, and measure it on pictures that were held out.

    Real and generated pictures go the same way: they are brought to one size, each is coded as files of the other are,
    and most of them are blurred, resized or coded as JPEG at random. The table goes to stdout. A detector takes a
    minute or some; stopped, it leaves nothing, and the same command trains it anew.

    \b
    gentrain detector --real photos/ --fake runs/photos --run runs/det
    gentrain detector --real digits --fake runs/a --fake models/b --fake c.tflite --unseen others/ --run runs/det
    """
    from gentrain import quiet
    from gentrain import run as training
    from gentrain.commands import reading
    from gentrain.detection import files, pictures

    files.check(run, (real, *fakes, *unseen))
    gathered = pictures.gather(real, fakes, unseen, reading.read, resolution, crop)
    echo(summary(gathered.dataset))
    for part in gathered.fakes:
        echo(f"{part.name}: {part.count} generated pictures ({part.kind}){'' if part.seen else ', only measured on'}")
    for note in gathered.notes:
        echo(f"  {note}")
    quiet.import_tensorflow()
    from gentrain.detection import learn, measure

    options = {"real": real, "fake": list(fakes), "unseen": list(unseen), "steps": steps, "seed": seed}
    begun = time.monotonic()
    with training.locked(run, echo):
        with Reporter("training") as line:
            found = learn.train(
                gathered, steps, seed, lambda step, loss: line.at(step, steps, _progress(step, steps, loss))
            )
        metrics = measure.measure(found, gathered, seed)
        seconds = time.monotonic() - begun
        files.write(run, found, gathered, metrics, files.config(gathered, options, seconds))
    click.echo(measure.table(metrics))
    echo(f"{run}, {run / 'scores.png'}: trained and measured in {duration(seconds)}")


def _progress(step: int, steps: int, loss: float) -> str:
    return f"step {step} of {steps}, loss {loss:.3f}"
