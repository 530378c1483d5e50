"""A folder of images, found and listed; what lies in it is decoded by `gentrain.sources.tree`."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

from gentrain.data.dataset import Append, Contents, Frame, Show, Source
from gentrain.errors import TrainError
from gentrain.sources import tables
from gentrain.sources.pictures import Unfit, shown, suffixes
from gentrain.sources.tree import HIDDEN, NO_IMAGES, SYSTEM, TEXT, Entry, Tree, decode, ending, sampled

NAMES = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()  # as os.fsencode, which takes longer

# What every run directory has.
RUN_FILES = {"config.json", "dataset.json", "log.jsonl"}


@dataclass
class Listing:
    """Files relative to `root`, sorted, and a digest of the names, sizes and times of those that may matter."""

    root: str
    files: list[str]
    digest: str
    notes: list[str] = field(default_factory=list)


def open(path: str, with_classes: bool = True) -> Source:
    """Find every image under `path`.

    Grey, RGB, transparent, palette, CMYK, 16-bit and float images of any size are taken; grey if all of them are grey.
    What folders and tables among them mean is the matter of `gentrain.sources.layout`.

    Raises:
        TrainError: `path` is no readable folder, or holds no files; when decoding, no images, or more than half of them
            are broken.
    """
    listing = find_images(path)
    identity = f"folder {os.path.realpath(path)!r} {listing.digest} {with_classes}"
    return Source(shown(path), identity, partial(_decode, listing, with_classes), partial(_sampled, listing))


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
    return decode(_tree(listing), with_classes, frame, append, show)


def _sampled(listing: Listing, most: int) -> Iterator[str | IO[bytes]]:
    return sampled(_tree(listing), most)


def _tree(listing: Listing) -> Tree:
    def load(file: str) -> str:
        return regular(os.path.join(listing.root, file))

    return Tree(shown(listing.root), [Entry(file, file) for file in listing.files], load, tuple(listing.notes))


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
    """Files under `path`, sorted, links followed but never twice, hidden names left out.

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
            if stamp:
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
    """Files and folders in a folder, sorted: path relative to `root`, and of a file its stamp (empty: no matter).

    Raises:
        TrainError: it cannot be read, or is a run of gentrain.
    """
    prefix, endings = relative + "/" if relative else "", suffixes()
    found: list[tuple[bytes, str, bytes | None]] = []
    try:
        with os.scandir(os.path.join(root, relative)) as scanned:
            entries = list(scanned)  # half a million of them are a matter of seconds
            texts = any(entry.name.lower().endswith(TEXT) for entry in entries)
            pictured = _pictured(entries) if texts else frozenset[str]()
            for entry in entries:
                name = entry.name
                if name.startswith(HIDDEN) or name in SYSTEM:
                    continue
                if _is_folder(entry):
                    found.append((name.encode(*NAMES), prefix + name, None))
                else:
                    matters = name[name.rfind(".") :].lower() in endings or tables.fits(name)
                    matters = matters or ending(name) not in NO_IMAGES or _is_caption(name, pictured)
                    found.append((name.encode(*NAMES), prefix + name, _stamp(entry) if matters else b""))
    except OSError as error:
        raise TrainError(f"{shown(os.path.join(root, relative))}: cannot be read: {error.strerror}") from error
    if RUN_FILES.issubset(entry.name for entry in entries):
        raise TrainError(
            f"{shown(os.path.join(root, relative))}: a run of gentrain, not images; name a folder without runs in it"
        )
    found.sort()
    return [(path, stamp) for _, path, stamp in found]


def _pictured(entries: Iterable[os.DirEntry[str]]) -> frozenset[str]:
    """What images among them are called, without the ending."""
    parts, endings = (entry.name.rpartition(".") for entry in entries), suffixes()
    return frozenset(stem for stem, dot, kind in parts if dot + kind.lower() in endings)


def _is_caption(name: str, pictured: Collection[str]) -> bool:
    return ending(name) == TEXT and name[: -len(TEXT)] in pictured


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
