"""`gentrain data`: what would be trained on, before any training."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import click

from gentrain.progress import summary

# More skipped files than this are counted, not listed; dataset.json of a run has them all.
MOST_LISTED = 100


@click.command()
@click.argument("source")
@click.option("--resolution", type=int, default=32, show_default=True, help="The longest side in pixels, 8 to 256.")
@click.option("--channels", type=int, default=0, help="1 or 3; 0, the default, for what the images have.")
@click.option("--crop", default="center", show_default=True, help="`center`, or `none` for all of each image.")
@click.option("--background", metavar="COLOUR", default="white", show_default=True, help="Under transparent pixels.")
@click.option("--sheet", type=click.Path(path_type=Path), help="Where the contact sheet goes; else ./NAME-sheet.png.")
def data(source: str, resolution: int, channels: int, crop: str, background: str, sheet: Path | None) -> None:
    """Read a SOURCE of images, tell what is in it and what had to be skipped and why, and write a contact sheet.

    A SOURCE is a folder or a zip archive of images, a .npz, IDX or TFRecord file, `digits`, `fashion-mnist`,
    celeba:PATH or emoji:PATH.

    \b
    gentrain data photos/
    gentrain data emoji:node_modules/emoji-datasource-google --resolution 64 --background "#202020"
    """
    from gentrain.commands import reading
    from gentrain.contact import save_contact_sheet
    from gentrain.dataset import Frame

    dataset = reading.read(source, Frame(resolution, channels, crop, background))
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that this terminal cannot show
    click.echo(summary(dataset))
    for name, count in dataset.class_counts().items():
        click.echo(f"  {count:6} {name}")
    for skipped in dataset.skipped[:MOST_LISTED]:
        click.echo(f"skipped {skipped.file}: {skipped.reason}")
    if len(dataset.skipped) > MOST_LISTED:
        click.echo(f"skipped {len(dataset.skipped) - MOST_LISTED} more")
    sheet = sheet or Path(f"{_stem(dataset.source)}-sheet.png")
    cut = save_contact_sheet(dataset, sheet)
    click.echo(f"contact sheet: {sheet}{cut and f', {cut}'}")


def _stem(source: str) -> str:
    """A file name of letters that every system takes."""
    name = os.path.basename(os.path.abspath(source.rpartition(":")[2])).partition(".")[0]
    return re.sub(r"[^\w-]+", "-", name).strip("-") or "images"
