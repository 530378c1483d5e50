"""`gentrain project`: the latents that draw given pictures best."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from gentrain import quiet
from gentrain.errors import UsageError
from gentrain.progress import Reporter, duration, echo


@click.command(short_help="Find the latents that draw given pictures best.")
@click.argument("generator", metavar="RUN|VERSION|FILE", type=click.Path(path_type=Path))
@click.argument("pictures", metavar="PICTURE…", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("latents.npz"),
    show_default=True,
    help="Where the latents go; a .png beside it shows target, projected and difference.",
)
@click.option("--steps", type=click.IntRange(min=0), default=100, show_default=True, help="Steps downhill.")
@click.option(
    "--starts",
    type=click.IntRange(min=1),
    help="Starts for each picture; the best one counts.  [default: 4, with classes 1 more than there are, 12 at most]",
)
@click.option("--label", metavar="CLASS", help="Class of all pictures, by index or name, if it is known.")
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Seed of the samples among which starts are found."
)
def project(
    generator: Path, pictures: tuple[Path, ...], out: Path, steps: int, starts: int | None, label: str | None, seed: int
) -> None:
    """Find the latents with which a generator draws each PICTURE best; a folder stands for the pictures in it.

    The generator is a run's, a version of a model repository, a .keras file or a SavedModel, whoever trained it.
    What is compared are pixels and, in colour from 32 pixels on, features of a pretrained net; `gentrain encoder`
    gives a better start. Prints how near each picture came, in decibels, and its class where there are classes.

    \b
    gentrain project runs/photos me.jpg --out me.npz
    genclient sample --latents me.npz --out me.png
    genclient interpolate --latents me.npz --out walk.gif
    gentrain project models/photos/3 photos/ --steps 300
    """
    from gentrain.editing import drawing as drawings

    if out.suffix != ".npz":
        raise UsageError(f"--out {out}: expected a name that ends in .npz")
    drawing = drawings.find(generator)
    quiet.import_tensorflow()
    from gentrain.editing import targets
    from gentrain.editing.project import Projector
    from gentrain.sources.pictures import shown

    found = targets.read(pictures, drawing)
    for line in found.skipped:
        echo(f"skipped {line}")
    projector = Projector(drawing, None if label is None else drawing.label(label), seed)
    starts = starts or min(12, max(4, drawing.classes + 1))
    begins = "its encoder and the nearest samples" if projector.encoder is not None else "the nearest samples"
    echo(f"{drawing.file}: {len(found.files)} pictures, {steps} steps from {starts} starts, {begins}")
    echo(f"compared by {projector.likeness.net}")
    begun, done = time.monotonic(), 0
    with Reporter("projecting", show_count=True) as reporter:

        def show(pictures: int) -> None:
            nonlocal done
            done += pictures
            reporter.at(done, len(found.files), f"{done} of {len(found.files)} pictures")

        projection = projector.project(found.images, steps, starts, show)
    scores = [_score(projection, place, drawing.class_names) for place in range(len(found.files))]
    targets.draw(found.images, projection.images, scores, out.with_suffix(".png"))
    _save(out, projection, found.files)
    for file, score in zip(found.files, scores, strict=True):
        click.echo(f"{shown(file)}  {score}")
    echo(f"mean {projection.psnr.mean():.1f} dB, in {duration(time.monotonic() - begun)}")
    echo(f"{out}, {out.with_suffix('.png')}")


def _score(projection: Any, place: int, names: tuple[str, ...]) -> str:
    score = f"{projection.psnr[place]:.1f} dB"
    if projection.labels is None:
        return score
    label = int(projection.labels[place])
    return f"{score}  {names[label] if label < len(names) else f'class {label}'}"


def _save(out: Path, projection: Any, files: tuple[Path, ...]) -> None:
    """What `genclient sample --latents` takes: `latents`, `labels`; and `psnr`, and the pictures' `files`."""
    import numpy as np

    from gentrain.files import replacing

    arrays = {"latents": projection.latents, "psnr": projection.psnr, "files": np.array([str(file) for file in files])}
    if projection.labels is not None:
        arrays["labels"] = projection.labels
    with replacing(out) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)
