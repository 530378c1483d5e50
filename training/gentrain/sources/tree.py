"""A tree of files with images among them, wherever it lies: in a folder, a zip or a tar archive.

Content decides what is an image, not the ending; tables beside the images are read; the rest is counted by ending.
"""

from __future__ import annotations

import contextlib
import io
from collections import Counter
from collections.abc import Callable, Iterator
from typing import IO, Any, NamedTuple

from gentrain.data.dataset import Append, Contents, Frame, Show, Skipped, by_ending
from gentrain.errors import TrainError
from gentrain.sources import captions, encoded, layout, tables
from gentrain.sources.encoded import Item
from gentrain.sources.pictures import Unfit, is_ours, shown, sniff, suffixes

# Never images, whatever they hold: not even looked into.
NO_IMAGES = frozenset(
    ending
    for endings in (
        (
            ".txt",
            ".md",
            ".rst",
            ".pdf",
            ".doc",
            ".docx",
            ".xls",
            ".xlsx",
            ".log",
            ".ini",
            ".url",
            ".lnk",
            ".exe",
            ".dll",
        ),
        (".json", ".jsonl", ".csv", ".tsv", ".xml", ".yaml", ".yml", ".html", ".htm", ".css", ".js", ".py", ".ipynb"),
        (".zip", ".gz", ".tar", ".tgz", ".7z", ".rar", ".xz", ".npy", ".npz", ".mat", ".pkl", ".h5", ".hdf5", ".db"),
        (".pt", ".pth", ".keras", ".tfrecord", ".parquet", ".arrow", ".svg", ".ai", ".eps", ".ps", ".psb", ".sh", ".c"),
        (".mov", ".mp4", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".m4v", ".mp3", ".wav", ".aae", ".thm"),
        (".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".srw"),  # they hold small previews
    )
    for ending in endings
)


TEXT = ".txt"

# What systems leave beside the files of a user.
HIDDEN = (".", "__MACOSX")
SYSTEM = ("Thumbs.db", "desktop.ini", "@eaDir", "@__thumb", "$RECYCLE.BIN", "System Volume Information")


class Entry(NamedTuple):
    """A file: its path relative to the tree with `/`, and what `Tree.load` and `Tree.read` need to open it."""

    name: str
    handle: Any


class Tree(NamedTuple):
    """Files in an order that is always the same, hidden ones left out, and how they are opened.

    Attributes:
        name: of the source, for errors.
        entries: all files.
        load: from a handle to what Pillow opens; raises what is wrong with it.
        notes: for the user.
    """

    name: str
    entries: list[Entry]
    load: Callable[[Any], str | IO[bytes]]
    notes: tuple[str, ...] = ()


def sampled(tree: Tree, most: int) -> Iterator[str | IO[bytes]]:
    """So many of its images at most, from all over it, opened; what cannot be is passed over."""
    images = [entry for entry in tree.entries if ending(entry.name) not in NO_IMAGES and not tables.fits(entry.name)]
    for entry in images[:: max(1, -(-len(images) // most))]:
        with contextlib.suppress(Exception):
            yield tree.load(entry.handle)


def hidden(name: str) -> bool:
    """Whether a file or a folder on the way to it is the system's own."""
    return any(part.startswith(HIDDEN) or part in SYSTEM for part in name.split("/"))


def cleaned(name: str) -> str:
    """A path of an archive with `/`, without `.` and empty parts."""
    return "/".join(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))


def ending(name: str) -> str:
    """`Cats/A.JPG` → `.jpg`; empty without one."""
    base = name[name.rfind("/") + 1 :]
    dot = base.rfind(".")
    return base[dot:].lower() if dot > 0 else ""


def decode(tree: Tree, with_classes: bool, frame: Frame, append: Append, show: Show) -> Contents:
    """Give the selected images to `append`; labels and all else that is known of them.

    Raises:
        TrainError: no images, no such split, a damaged table, or more than half of the images are broken.
    """
    images, found_tables, left_out = _sorted_out(tree)
    images, ours = _without_ours(tree, images)
    if not images:
        found = f", found {by_ending(left_out)}" if left_out else ""
        raise TrainError(f"{tree.name}: no images found (looked for PNG, JPEG, WebP, GIF, BMP, TIFF and others{found})")
    names = [entry.name for entry in images]
    table = _table(tree, found_tables, names, frame) if with_classes else None
    if with_classes and table is None:
        left_out.update(ending(entry.name) for entry in found_tables)
    known = layout.understand(names, table, frame, tree.name) if with_classes else layout.Layout([*range(len(names))])
    if not known.positions:
        raise TrainError(f"{tree.name}: none of {len(names)} images has a label: {_example(known.skipped)}")

    def items() -> Iterator[Item]:
        for i, position in enumerate(known.positions):
            label = 0 if known.labels is None else int(known.labels[i])
            yield Item(shown(images[position].name[known.outer :]), images[position].handle, label)

    decoded = encoded.decode(tree.name, items, len(known.positions), tree.load, frame, append, show)
    texts = _captions(tree, [names[known.positions[i]] for i in decoded.kept], table, frame, left_out)
    return Contents(
        None if known.labels is None else decoded.labels,
        known.class_names,
        (*decoded.skipped, *known.skipped, *ours),
        (*known.notes, *texts.notes, *tree.notes),
        known.classes_from,
        left_out,
        known.split,
        decoded.value_ranges,
        texts.columns,
    )


def _sorted_out(tree: Tree) -> tuple[list[Entry], list[Entry], Counter[str]]:
    """Images, tables, and how many of the rest have which ending."""
    images, found_tables, rest = [], [], Counter[str]()
    usual = suffixes()
    for entry in tree.entries:
        kind = ending(entry.name)
        if kind in usual:
            images.append(entry)
        elif tables.fits(entry.name):
            found_tables.append(entry)
        elif kind not in NO_IMAGES and _holds_an_image(tree, entry):
            images.append(entry)
        else:
            rest[kind] += 1
    return images, found_tables, rest


def _holds_an_image(tree: Tree, entry: Entry) -> bool:
    try:
        return sniff(tree.load(entry.handle))
    except Exception:  # whatever is wrong with it, it is not known to be an image
        return False


def _without_ours(tree: Tree, images: list[Entry]) -> tuple[list[Entry], tuple[Skipped, ...]]:
    """Without what genline wrote beside the folders: a contact sheet would make classes of them impossible."""
    loose = {i for i, entry in enumerate(images) if "/" not in entry.name}
    if len(loose) == len(images):
        return images, ()
    written = {i for i in loose if _is_ours(tree, images[i])}
    skipped = tuple(Skipped(shown(images[i].name), "written by genline, no image of the data") for i in sorted(written))
    return [entry for i, entry in enumerate(images) if i not in written], skipped


def _is_ours(tree: Tree, entry: Entry) -> bool:
    try:
        return is_ours(tree.load(entry.handle))
    except Exception:  # it will be met again, and named
        return False


def _table(tree: Tree, found: list[Entry], names: list[str], frame: Frame) -> tables.Table | None:
    how = frame.labels.partition(":")[0]
    column = None if how in ("auto", "none", "folders", "from-name") else frame.labels
    if not found and column is None:
        return None
    return tables.read(
        [(entry.name, _content(tree, entry)) for entry in found], column, names, tree.name, frame.captions
    )


def _captions(
    tree: Tree, names: list[str], table: tables.Table | None, frame: Frame, left_out: Counter[str]
) -> captions.Captions:
    """The texts of these images, where they are asked for: of the table, else of a .txt with the name of each.

    Such a .txt is not counted in `left_out` any more.
    """
    if table is not None and table.texts is not None:
        rows = [table.find(name) for name in names]
        return captions.gathered([row.texts if row else () for row in rows], f"{table.name}, {table.texts}")
    if frame.captions != "auto":
        return captions.gathered((), "")
    beside = {_stem(entry.name): entry for entry in tree.entries if ending(entry.name) == TEXT}
    found = [beside.get(_stem(name)) for name in names]
    left_out -= Counter({TEXT: len({entry.name for entry in found if entry})})
    return captions.gathered([captions.lines(_read(tree, entry)) if entry else () for entry in found], ".txt files")


def _stem(name: str) -> str:
    return name[: len(name) - len(ending(name))]


def _read(tree: Tree, entry: Entry) -> bytes:
    """A text beside an image; one that is empty or cannot be read says nothing."""
    try:
        return _bytes(tree, entry)
    except Exception:  # whatever is wrong with it, the image has no caption
        return b""


def _bytes(tree: Tree, entry: Entry) -> bytes:
    opened = tree.load(entry.handle)
    with open(opened, "rb") if isinstance(opened, str) else opened as file:
        return file.read()


def _content(tree: Tree, entry: Entry) -> bytes:
    try:
        return _bytes(tree, entry)
    except Exception as error:
        raise TrainError(f"{tree.name}: {shown(entry.name)}: cannot be read: {error}") from error


def _example(skipped: tuple[Skipped, ...]) -> str:
    return f"{skipped[0].file}: {skipped[0].reason}" if skipped else "nothing is known of them"


def in_memory(content: bytes) -> io.BytesIO:
    """What Pillow opens, of the bytes of a file; raises Unfit for none."""
    if not content:
        raise Unfit("empty file")
    return io.BytesIO(content)
