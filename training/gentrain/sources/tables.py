"""Labels and captions that stand in a file beside the images: metadata.csv or .jsonl as Hugging Face's imagefolder has
them, a plain labels.csv or train.csv, and the dataset.json of StyleGAN's dataset_tool.
"""

from __future__ import annotations

import csv
import json
import posixpath
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from gentrain.errors import TrainError
from gentrain.sources import captions
from gentrain.sources.pictures import shown

STEMS = ("metadata", "labels", "train", "train_labels", "annotations")
NAMES = frozenset(f"{stem}.{ending}" for stem in STEMS for ending in ("csv", "tsv", "jsonl"))
STYLEGAN = "dataset.json"

FILE_COLUMNS = ("file_name", "filename", "file", "image", "image_id", "path", "filepath", "id")
LABEL_COLUMNS = ("label", "class", "class_name", "label_name", "category", "target", "labels", "y")
SPLIT_COLUMNS = ("split", "subset", "partition")

Value = int | str
Row = Mapping[str, Any]


class Named(NamedTuple):
    """What a table says of one image: the label, None where there is none, the split, and captions."""

    label: Value | None
    split: str | None = None
    texts: tuple[str, ...] = ()


class Table(NamedTuple):
    """Image → what is known of it; `column` is where labels come from, None where it has none; notes for the user.

    `texts` is the column of the captions, where these are asked for.
    """

    name: str
    rows: dict[str, Named]
    column: str | None
    notes: tuple[str, ...] = ()
    texts: str | None = None

    def find(self, file: str) -> Named | None:
        """The row of an image: by its path, or by that without the ending, as many tables have it."""
        return self.rows.get(file) or self.rows.get(posixpath.splitext(file)[0])


def fits(name: str) -> bool:
    """Whether a file is named as a table is."""
    base = posixpath.basename(name).lower()
    return base in NAMES or base == STYLEGAN


def read(
    files: Iterable[tuple[str, bytes]], column: str | None, images: Collection[str], source: str, texts: str = ""
) -> Table | None:
    """Every table of a data set as one, in paths relative to its root; None where there is none.

    Args:
        files: path and content.
        column: the column of the labels; None for the one that is named so.
        images: paths of the images; a table that names none of them is another's.
        source: named in errors.
        texts: `captions` of the frame.

    Raises:
        TrainError: a damaged table, one image with two labels, no such column.
    """
    known = set(images) | {posixpath.splitext(image)[0] for image in images}
    by_base = _by_base(images)
    merged: Table | None = None
    for path, content in files:
        where = f"{source}: {shown(path)}"
        stylegan = posixpath.basename(path).lower() == STYLEGAN
        table = _stylegan(path, content) if stylegan else _rows_of(path, content, column, texts, where)
        table = table and _of_these(table, known, by_base)
        if table is None:
            continue
        if merged is None:
            merged = table
        elif table.column == merged.column:
            merged.rows.update(table.rows)
        else:
            merged = merged._replace(notes=(*merged.notes, f"{shown(path)} is left out: it is of another form"))
    if merged is None and column is not None:
        raise TrainError(f"{source}: --labels {column}: no metadata.csv, labels.csv or train.csv with such a column")
    return merged


def _by_base(images: Collection[str]) -> dict[str, str]:
    """Name without folders and ending → path without ending, of those that no two images have."""
    stems = [posixpath.splitext(image)[0] for image in images]
    counts = Counter(map(posixpath.basename, stems))
    return {base: stem for stem in stems if counts[base := posixpath.basename(stem)] == 1}


def _of_these(table: Table, known: Collection[str], by_base: Mapping[str, str]) -> Table | None:
    """The table, if it names some of the images: by path, else by name alone, where they lie in other folders."""
    if not table.rows or any(name in known for name in table.rows):
        return table
    bases = {name: posixpath.basename(name) for name in table.rows}
    rows = {
        by_base.get(base) or by_base.get(posixpath.splitext(base)[0]) or name: table.rows[name]
        for name, base in bases.items()
    }
    return table._replace(rows=rows) if any(name in known for name in rows) else None


