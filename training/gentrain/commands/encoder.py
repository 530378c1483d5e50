"""`gentrain encoder`: teach a network which latents draw a picture, for the generator of a run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gentrain import quiet
from gentrain.errors import TrainError
from gentrain.progress import Reporter, duration, echo

if TYPE_CHECKING:
    from gentrain.editing.drawing import Drawing
    from gentrain.editing.encoder import Pictures


@click.command(short_help="Train a run's encoder: from a picture to the latents that draw it.")
@click.argument("run", metavar="RUN", type=click.Path(path_type=Path))
@click.option(
    "--kimg",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    show_default=True,
    help="Length in thousands of pictures.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the weights and the samples.")
def encoder(run: Path, kimg: float, seed: int) -> None:
    """Train an encoder of the generator of RUN, on its samples and the pictures of its training, and print its path.

    RUN/encoder.keras takes pictures and gives the latents that draw them, and their class where the generator draws
    classes. `gentrain project` starts from it. It belongs to the generator as it is now: train it anew after further
    training. Where those pictures are no longer there, it learns from samples alone.

    \b
    gentrain encoder runs/digits
    gentrain encoder runs/photos --kimg 100
    """
    from gentrain.editing import drawing as drawings

    if run.exists() and not (run / "config.json").is_file():
        raise TrainError(f"{run}: no run (it has no config.json); an encoder belongs to the run of its generator")
    drawing = drawings.find(run)
    quiet.import_tensorflow()
    from gentrain.editing import encoder as encoders

    real, reason = _pictures(run, drawing)
    of = f"samples and pictures of its training, {kimg:g} thousand" if real else f"{kimg:g} thousand samples alone"
    echo(f"{drawing.file}: learning from {of}{f': {reason}' if reason else ''} …")
    begun = time.monotonic()
    with Reporter("encoder") as line:

        def show(seen: int, total: int, error: float) -> None:
            left = duration((time.monotonic() - begun) * (total - seen) / seen)
            line.at(seen, total, f"encoder: error of pictures {error:.4f}, {left} to go", f"error {error:.4f}")

        trained = encoders.train(drawing, kimg, seed, show, real)
    scores = encoders.measure(trained, drawing)
    seconds = round(time.monotonic() - begun, 1)
    path = encoders.save(trained, drawing, {**scores, "kimg": kimg, "seed": seed, "seconds": seconds})
    kept = f", class right in {scores['class_kept']:.1%}" if "class_kept" in scores else ""
    echo(f"its own samples redrawn: {scores['psnr']:.1f} dB (the mean of all: {scores['floor']:.1f} dB){kept}")
    click.echo(path)


def _pictures(run: Path, drawing: Drawing) -> tuple[Pictures | None, str]:
    """What the generator was trained on, without what was held out; or why that cannot be had."""
    from gentrain.commands import reading, subject
    from gentrain.data import holdout
    from gentrain.editing.encoder import Pictures

    try:
        found = subject.find(run)
        dataset = reading.read(found.data, found.frame)
        found.check(dataset)
    except TrainError as error:
        return None, str(error)
    if dataset.images.shape[1:] != drawing.shape or (drawing.classes and dataset.labels is None):
        return None, f"{found.data}: other pictures than it draws"
    return Pictures(dataset.images, dataset.labels, holdout.split(dataset, found.held_out)[0]), ""
