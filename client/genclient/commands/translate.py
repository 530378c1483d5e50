"""`genclient translate`: pictures that an image-to-image model makes of a user's pictures."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from genclient.cli.console import Console, emit
from genclient.cli.options import (
    command,
    image_set_options,
    out_option,
    output_options,
    source_options,
    value_range_option,
    value_ranges,
)
from genclient.cli.run import Run, check_stdout, grid_of, tell_plan
from genclient.cli.server import Server
from genclient.cli.source import Source, open_source
from genclient.errors import ClientError, RpcError, UsageError, printable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genclient.client.call import Batch
    from genclient.outputs.output import Places
    from genclient.outputs.translation import Translation

AT_A_TIME = 64
"""Pictures in memory."""

COMMON = ("out", "hints", "beside", "grid", "overwrite", "target", "model", "tflite")
"""Options that --help shows."""


class Picture(NamedTuple):
    """A user's picture: what it is called in messages, its path below what was named, and its file or content."""

    shown: str
    path: str
    file: Path | bytes


@command(common=COMMON)
@click.argument("pictures", nargs=-1, required=True, metavar="PICTURE...")
@out_option("out.png", "An image grid (.png), arrays (.npz), a folder, %06d.tar, %06d.tfrecord, or -: stdout.")
@click.option("--hints", type=click.Path(), metavar="FILE", help="PNG whose opaque pixels give colours to keep to.")
@value_range_option
@click.option(
    "--beside/--no-beside",
    default=None,
    help="Show each picture beside what is made of it, in a grid.  [default: beside; on stdout not]",
)
@image_set_options(
    caption="the picture's name",
    overwrites="other files of the same names",
    scale="to about 512 pixels; on stdout 1",
)
@source_options
@output_options
@click.pass_context
def translate(
    context: click.Context, /, pictures: tuple[str, ...], out: str, server: Server, console: Console, **options: Any
) -> None:
    """Make a picture of each PICTURE, and print the paths of the files they are in.

    \b
    genclient translate sketch.png --model sketches --out grid.png
    genclient translate photos/ --model night --out nights/
    genclient translate - --out - < sketch.png > picture.png

    PICTURE is a file that Pillow reads, a folder that is searched at any depth, or - for stdin. Pictures of any size
    are taken: the model brings them to size as training did, if it takes files. Those that cannot be read are
    reported, the others are made, and the exit code is then 1. Folders and shards resume: run the same command again.
    """
    grid, ranges = grid_of(options["grid"]), value_ranges(options["value_range"])
    check_stdout(out, console)
    found = list(_collected(pictures, out))
    hints = _content(options["hints"]) if options["hints"] else None
    with open_source(context, server, options) as source:
        if not options["dry_run"]:
            source.ask()
        good, image_set, failed = _surveyed(source, found, ranges, hints, console)
        for line in failed:
            console.note(line)
        if not good:
            raise ClientError(f"found no picture that can be read, of {len(found)}")
        _protect(out, image_set, found, options["overwrite"])
        from genclient.outputs.place import open_output

        alone = out == "-" and not options["beside"]
        is_sheet = out == "-" or (out.lower().endswith(".png") and "%" not in out and not os.path.isdir(out))
        output = open_output(
            out,
            image_set,
            emit,
            grid=grid,
            shard_size=options["shard_size"],
            overwrite=options["overwrite"],
            scale=options["scale"] or (1 if alone else None),
            captions=options["captions"],
            beside=is_sheet and not alone and options["beside"] is not False,
        )
        if options["dry_run"]:
            tell_plan(source, output, console)
            return
        work = _Work(source, good, ranges, hints, is_sheet)
        Run(source, output, out, console, work.batches, options["show"]).go()
    if failed:
        context.exit(1)


