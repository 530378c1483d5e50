"""A zip archive of a folder of images, read where it lies: nothing is unpacked to the disk."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from functools import partial

from gentrain.dataset import Append, Contents, Frame, Show, Source
from gentrain.errors import TrainError
from gentrain.sources import encoded
from gentrain.sources.classes import classes_of_folders
from gentrain.sources.encoded import Item
from gentrain.sources.folder import file_identity
from gentrain.sources.pictures import Unfit, shown, suffixes

# An entry that claims to be larger than this once unpacked is no image file.
LARGEST_ENTRY_BYTES = 2**28

Entries = list[tuple[str, zipfile.ZipInfo]]


def open(path: str, with_classes: bool = True) -> Source:
    """Every image in a zip archive; folders in it are classes, as in `gentrain.sources.folder`.

    A folder that holds all of the images, as archives often have one, is not a class. Encrypted, damaged and
    oversized entries are skipped with a reason.

    Raises:
        TrainError: no zip archive, or no images in it; when decoding, more than half of them are broken.
    """
    identity = f"zip {file_identity(path)} {with_classes}"
    return Source(shown(path), identity, partial(_decode, path, with_classes))


def fits(path: str) -> bool:
    """Whether `path` is named as an archive and is a file."""
    return path.lower().endswith(".zip") and os.path.isfile(path)


def _decode(path: str, with_classes: bool, frame: Frame, append: Append, show: Show) -> Contents:
    try:
        archive = zipfile.ZipFile(path)
    # zipfile raises NotImplementedError for archives in parts, and below for compressions that it lacks.
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile) as error:
        raise TrainError(f"{shown(path)}: damaged, cut short, or no zip archive: {error}") from error
    with archive:
        entries, notes = _inside(_entries(archive))
        if not entries:
            raise TrainError(f"{shown(path)}: no images found in the archive")
        classes = classes_of_folders((name for name, _ in entries), shown(path)) if with_classes else None
        label_of = classes.label_of if classes else {}

        def items() -> Iterator[Item]:
            for name, entry in entries:
                yield Item(shown(name), entry, label_of.get(name.partition("/")[0], 0))

        load = partial(_load, archive)
        decoded = encoded.decode(shown(path), items, len(entries), load, frame, append, show)
    if classes is None:
        return Contents(skipped=decoded.skipped, notes=notes)
    labels = decoded.labels if classes.names else None
    return Contents(labels, classes.names, decoded.skipped, (*classes.notes, *notes))


def _entries(archive: zipfile.ZipFile) -> Entries:
    """Entries with an image's ending, sorted by name; hidden ones left out."""
    found = []
    for entry in archive.infolist():
        parts = [part for part in entry.filename.replace("\\", "/").split("/") if part]
        hidden = any(part.startswith((".", "__MACOSX")) for part in parts)
        dot = parts[-1].rfind(".") if parts else -1
        if not entry.is_dir() and not hidden and dot > 0 and parts[-1][dot:].lower() in suffixes():
            found.append(("/".join(parts), entry))
    return sorted(found, key=lambda pair: pair[0].split("/"))


def _inside(entries: Entries) -> tuple[Entries, tuple[str, ...]]:
    """Names without the folders that hold all of the images, and a note on these."""
    outer: list[str] = []
    while entries and all(name.count("/") > 0 for name, _ in entries):
        (first, *others) = {name.partition("/")[0] for name, _ in entries}
        if others:
            break
        outer.append(first)
        entries = [(name.partition("/")[2], entry) for name, entry in entries]
    return entries, (f"all images lie in {shown('/'.join(outer))}, which is not taken as a class",) if outer else ()


def _load(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> io.BytesIO:
    if entry.flag_bits & 1:
        raise Unfit("encrypted")
    if entry.file_size > LARGEST_ENTRY_BYTES:
        raise Unfit(f"unpacks to {entry.file_size / 2**20:.0f} MiB, too large for an image")
    try:
        content = archive.read(entry)
    except NotImplementedError as error:
        raise Unfit("compressed in a way that Python does not know") from error
    except Exception as error:
        raise Unfit("damaged in the archive") from error
    if not content:
        raise Unfit("empty file")
    return io.BytesIO(content)
