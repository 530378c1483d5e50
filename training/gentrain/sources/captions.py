"""Texts that say what images show: beside them in a .txt, a column of their table, or what a source itself knows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gentrain.errors import TrainError
from gentrain.sources.pictures import shown

Texts = Sequence[str]
"""The captions of one image."""

FROM_CLASSES = "classes"
"""The setting by which the names of classes are captions, whatever else there is."""

COLUMNS = ("text", "caption", "captions", "sentence", "sentences", "description", "prompt")
"""What columns of captions are called."""


class Captions(NamedTuple):
    """The column `captions`, UTF-8 (N,) with a line for each caption, and a note for the user."""

    columns: dict[str, np.ndarray[Any, Any]]
    notes: tuple[str, ...]


def gathered(found: Sequence[Texts], origin: str) -> Captions:
    """What a data set has of its images' texts, each once; nothing where none of them says anything.

    Args:
        found: of every image, in order.
        origin: where they come from, for the note.
    """
    cleaned = [[" ".join(text.split()) for text in texts] for texts in found]
    kept = [list(dict.fromkeys(text for text in texts if text)) for texts in cleaned]
    count = sum(map(len, kept))
    if not count:
        return Captions({}, ())
    rows = np.array(["\n".join(texts).encode("utf-8", "replace") for texts in kept])
    empty, without = sum(text == "" for texts in cleaned for text in texts), sum(not texts for texts in kept)
    summary = f"{count} captions of {len(kept) - without} images, from {origin}"
    summary += f"; {empty} empty ones are left out" if empty else ""
    summary += f"; {without} images have none and stand for any text" if without else ""
    return Captions({"captions": rows}, (summary,))


def column(names: Sequence[str], requested: str, where: str) -> str | None:
    """Which of these columns holds captions: the one that is requested, or the one that is named so, in any case.

    Args:
        names: of all columns.
        requested: `captions` of the frame.
        where: for the error.

    Raises:
        TrainError: a column is requested that is not there.
    """
    if requested in ("", FROM_CLASSES):
        return None
    if requested != "auto" and requested not in names:
        raise TrainError(f"{where}: --captions {requested}: no such column; it has {shown(', '.join(names))}")
    by_name = {name.lower(): name for name in reversed(names)}
    return requested if requested != "auto" else next((by_name[name] for name in COLUMNS if name in by_name), None)


def lines(content: bytes) -> list[str]:
    """The captions in a text file: a line each; one empty caption for a file without any."""
    return content.decode("utf-8-sig", "replace").strip().splitlines() or [""]


def of_value(value: Any) -> list[str]:
    """The captions in a field of a table or a record: a text or a list of texts."""
    values = value if isinstance(value, list | tuple) else [value]
    return ["" if each is None else str(each) for each in values]