class _Work:
    """Makes the pictures of some places, a few at a time."""

    def __init__(
        self, source: Source, pictures: list[Picture], ranges: Any, hints: bytes | None, originals: bool
    ) -> None:
        self._source, self._pictures, self._ranges, self._hints = source, pictures, ranges, hints
        self._originals = originals  # whether they are shown beside what is made of them

    def batches(self, places: Places) -> Iterator[Batch]:
        """The images of places, in order."""
        import numpy as np

        from genclient.client.call import Batch
        from genclient.images.prepare import prepared

        for start in range(0, len(places), AT_A_TIME):
            some = places[start : start + AT_A_TIME]
            chosen = [self._pictures[place] for place in some.tolist()]
            contents = self._contents(chosen)
            images = self._made(chosen, contents)
            outputs = {"images": images}
            if self._originals:
                outputs["originals"] = np.stack([prepared(content, images.shape[1:]) for content in contents])
            yield Batch(some, outputs, self._source.version)

    def _contents(self, chosen: list[Picture]) -> list[bytes]:
        from genclient.images import pictures

        contents = []
        for picture, content in zip(chosen, pictures.load([p.file for p in chosen], self._ranges), strict=True):
            if isinstance(content, str):  # it could be read a moment ago
                raise ClientError(f"{picture.shown}: {content}")
            contents.append(content)
        return contents

    def _made(self, chosen: list[Picture], contents: list[bytes]) -> NDArray[np.uint8]:
        """Their images; a refused request is cut until the picture at fault is found."""
        import numpy as np

        try:
            return self._source.translate(contents, self._hints)
        except RpcError as error:
            if error.code.name != "INVALID_ARGUMENT":
                raise
            if len(chosen) == 1:
                raise ClientError(f"{chosen[0].shown}: the server refuses it: {error.details}") from None
        half = len(chosen) // 2
        parts = self._made(chosen[:half], contents[:half]), self._made(chosen[half:], contents[half:])
        return np.concatenate(parts)


def _collected(places: tuple[str, ...], out: str) -> Iterator[Picture]:
    """The pictures that are meant, but for those that an earlier run put into `out`."""
    from genclient.images import pictures

    own = Path(out).resolve() if os.path.isdir(out) else None
    for place in places:
        if place == "-":
            yield Picture("standard input", "stdin", _stdin())
            continue
        for path in pictures.find([place]):
            if own is None or own not in path.resolve().parents or Path(place).resolve() == own:
                below = path.relative_to(place) if Path(place).is_dir() else Path(path.name)
                yield Picture(str(path), below.as_posix(), path)


def _stdin() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("PICTURE -: found a terminal or nothing on stdin, expected a picture file")
    return sys.stdin.buffer.read()


def _surveyed(
    source: Source, found: list[Picture], ranges: Any, hints: bytes | None, console: Console
) -> tuple[list[Picture], Translation, list[str]]:
    """The pictures that can be read, the set of what is made of them, and what is wrong with the others."""
    import hashlib

    from genclient.images import pictures
    from genclient.outputs.translation import Original, names_for, translation

    good: list[Picture] = []
    originals, failed, sizes = [], [], []
    with console.meter(len(found), "pictures looked at") as meter:
        for start in range(0, len(found), AT_A_TIME):
            some = found[start : start + AT_A_TIME]
            for picture, checked in zip(some, pictures.check([p.file for p in some], ranges), strict=True):
                if isinstance(checked, str):
                    failed.append(f"{printable(picture.shown)}: {printable(checked)}")
                    continue
                good.append(picture)
                originals.append(checked.sha256)
                sizes.append((checked.height, checked.width))
            meter.at(start + len(some))
    names = names_for([picture.path for picture in good])
    _tell_sizes(source, sizes, console)
    settings = [("hints_sha256", hashlib.sha256(hints).hexdigest())] if hints else []
    made = translation(source.model, list(map(Original, names, originals)), source.model_sha256, settings)
    return good, made, failed


def _tell_sizes(source: Source, sizes: list[tuple[int, int]], console: Console) -> None:
    """Say how many pictures are not of the model's size, and what becomes of them."""
    binding, shape = source.binding(), source.size()
    if shape is None or None in shape[:2]:
        return
    other = sum(size != shape[:2] for size in sizes)
    how = "by the model" if "image_bytes" in binding.spec.inputs else "their middle, resized here"
    if other:
        console.note(f"{other} of {len(sizes)} pictures are brought to {shape[1]}×{shape[0]} pixels: {how}")


def _protect(out: str, image_set: Translation, found: list[Picture], overwrite: bool) -> None:
    """See that no picture is replaced by what is made of it, and no other file without --overwrite.

    Raises:
        UsageError: one would be.
    """
    if out == "-":
        return
    originals = {picture.file.resolve() for picture in found if isinstance(picture.file, Path)}
    is_folder = os.path.isdir(out) or not Path(out).suffix
    targets = [Path(out), *(Path(out) / original.name for original in image_set.originals if is_folder)]
    for target in targets:
        if target.resolve() in originals:
            raise UsageError(f"--out: found {out}, where it would replace {target}; choose another place")
    if is_folder and not overwrite and not (Path(out) / "manifest.json").exists():
        for target in targets[1:]:
            if target.exists():
                raise UsageError(f"--out: found {target}, which is not this command's; choose another, or --overwrite")


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ClientError(f"--hints: cannot read {path}: {error.strerror or error}") from None
