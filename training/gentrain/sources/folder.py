"""A folder of images: sub-folders are classes, broken files are skipped and named."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from gentrain.dataset import Append, Contents, Frame, Show, Source
from gentrain.errors import TrainError
from gentrain.sources import encoded
from gentrain.sources.classes import classes_of_folders
from gentrain.sources.encoded import Item
from gentrain.sources.pictures import Unfit, shown, suffixes

NAMES = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()  # as os.fsencode, which takes longer


@dataclass
class Listing:
    """Files with an image's ending, relative to `root` and sorted, and a digest of their names, sizes and times."""

    root: str
    files: list[str]
    digest: str
    notes: list[str] = field(default_factory=list)


def open(path: str, with_classes: bool = True) -> Source:
    """Find every image under `path`.

    Grey, RGB, transparent, palette, CMYK and 16-bit images of any size are taken; grey if all of them are grey. A
    first-level sub-folder is a class, whatever its depth below; images both in the folder itself and in sub-folders
    make a data set without classes, and a note says so.

    Raises:
        TrainError: `path` is no readable folder, or holds no images; when decoding, more than half of them are broken.
    """
    listing = find_images(path)
    if not listing.files:
        raise TrainError(f"{shown(path)}: no images found (looked for .png, .jpg, .webp, .gif, .bmp, .tif and others)")
    identity = f"folder {os.path.realpath(path)!r} {listing.digest} {with_classes}"
    return Source(shown(path), identity, partial(_decode, listing, with_classes))


def fits(path: str) -> bool:
    """Whether a folder lies at `path`."""
    return os.path.isdir(path)


def names_in(path: str) -> list[str]:
    """What lies in a folder; nothing if it cannot be read."""
    try:
        return os.listdir(path)
    except OSError:
        return []


def holds_images(path: str) -> bool:
    """Whether a folder holds files with an image's ending, or sub-folders that may."""
    return any(
        os.path.splitext(name)[1].lower() in suffixes() or os.path.isdir(os.path.join(path, name))
        for name in names_in(path)
        if not name.startswith(".")
    )


def _decode(listing: Listing, with_classes: bool, frame: Frame, append: Append, show: Show) -> Contents:
    classes = classes_of_folders(listing.files, shown(listing.root)) if with_classes else None
    label_of = classes.label_of if classes else {}

    def items() -> Iterator[Item]:
        for file in listing.files:
            yield Item(shown(file), os.path.join(listing.root, file), label_of.get(file.partition("/")[0], 0))

    decoded = encoded.decode(shown(listing.root), items, len(listing.files), regular, frame, append, show)
    if classes is None:
        return Contents(skipped=decoded.skipped, notes=tuple(listing.notes))
    labels = decoded.labels if classes.names else None
    return Contents(labels, classes.names, decoded.skipped, (*classes.notes, *listing.notes))


def regular(file: str) -> str:
    """The file itself, if Pillow may open it: a pipe would be waited for without end.

    Raises:
        OSError: it cannot be found.
        Unfit: it is empty, or no regular file.
    """
    status = os.stat(file)
    if not stat.S_ISREG(status.st_mode):
        raise Unfit("not a regular file")
    if status.st_size == 0:
        raise Unfit("empty file")
    return file


def find_images(path: str) -> Listing:
    """Files under `path` with an image's ending, sorted, links followed but never twice, hidden names left out.

    Raises:
        TrainError: `path` or a folder in it is missing or cannot be read.
    """
    if not os.path.exists(path):
        raise TrainError(f"{shown(path)}: no such folder")
    if not os.path.isdir(path):
        raise TrainError(f"{shown(path)}: not a folder of images")
    digest = hashlib.sha256()
    listing = Listing(path, [], "")
    folders_seen: dict[tuple[int, int], str] = {}
    waiting: list[tuple[str, bytes | None]] = [("", None)]
    while waiting:
        relative, stamp = waiting.pop()
        if stamp is not None:
            listing.files.append(relative)
            digest.update(relative.encode(*NAMES) + stamp)
        elif not _seen_before(listing, relative, folders_seen):
            waiting += reversed(_entries(path, relative))
    listing.digest = digest.hexdigest()
    return listing


def _seen_before(listing: Listing, relative: str, seen: dict[tuple[int, int], str]) -> bool:
    """Whether a folder was read under another name; noted if so."""
    folder = os.path.join(listing.root, relative)
    try:
        status = os.stat(folder)
    except OSError as error:
        raise TrainError(f"{shown(folder)}: cannot be read: {error.strerror}") from error
    first = seen.setdefault((status.st_dev, status.st_ino), relative)
    if first != relative:
        where = f"the same folder as {shown(first)}" if first else "the folder itself again"
        listing.notes.append(f"{shown(relative)} is {where} and is left out")
    return first != relative


def _entries(root: str, relative: str) -> list[tuple[str, bytes | None]]:
    """Images and folders in a folder, sorted: path relative to `root`, and of an image its stamp."""
    prefix, endings = relative + "/" if relative else "", suffixes()
    found: list[tuple[bytes, str, bytes | None]] = []
    try:
        with os.scandir(os.path.join(root, relative)) as entries:
            for entry in entries:  # half a million of them are a matter of seconds
                name = entry.name
                if name.startswith((".", "__MACOSX")):
                    continue
                if _is_folder(entry):
                    found.append((name.encode(*NAMES), prefix + name, None))
                elif name[name.rfind(".") :].lower() in endings:
                    found.append((name.encode(*NAMES), prefix + name, _stamp(entry)))
    except OSError as error:
        raise TrainError(f"{shown(os.path.join(root, relative))}: cannot be read: {error.strerror}") from error
    found.sort()
    return [(path, stamp) for _, path, stamp in found]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _stamp(entry: os.DirEntry[str]) -> bytes:
    """What changes with a file's content, or with the right to read it."""
    try:
        status = entry.stat()
    except OSError:
        return b"\0-\n"
    return b"\0%d %d %d\n" % (status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def file_identity(path: str) -> str:
    """A file's real path, size and time of last change.

    Raises:
        TrainError: there is no such file, or it cannot be read.
    """
    try:
        status = os.stat(path)
        Path(path).open("rb").close()
    except OSError as error:
        raise TrainError(f"{shown(path)}: cannot be read: {error.strerror}") from error
    return f"{os.path.realpath(path)!r} {status.st_size} {status.st_mtime_ns}"
