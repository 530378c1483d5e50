"""A zip archive of a folder of images, read where it lies: nothing is unpacked to the disk."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from functools import partial
from typing import IO

from gentrain.data.dataset import Append, Contents, Frame, Show, Source
from gentrain.errors import TrainError
from gentrain.sources.folder import file_identity
from gentrain.sources.pictures import Unfit, shown
from gentrain.sources.tree import Entry, Tree, cleaned, decode, hidden, in_memory, sampled

# An entry that claims to be larger than this once unpacked is no image file.
LARGEST_ENTRY_BYTES = 2**28


def open(path: str, with_classes: bool = True) -> Source:
    """Every image in a zip archive, which means what the same files in a folder do.

    Encrypted, damaged and oversized entries are skipped with a reason.

    Raises:
        TrainError: no zip archive, or no images in it; when decoding, more than half of them are broken.
    """
    identity = f"zip {file_identity(path)} {with_classes}"
    return Source(shown(path), identity, partial(_decode, path, with_classes), partial(_files, path))


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
        return decode(Tree(shown(path), _entries(archive), partial(_load, archive)), with_classes, frame, append, show)


def _files(path: str, most: int) -> Iterator[str | IO[bytes]]:
    with zipfile.ZipFile(path) as archive:
        yield from sampled(Tree(shown(path), _entries(archive), partial(_load, archive)), most)


def _entries(archive: zipfile.ZipFile) -> list[Entry]:
    """All files, sorted by name; hidden ones left out."""
    named = ((cleaned(entry.filename), entry) for entry in archive.infolist() if not entry.is_dir())
    found = [Entry(name, entry) for name, entry in named if name and not hidden(name)]
    return sorted(found, key=lambda entry: entry.name.split("/"))


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
    return in_memory(content)
