"""Which files belong to which split: from the names of folders or shards, as Hugging Face's `datasets` names them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from gentrain.errors import TrainError
from gentrain.sources.pictures import shown

SPELLINGS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_WORDS = {word: split for split, words in SPELLINGS.items() for word in words}
_WORD = "|".join(sorted(_WORDS, key=len, reverse=True))
_FOLDER = re.compile(rf"({_WORD})(?:[-._ ]?(?:set|split|data|images))?[-._ ]?\d*", re.IGNORECASE)
_DOMAIN = re.compile(rf"({_WORD})([A-Z])/(.+)", re.DOTALL)
_SHARD = re.compile(rf"(?:.*[-._ ])?({_WORD})(?:[-._ \d].*)?", re.IGNORECASE)


class Chosen(NamedTuple):
    """Positions that are taken, the split's name for the user (empty where there are no splits), and notes."""

    positions: list[int]
    split: str = ""
    notes: tuple[str, ...] = ()


def named(word: str) -> str:
    """The common name of a split: `val` and `Dev` are `validation`; a word that is none stays, in lower case."""
    return _WORDS.get(word.lower(), word.lower())


def of_folder(name: str) -> str | None:
    """`train2017` and `Test_set` → `train`, `test`; None for the name of no split."""
    found = _FOLDER.fullmatch(name)
    return named(found[1]) if found else None


def domain(name: str) -> str | None:
    """`trainA/1.jpg` → `train/A/1.jpg`; None for a path that starts otherwise."""
    found = _DOMAIN.fullmatch(name)
    return "/".join(found.groups()) if found else None


def are_splits(folders: Iterable[str]) -> bool:
    """Whether folders side by side are splits, every one; `test` beside `cat` is a class of that name.

    One kind of split several times with numbers, test1 and test2, are classes too.
    """
    names = set(folders)
    found = {of_folder(name) for name in names}
    return bool(names) and None not in found and (len(found) > 1 or len(names) == 1)


def shards(files: Sequence[str], requested: str, source: str) -> tuple[list[str], str, tuple[str, ...]]:
    """Of files such as `train-00000-of-00002.parquet` those of the split, its name, and notes.

    All of them, where one names no split, or all name the same and none is requested.
    """
    found = [_SHARD.fullmatch(os.path.basename(file).partition(".")[0]) for file in files]
    of_each = [named(match[1]) for match in found if match]
    if not files or len(of_each) < len(files):
        return list(files), "", ()
    chosen = choose(of_each, requested, source, "files")
    return [files[i] for i in chosen.positions], chosen.split, chosen.notes


def choose(splits: Sequence[str | None], requested: str, source: str, things: str = "images") -> Chosen:
    """The positions of the requested split; where there is one split alone and none is requested, of that one.

    Args:
        splits: of each image; None for one that is in no split and is never taken.
        requested: a split by any of its names, or `all`.
        source: named in errors.
        things: what the positions are of.

    Raises:
        TrainError: there is no such split.
    """
    counts = Counter(split for split in splits if split is not None)
    split = named(requested)
    if split == "train" and split not in counts and len(counts) == 1:
        (split,) = counts
    if split != "all" and split not in counts:
        there = ", ".join(f"{shown(name)} ({count})" for name, count in counts.items())
        raise TrainError(f"{source}: no split {shown(split)}; there are {there}: --split names one, or all")
    positions = [i for i, name in enumerate(splits) if name is not None and split in ("all", name)]
    others = [f"{shown(name)} ({count} {things})" for name, count in counts.items() if split not in ("all", name)]
    notes = [f"not taken: {', '.join(others)}; --split chooses"] if others else []
    if (without := sum(name is None for name in splits)) > 0:
        notes.append(f"{without} {things} are in no split and are left out")
    return Chosen(positions, shown(split), tuple(notes))
