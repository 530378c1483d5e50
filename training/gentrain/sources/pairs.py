"""Pairs of pictures, one of which is to become the other: two folders of equal names, or two pictures side by side."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from gentrain.data.dataset import Append, Contents, Frame, Show, Skipped, Source
from gentrain.errors import TrainError, UsageError
from gentrain.sources import encoded, pictures, splits
from gentrain.sources.encoded import Item
from gentrain.sources.folder import Listing, find_images, regular
from gentrain.sources.pictures import Unfit, shown, suffixes
from gentrain.sources.tree import ending

NAMED = 3
"""At most so many names without a partner are listed."""

HOW = "pairs:INPUTS,TARGETS for two folders, pairs:FOLDER for pictures side by side"


def open(path: str) -> Source:
    """Pairs of `INPUTS,TARGETS`, files that have the same name in both folders whatever their ending; or of one folder
    of pictures that are twice as wide as high or wider, whose halves are a pair.

    Raises:
        UsageError: more than two folders, or one folder that holds two.
        TrainError: a folder is missing, cannot be read or is empty; when decoding, no pairs, or more than half of them
            are broken.
    """
    folders = places(path)
    if len(folders) == 1:
        listing = _images_of(folders[0])
        return Source(f"pairs:{shown(path)}", f"pairs {_identity(listing)}", partial(_side_by_side, listing))
    if len(folders) != 2:
        raise UsageError(f"pairs:{shown(path)}: {len(folders)} folders, expected one or two: {HOW}")
    first, second = map(_images_of, folders)
    identity = f"pairs {_identity(first)} {_identity(second)}"
    return Source(f"pairs:{shown(path)}", identity, partial(_two_folders, first, second))


def are_side_by_side(source: str) -> bool:
    """Whether a source is pairs of which a file holds both halves."""
    name, _, path = source.partition(":")
    return name == "pairs" and len(places(path)) == 1


def places(path: str) -> list[str]:
    """The folders that are meant; a comma may be part of a name that is there."""
    if os.path.exists(path):
        return [path]
    parts = path.split(",")
    for cut in range(1, len(parts)):
        both = [",".join(parts[:cut]), ",".join(parts[cut:])]
        if all(map(os.path.exists, both)):
            return both
    return [part for part in parts if part]


def _identity(listing: Listing) -> str:
    names = hashlib.sha256("\0".join(listing.files).encode("utf-8", "surrogateescape")).hexdigest()
    return f"{os.path.realpath(listing.root)!r} {listing.digest} {names}"


def _images_of(folder: str) -> Listing:
    listing = find_images(folder)

    images = [file for file in listing.files if ending(file) in suffixes()]
    if not images:
        raise TrainError(f"{shown(folder)}: no images found; expected {HOW}")
    return Listing(listing.root, images, listing.digest, listing.notes)


def _two_folders(first: Listing, second: Listing, frame: Frame, append: Append, show: Show) -> Contents:
    source = f"{shown(first.root)} and {shown(second.root)}"
    inputs, targets = _by_name(first), _by_name(second)
    both = [name for name in inputs if name in targets]
    alone = [(first, file) for name, file in inputs.items() if name not in targets]
    alone += [(second, file) for name, file in targets.items() if name not in inputs]
    if not both:
        there = f"{shown(first.files[0])} and {shown(second.files[0])}"
        raise TrainError(f"{source}: no two files have one name, for one {there}; expected equal names in both folders")
    chosen = _of_split(both, frame, source)
    names = [both[i] for i in chosen.positions]

    def items() -> Iterator[Item]:
        for name in names:
            files = (os.path.join(first.root, inputs[name]), os.path.join(second.root, targets[name]))
            yield Item(shown(targets[name]), files)

    def load(files: tuple[str, str]) -> tuple[Any, Any]:
        a, b = map(regular, files)
        _refuse_other_shapes(a, b)
        return a, b

    decoded = encoded.decode_pairs(source, items, len(names), load, frame, append, show)
    summary = f"{len(names) - len(decoded.skipped)} pairs, {shown(first.root)} → {shown(second.root)}"
    without = _without_partner([os.path.join(listing.root, file) for listing, file in alone])
    return _contents(summary, without, decoded, chosen, (first, second))


def _side_by_side(listing: Listing, frame: Frame, append: Append, show: Show) -> Contents:
    source = shown(listing.root)
    chosen = _of_split(listing.files, frame, source)
    files = [listing.files[i] for i in chosen.positions]
    _refuse_two_folders(listing, source)

    def items() -> Iterator[Item]:
        for file in files:
            yield Item(shown(file), os.path.join(listing.root, file))

    def load(file: str) -> tuple[Any, Any]:
        left, right = pictures.halves(regular(file), frame)
        return (left, right) if frame.input_side == "left" else (right, left)

    decoded = encoded.decode_pairs(source, items, len(files), load, frame, append, show)
    count = len(files) - len(decoded.skipped)
    summary = f"{count} pairs side by side, the {frame.input_side} half is the input (--side sets it)"
    return _contents(summary, "", decoded, chosen, (listing,))


def _contents(
    summary: str, without: str, decoded: encoded.Decoded, chosen: splits.Chosen, listings: Sequence[Listing]
) -> Contents:
    notes = [summary + (f"; {without}" if without else ""), *chosen.notes]
    notes += [note for listing in listings for note in listing.notes]
    skipped: tuple[Skipped, ...] = decoded.skipped
    return Contents(skipped=skipped, notes=tuple(notes), split=chosen.split, value_ranges=decoded.value_ranges)


def _by_name(listing: Listing) -> dict[str, str]:
    """Name without its ending → file.

    Raises:
        TrainError: two files differ in their endings alone.
    """
    found: dict[str, str] = {}
    for file in listing.files:
        name = file[: len(file) - len(ending(file))]
        if name in found:
            raise TrainError(f"{shown(listing.root)}: {shown(found[name])} and {shown(file)} have one name; keep one")
        found[name] = file
    return found


def _of_split(files: Sequence[str], frame: Frame, source: str) -> splits.Chosen:
    """Those of the split, where all folders at the top are splits."""
    tops = {file.partition("/")[0] for file in files if "/" in file}
    if not tops or not all("/" in file for file in files) or not splits.are_splits(tops):
        return splits.Chosen([*range(len(files))])
    return splits.choose([splits.of_folder(file.partition("/")[0]) for file in files], frame.split, source, "pairs")


def _without_partner(files: Sequence[str]) -> str:
    """`12 without a partner: a/1.png, a/2.png, b/7.png and 9 more`; nothing where all have one."""
    if not files:
        return ""
    more = f" and {len(files) - NAMED} more" if len(files) > NAMED else ""
    return f"{len(files)} without a partner: {', '.join(map(shown, files[:NAMED]))}{more}"


def _refuse_other_shapes(first: str, second: str) -> None:
    """Raise Unfit for two pictures that cannot be laid on each other; one may be larger than the other."""
    (w, h), (width, height) = pictures.upright_size(first), pictures.upright_size(second)
    if abs(w * height - width * h) > max(w, h, width, height):
        raise Unfit(f"the input has {w}×{h} pixels and the target {width}×{height}, expected one shape")


def _refuse_two_folders(listing: Listing, source: str) -> None:
    tops = sorted({file.partition("/")[0] for file in listing.files if "/" in file})
    if len(tops) == 2 and all("/" in file for file in listing.files) and not splits.are_splits(tops):
        a, b = (os.path.join(source, top) for top in tops)
        raise UsageError(f"pairs:{source}: holds two folders; name the inputs first, as in pairs:{a},{b}")
