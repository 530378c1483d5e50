"""What a tree of image files means: wrapping folders, splits, classes. File names in, labels out; nothing is decoded.

Every interpretation is mentioned in a note, and what looks like a class but may be none is never taken silently.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gentrain.data.dataset import NAME_AND_NUMBER, Frame, Labels, Skipped
from gentrain.sources import splits
from gentrain.sources.classes import classes_of_folders, classes_of_numbers
from gentrain.sources.pictures import shown
from gentrain.sources.tables import Table, Value

# As StyleGAN's dataset_tool names files: the folders are shards of a thousand.
_SHARD = re.compile(r"\d{5}/img\d{8}\.\w+")

# So many classes at most are suggested from the names of files.
MOST_SUGGESTED = 100


class Layout(NamedTuple):
    """Images that are taken, by their positions, with labels int32 of the same length where there are classes.

    `outer` letters at the start of every path are folders that hold all of the images.
    """

    positions: list[int]
    labels: Labels | None = None
    class_names: tuple[str, ...] = ()
    classes_from: str = ""
    split: str = ""
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    outer: int = 0


class _Part(NamedTuple):
    """Images still in question: positions, and their names within what is taken for their folder."""

    positions: list[int]
    names: list[str]

    def only(self, chosen: Sequence[int]) -> _Part:
        return _Part([self.positions[i] for i in chosen], [self.names[i] for i in chosen])


def understand(files: Sequence[str], table: Table | None, frame: Frame, source: str) -> Layout:
    """The selected images of a tree, and their classes.

    Args:
        files: paths of images relative to the root, with `/`.
        table: what stands beside them about each, if anything does.
        frame: `split` and `labels` say what is selected.
        source: named in errors.

    Raises:
        TrainError: no such split, or two folders that could not be distinguished by their printed names.
    """
    part, outer = _unwrapped(_Part(list(range(len(files))), list(files)))
    notes = [f"all images lie in {shown(outer)}, which is not taken as a class"] if outer else []
    part, chosen = _of_split(_domains_apart(part), files, table, frame, source)
    part, _ = _unwrapped(part, below=bool(chosen.split))
    labelled = _labelled(part, files, table, frame, source)
    all_notes = (*notes, *chosen.notes, *labelled.notes)
    inside = len(outer) + 1 if outer else 0
    skipped = tuple(Skipped(shown(files[int(s.file)][inside:]), s.reason) for s in labelled.skipped)
    return labelled._replace(split=chosen.split, skipped=skipped, notes=all_notes, outer=inside)


def _unwrapped(part: _Part, below: bool = False) -> tuple[_Part, str]:
    """Names without the folders that hold all of the images, and these folders.

    A split is none of them, unless `below` another: unpacked archives often hold `test_set/test_set/`.
    """
    positions, names = part
    outer: list[str] = []
    while names:
        first, slash, _ = names[0].partition("/")
        split = not below and splits.of_folder(first)
        if not slash or split or not all(name.startswith(first + "/") for name in names):
            break
        outer.append(first)
        names = [name[len(first) + 1 :] for name in names]
    return _Part(positions, names), "/".join(outer)


def _domains_apart(part: _Part) -> _Part:
    """`trainA/x.jpg` as `train/A/x.jpg`, where all folders are named as in CycleGAN's data sets."""
    apart = [splits.domain(name) for name in part.names]
    names = [name for name in apart if name is not None]
    return _Part(part.positions, names) if len(names) == len(apart) else part


def _of_split(
    part: _Part, files: Sequence[str], table: Table | None, frame: Frame, source: str
) -> tuple[_Part, splits.Chosen]:
    """Images of the requested split, their names without it: from the table, or from the first or second folders."""
    if table is not None and any(row.split for row in table.rows.values()):
        rows = [table.find(files[i]) for i in part.positions]
        found = [splits.named(row.split) if row and row.split else None for row in rows]
        chosen = splits.choose(found, frame.split, source)
        return part.only(chosen.positions), chosen
    for level in (0, 1):
        folders = [name.split("/", level + 1)[:-1] for name in part.names]
        within = [folder[level] for folder in folders if len(folder) > level]
        loose = len(within) < len(folders)
        if not splits.are_splits(within) or (loose and (level == 1 or len(set(within)) == 1)):
            continue
        chosen = splits.choose(
            [splits.of_folder(folder[level]) if len(folder) > level else None for folder in folders],
            frame.split,
            source,
        )
        kept = part.only(chosen.positions)
        return _Part(kept.positions, [_without(name, level) for name in kept.names]), chosen
    return part, splits.Chosen(part.positions)


