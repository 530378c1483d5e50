"""Which label means which class: from the names of folders, or from numbers. No label ever changes silently."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from gentrain.data.dataset import Labels
from gentrain.errors import TrainError
from gentrain.sources.pictures import shown


class FolderClasses(NamedTuple):
    """Class names, the label of each sub-folder by its name on the disk, and notes for the user."""

    names: tuple[str, ...]
    label_of: dict[str, int]
    notes: tuple[str, ...]


def classes_of_folders(files: Iterable[str], source: str) -> FolderClasses:
    """Classes from every image found, so that a broken one shifts no label; none if some lie in no sub-folder.

    Args:
        files: paths relative to the data set, with `/`.
        source: named in errors.

    Folders whose names are all whole numbers are put in the order of these, others in the order of their bytes.

    Raises:
        TrainError: two folders could not be distinguished by their printed names.
    """
    found: set[str] = set()
    loose = 0
    for file in files:
        first, slash, _ = file.partition("/")
        if slash:
            found.add(first)
        else:
            loose += 1
    if found and loose:
        return FolderClasses((), {}, (f"{loose} images lie beside the sub-folders, so these are not taken as classes",))
    numbered = all(name.isascii() and name.isdigit() for name in found)
    folders = sorted(found, key=lambda name: (int(name) if numbered else 0, os.fsencode(name)))
    names = tuple(shown(folder) for folder in folders)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise TrainError(f"{source}: two sub-folders are both shown as {twice}; rename one of them")
    notes = _note_on_numbers([int(name) for name in names]) if numbered else ()
    return FolderClasses(names, {folder: i for i, folder in enumerate(folders)}, notes)


def classes_of_numbers(
    numbers: np.ndarray[Any, Any], texts: Mapping[int, str] | None = None
) -> tuple[Labels, tuple[str, ...], tuple[str, ...]]:
    """Integers (N,) → labels int32 (N,) from 0 on, class names, and notes for the user.

    A class is named by its text, if each of them has one of its own, else by its number.
    """
    found, labels = np.unique(numbers, return_inverse=True)
    values = [int(value) for value in found]
    names = tuple((texts or {}).get(value, str(value)) for value in values)
    if len(set(names)) < len(names):
        names = tuple(map(str, values))
    return labels.reshape(-1).astype(np.int32), names, _note_on_numbers(values)


def _note_on_numbers(values: list[int]) -> tuple[str, ...]:
    """Say so where the number of a class is not its label."""
    differing = [(i, value) for i, value in enumerate(values) if i != value]
    if not differing:
        return ()
    label, value = differing[0]
    return (f"classes are counted from 0 in the order of their numbers: number {value} has label {label}",)


class LabelsMet:
    """Labels of records as they are met, numbered in the order of their first appearance until all are known."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.met: dict[int | str | None, int] = {}
        self.texts: dict[int, str] = {}

    def number(self, label: bytes | int | None, text: bytes | None) -> int:
        """The provisional number of a record's label, or of its text where it has no label; TrainError: two names."""
        name = None if text is None else shown(text.decode("utf-8", "surrogateescape"))
        if isinstance(label, int) and name is not None and self.texts.setdefault(label, name) != name:
            raise TrainError(f"{self.source}: label {label} is named {self.texts[label]} and {name}")
        key = shown(label.decode("utf-8", "surrogateescape")) if isinstance(label, bytes) else label
        return self.met.setdefault(name if key is None else key, len(self.met))

    def settle(self, numbers: Labels) -> tuple[Labels | None, tuple[str, ...], tuple[str, ...]]:
        """Provisional numbers (N,) → labels, class names and notes; no labels unless all records have one of a kind."""
        keys = list(self.met)
        if {type(key) for key in keys} == {int}:
            return classes_of_numbers(np.array(keys, np.int64)[numbers], self.texts)
        if {type(key) for key in keys} == {str}:
            order = sorted(keys, key=str)
            return np.array([order.index(key) for key in keys], np.int32)[numbers], tuple(map(str, order)), ()
        without = int(np.sum(numbers == self.met.get(None, -1)))
        if without == len(numbers):
            return None, (), ()
        note = f"{without} records have no label" if without else "labels are numbers and texts"
        return None, (), (f"{note}, so there are no classes",)
