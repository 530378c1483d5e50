"""`gentrain data`: what would be trained on, before any training."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import click

from gentrain.commands.options import Resolution
from gentrain.data.dataset import MAX_MEGAPIXELS
from gentrain.progress import summary

# More skipped files than this are counted, not listed; dataset.json of a run has them all.
MOST_LISTED = 100


@click.command(short_help="Show what a training would read, and what it would skip.")
@click.argument("source")
@click.option(
    "--resolution",
    type=Resolution(),
    metavar="SIDE|WIDTHxHEIGHT",
    default=32,
    show_default=True,
    help="Side of the images, 8 to 256, or of rectangles both.",
)
@click.option("--channels", type=int, default=0, help="1 (grey) or 3 (colour).  [default: as the images]")
@click.option("--crop", default="center", show_default=True, help="`center`, `pad`, or `none` to stretch.")
@click.option("--background", metavar="COLOUR", default="white", show_default=True, help="Colour behind images.")
@click.option(
    "--value-range", metavar="LOW:HIGH", default="", help="Values of black and white in images deeper than 8 bits."
)
@click.option("--max-megapixels", type=float, default=MAX_MEGAPIXELS, show_default=True, help="Skip larger images.")
@click.option("--split", default="train", show_default=True, help="Split to read, or `all`.")
@click.option(
    "--from",
    "input_from",
    metavar="NAME",
    default="",
    help="Inputs of a translation: outline, grey, blur, small, mask.",
)
@click.option("--side", "input_side", default="left", show_default=True, help="Input half of pairs side by side.")
@click.option("--style", metavar="SOURCE", default="", help="Pictures that those of SOURCE are to look like.")
@click.option(
    "--labels", metavar="HOW", default="auto", show_default=True, help="Where class labels come from, see above."
)
@click.option(
    "--captions",
    metavar="HOW",
    default="",
    help="Captions to read: auto, classes, or a column of the metadata.",
)
@click.option("--frames", type=int, default=0, help="Cut clips of so many frames.")
@click.option("--fps", type=float, default=12.0, show_default=True, help="Frames a second of clips; 0: every frame.")
@click.option("--short", default="loop", show_default=True, help="Files with fewer frames: `loop` or `skip`.")
@click.option("--cells", default="", metavar="COLSxROWS", help="Pictures are sprite sheets with so many frames.")
@click.option("--sheet", type=click.Path(path_type=Path), help="Contact sheet to write.  [default: ./NAME-sheet.png]")
def data(source: str, sheet: Path | None, **options: Any) -> None:
    """Read SOURCE, report what was found, and what was skipped and why, and write a contact sheet.

    A SOURCE is a folder, a zip or a tar archive of images, WebDataset shards, a .npz, .npy, .parquet, IDX or TFRecord
    file, `digits`, `fashion-mnist`, celeba:PATH or emoji:PATH. Pairs for a translation are pairs:INPUTS,TARGETS, two
    folders with equal names, or pairs:FOLDER of pictures side by side.

    With --frames it is a folder of GIF, animated WebP, APNG, videos, folders of frames or, with --cells, sprite sheets,
    or `moving-digits`.

    Classes come from metadata.csv or dataset.json, else from folders. --labels takes `folders`, `none`, a COLUMN of
    the metadata, `from-name` for cat.12.jpg, or `from-name:PATTERN`, a regular expression with the class in brackets.

    \b
    gentrain data photos/
    gentrain data pairs:outlines/,pictures/ --resolution 64
    gentrain data gifs/ --frames 16 --fps 8
    gentrain data emoji:node_modules/emoji-datasource-google --resolution 64 --background "#202020"
    """
    from gentrain.commands import reading
    from gentrain.data.contact_sheet import save_contact_sheet
    from gentrain.data.dataset import Frame

    dataset = reading.read(source, Frame(**options))
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # names that this terminal cannot show
    click.echo(summary(dataset))
    for name, count in dataset.class_counts().items():
        click.echo(f"  {count:6} {name}")
    for skipped in dataset.skipped[:MOST_LISTED]:
        click.echo(f"skipped {skipped.file}: {skipped.reason}")
    if len(dataset.skipped) > MOST_LISTED:
        click.echo(f"skipped {len(dataset.skipped) - MOST_LISTED} more")
    sheet = sheet or _place(source) / f"{_stem(dataset.source)}-sheet.png"
    cut = save_contact_sheet(dataset, sheet)
    click.echo(f"contact sheet: {sheet}{cut and f', {cut}'}")


def _place(source: str) -> Path:
    """Here, unless this folder is data itself: then where decoded images are kept."""
    from gentrain import plan
    from gentrain.data import cache

    return cache.root() / "sheets" if plan.folder_of(source) in (Path.cwd(), *Path.cwd().parents) else Path()


def _stem(source: str) -> str:
    """A file name of letters that every system takes."""
    name = os.path.basename(os.path.abspath(source.rpartition(":")[2])).partition(".")[0]
    return re.sub(r"[^\w-]+", "-", name).strip("-") or "images"