def _without(name: str, level: int) -> str:
    parts = name.split("/", level + 1)
    return "/".join(parts[:level] + parts[level + 1 :])


def _labelled(part: _Part, files: Sequence[str], table: Table | None, frame: Frame, source: str) -> Layout:
    """The classes of a part; what is skipped is named by its position."""
    how = frame.labels.partition(":")[0]
    if how == "none":
        return Layout(part.positions)
    if how == "from-name":
        return _from_names(part, frame)
    if table is not None and how != "folders":
        if table.column is not None:
            return _from_table(part, files, table)
        if table.name.endswith(".json") or _are_shards(part.names):
            return Layout(part.positions, notes=(*table.notes, f"{table.name} has no labels, so there are no classes"))
    if how != "folders" and _are_shards(part.names):
        return Layout(part.positions, notes=("folders are numbered shards, not classes",))
    found = _from_folders(part, source)
    return found._replace(notes=((table.notes if table else ()) + found.notes))


def _are_shards(names: list[str]) -> bool:
    return all(_SHARD.fullmatch(name) for name in names)


def _from_table(part: _Part, files: Sequence[str], table: Table) -> Layout:
    rows = [table.find(files[position]) for position in part.positions]
    skipped = [
        Skipped(str(position), f"not in {table.name}" if row is None else f"without a label in {table.name}")
        for position, row in zip(part.positions, rows, strict=True)
        if row is None or row.label is None
    ]
    labelled = [(i, row.label) for i, row in enumerate(rows) if row is not None and row.label is not None]
    known = {name for file in files for name in (file, file.rpartition(".")[0])}
    missing = sum(name not in known for name in table.rows)
    notes = (f"{table.name} names {missing} images that are not there",) if missing else ()
    origin = f"{table.name}, {table.column}"
    layout = _numbered(part, [i for i, _ in labelled], [label for _, label in labelled], origin)
    return layout._replace(skipped=tuple(skipped), notes=layout.notes + notes)


def _from_names(part: _Part, frame: Frame) -> Layout:
    pattern = frame.name_pattern
    found = [pattern.search(name.rpartition("/")[2]) if pattern else None for name in part.names]
    matches = [(i, match[1]) for i, match in enumerate(found) if match and match[1]]
    skipped = tuple(
        Skipped(str(position), "its name does not fit the pattern of --labels")
        for position, match in zip(part.positions, found, strict=True)
        if not match or not match[1]
    )
    labels = [int(text) if text.isascii() and text.isdigit() else text for _, text in matches]
    return _numbered(part, [i for i, _ in matches], labels, "file names")._replace(skipped=skipped)


def _numbered(part: _Part, kept: list[int], values: Sequence[Value], origin: str) -> Layout:
    """Labels from 0 on, in the order of the numbers, or of the texts where one of them is a text."""
    positions = [part.positions[i] for i in kept]
    if not values:
        return Layout(positions)
    if all(isinstance(value, int) for value in values):
        labels, names, notes = classes_of_numbers(np.array(values, np.int64))
        return Layout(positions, labels, names, origin, notes=notes)
    texts = [str(value) for value in values]
    order = {text: i for i, text in enumerate(sorted(set(texts)))}
    names = tuple(map(shown, order))
    return Layout(positions, np.array([order[text] for text in texts], np.int32), names, origin)


def _from_folders(part: _Part, source: str) -> Layout:
    classes = classes_of_folders(part.names, source)
    if not classes.names:
        return Layout(part.positions, notes=classes.notes + _suggestion(part.names))
    labels = np.array([classes.label_of[name.partition("/")[0]] for name in part.names], np.int32)
    deeper = Counter(name.split("/")[1] for name in part.names if name.count("/") > 1)
    names = ", ".join(shown(name) for name, _ in deeper.most_common(3))
    origin = f"folder names (not from those inside, such as {names})" if deeper else "folder names"
    return Layout(part.positions, labels, classes.names, origin, notes=classes.notes)


def _suggestion(names: list[str]) -> tuple[str, ...]:
    """Names such as cat.0.jpg and dog.1.jpg may be classes; a note says how they are taken."""
    if any("/" in name for name in names):
        return ()
    found = [re.match(NAME_AND_NUMBER, name) for name in names]
    counts = Counter(match[1] for match in found if match)
    if len(counts) < 2 or len(counts) > MOST_SUGGESTED or sum(counts.values()) < len(names) or min(counts.values()) < 2:
        return ()
    some = ", ".join(shown(name) for name, _ in counts.most_common(3))
    return (f"names of files look like {len(counts)} classes ({some}): --labels from-name takes these",)
