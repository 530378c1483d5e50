"""The pictures that a command is given: found, looked at, and kept from being replaced by what is made of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genclient.cli.console import Console
from genclient.cli.source import Source
from genclient.cli.translating import AT_A_TIME, Picture
from genclient.errors import UsageError, printable

if TYPE_CHECKING:
    from genclient.outputs.translation import Original, Translation


def collected(places: tuple[str, ...], out: str) -> Iterator[Picture]:
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


def surveyed(
    source: Source, pictures_given: list[Picture], ranges: Any, tiled: str | None, console: Console
) -> tuple[list[Picture], list[Original], list[str]]:
    """The pictures that can be read, what is known of them, and what is wrong with the others.

    `tiled` is None, or the place where pictures as large as they are go, empty where it takes any.
    """
    from genclient.images import pictures
    from genclient.outputs.translation import Original, names_for

    good: list[Picture] = []
    hashes, failed, sizes = [], [], []
    with console.meter(len(pictures_given), "pictures looked at") as meter:
        for start in range(0, len(pictures_given), AT_A_TIME):
            some = pictures_given[start : start + AT_A_TIME]
            for picture, checked in zip(some, pictures.check([p.file for p in some], ranges), strict=True):
                if isinstance(checked, str):
                    failed.append(f"{printable(picture.shown)}: {printable(checked)}")
                    continue
                good.append(picture)
                hashes.append(checked.sha256)
                sizes.append((checked.height, checked.width))
            meter.at(start + len(some))
    if tiled is None:
        _note_sizes(source, sizes, console)
    elif tiled and len(set(sizes)) > 1:
        raise UsageError(
            f"--tile: found pictures of {len(set(sizes))} sizes, expected one in {tiled}; a folder takes any"
        )
    return good, list(map(Original, names_for([picture.path for picture in good]), hashes)), failed


def _note_sizes(source: Source, sizes: list[tuple[int, int]], console: Console) -> None:
    """Say how many pictures are not of the model's size, and what becomes of them."""
    binding, shape = source.binding(), source.size()
    if shape is None or None in shape[:2]:
        return
    other = sum(size != shape[:2] for size in sizes)
    crop = source.preprocessing.crop if source.preprocessing else "center"
    here = {"none": "squeezed here", "pad": "all of each, resized here"}.get(crop, "their middle, resized here")
    how = "by the model" if "image_bytes" in binding.spec.inputs else here
    if other:
        console.note(f"{other} of {len(sizes)} pictures are brought to {shape[1]}×{shape[0]} pixels: {how}")


def protect(out: str, image_set: Translation, given: list[Picture], overwrite: bool, suffix: str = ".png") -> None:
    """See that no picture is replaced by what is made of it, and no other file without --overwrite.

    Files of a folder have this ending.

    Raises:
        UsageError: one would be.
    """
    from genclient.outputs.names import renamed

    if out == "-":
        return
    originals = {picture.file.resolve() for picture in given if isinstance(picture.file, Path)}
    is_folder = os.path.isdir(out) or not Path(out).suffix
    names = [renamed(original.name, suffix) for original in image_set.originals if is_folder]
    targets = [Path(out), *(Path(out) / name for name in names)]
    for target in targets:
        if target.resolve() in originals:
            raise UsageError(f"--out: found {out}, where it would replace {target}; choose another place")
    if is_folder and not overwrite and not (Path(out) / "manifest.json").exists():
        for target in targets[1:]:
            if target.exists():
                raise UsageError(f"--out: found {target}, which is not this command's; choose another, or --overwrite")