def _stylegan(path: str, content: bytes) -> Table | None:
    """StyleGAN's file: {"labels": [[image, number], …] or null}; None for another file of that name."""
    try:
        labels = json.loads(content)["labels"]
        if labels is None:
            return Table(shown(posixpath.basename(path)), {}, None)
        rows = {_joined(path, str(name)): Named(_number(label)) for name, label in labels}
    except (ValueError, TypeError, KeyError):
        return None
    if any(named.label is None for named in rows.values()):
        return Table(shown(posixpath.basename(path)), {}, None, (f"labels of {shown(path)} are no numbers of classes",))
    return Table(shown(posixpath.basename(path)), rows, "labels")


def _number(label: Any) -> int | None:
    return label if isinstance(label, int) and not isinstance(label, bool) else None


def _rows_of(path: str, content: bytes, column: str | None, captioned: str, where: str) -> Table | None:
    try:
        text = content.decode("utf-8-sig")
        rows = list(_json_rows(text) if path.lower().endswith(".jsonl") else _csv_rows(text))
    except (ValueError, csv.Error) as error:
        raise TrainError(f"{where}: cannot be read: {error}") from error
    columns = list(dict.fromkeys(column for row in rows for column in row))
    files = _one_of(FILE_COLUMNS, columns)
    if files is None:
        return None
    texts = captions.column(columns, captioned, where)
    labels, notes = _label_column(rows, [each for each in columns if each != texts], files, column, where)
    splits = _one_of(SPLIT_COLUMNS, columns)
    found: dict[str, Named] = {}
    for row in rows:
        name = _joined(path, str(row.get(files) or ""))
        said = tuple(captions.of_value(row.get(texts))) if texts else ()
        named = Named(_value(row.get(labels)) if labels else None, _text(row.get(splits)) if splits else None, said)
        first = found.setdefault(name, named)
        if first.label != named.label:
            raise TrainError(f"{where}: {shown(name)} has two labels: {first.label} and {named.label}")
        if first is not named:
            found[name] = first._replace(texts=first.texts + said)
    return Table(shown(posixpath.basename(path)), _in_one_kind(found), labels, notes, texts)


def _csv_rows(text: str) -> Iterator[Row]:
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    for row in csv.DictReader(text.splitlines(), delimiter=delimiter):
        yield {column.strip(): value for column, value in row.items() if column is not None}


def _json_rows(text: str) -> Iterator[Row]:
    for line in text.splitlines():
        if line.strip():
            row = json.loads(line)
            if not isinstance(row, dict):
                raise ValueError(f"expected an object a line, got {line[:40]}")
            yield row


def _label_column(
    rows: list[Row], columns: list[str], files: str, column: str | None, where: str
) -> tuple[str | None, tuple[str, ...]]:
    """The column of the labels: the one that is requested, the one named so, or the only one that has few values."""
    if column is not None:
        if column not in columns:
            raise TrainError(f"{where}: no column {column}; it has {shown(', '.join(columns))}")
        return column, ()
    if (usual := _one_of(LABEL_COLUMNS, columns)) is not None:
        return usual, ()
    others = [column for column in columns if column != files and column.lower() not in SPLIT_COLUMNS]
    if len(others) == 1 and 2 * len({str(row.get(others[0])) for row in rows}) <= len(rows):
        return others[0], ()
    if not others:
        return None, ()
    return None, (f"{where} has the columns {shown(', '.join(others))}: --labels takes one",)


def _one_of(usual: tuple[str, ...], columns: list[str]) -> str | None:
    """The first of the usual names that there is, in any case."""
    by_name = {column.lower(): column for column in reversed(columns)}
    return next((by_name[name] for name in usual if name in by_name), None)


def _joined(table: str, file: str) -> str:
    """A path that a table has, relative to the root of the data set."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(table), file.replace("\\", "/")))


def _text(value: Any) -> str | None:
    text = "" if value is None else str(value).strip()
    return text or None


def _value(value: Any) -> Value | None:
    """A label as a number where it is one (also 3.0, as pandas writes it beside gaps), else as text."""
    text = _text(value)
    try:
        number = float(text or "")
    except ValueError:
        return text
    return int(number) if number.is_integer() else text


def _in_one_kind(rows: dict[str, Named]) -> dict[str, Named]:
    """Numbers as texts where some labels are texts."""
    if not any(isinstance(row.label, str) for row in rows.values()):
        return rows
    return {name: row._replace(label=None if row.label is None else str(row.label)) for name, row in rows.items()}
