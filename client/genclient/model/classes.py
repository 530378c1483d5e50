"""Which class a user means: by index, by name, or all of them."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from genclient.errors import ClientError, UsageError

MAX_CLASSES = 2**20


@dataclass(frozen=True)
class Classes:
    """Names of the classes 0, 1, …, where they are known, and how many there are, 0 where that is not known."""

    names: tuple[str, ...] = ()
    count: int = 0

    def index(self, text: str, option: str = "--label") -> int:
        """The class that is given by its index or its name. A number is always an index.

        Raises:
            UsageError: it is neither.
        """
        if re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            label = int(text)
            if self.count and not 0 <= label < self.count:
                raise UsageError(f"label: found {label}, expected a class from 0 to {self.count - 1}")
            return label
        if text in self.names:
            return self.names.index(text)
        among = f" or one of {', '.join(self.names)}" if self.names else ", since nothing here has names for them"
        hint = "" if self.names else "; give them with --classes"
        raise UsageError(f"{option}: found {text!r}, expected the index of a class{among}{hint}")

    def all(self) -> tuple[int, ...]:
        """Every class.

        Raises:
            UsageError: it is not known how many there are.
        """
        if not self.count:
            raise UsageError(
                "--label: found 'all', but not how many classes there are; give their number or names with --classes"
            )
        return tuple(range(self.count))


def parse_classes(text: str) -> Classes:
    """Classes as names with commas between them, as a number of them, or as a file that has their names.

    Such files are genexport's manifest.json, gentrain's dataset.json, a .tflite file, or text with a name a line.

    Raises:
        UsageError: they are none of these.
        ClientError: the file cannot be read.
    """
    if re.fullmatch(r"[0-9]{1,9}", text):
        if not 1 <= int(text) <= MAX_CLASSES:
            raise UsageError(f"--classes: found {text}, expected 1 to {MAX_CLASSES} classes")
        return Classes((), int(text))
    if os.path.isfile(text):
        return _of_file(text)
    return _named([name.strip() for name in text.split(",")], text)


def _of_file(path: str) -> Classes:
    from genclient.model import tflite_metadata

    try:
        with open(path, "rb") as file:
            content = file.read(2**31)
    except OSError as error:
        raise ClientError(f"--classes: cannot read {path}: {error.strerror}") from None
    if content[4:8] == b"TFL3":
        metadata = tflite_metadata.read(content, path)
        if metadata is None or not metadata.class_count:
            raise UsageError(f"--classes: found {path}, which says nothing of classes")
        return Classes(metadata.class_names, metadata.class_count)
    try:
        text = content.decode()
        if not text.lstrip().startswith(("{", "[")):
            return _named([line.strip() for line in text.splitlines() if line.strip()], path)
        content_json = json.loads(text)
        return _named(
            list((content_json if isinstance(content_json, list) else content_json["class_names"]) or ()), path
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(f"--classes: found {path}, expected class_names in JSON, or text with a name a line") from None


def _named(names: Sequence[object], found: str) -> Classes:
    whole = [name for name in names if isinstance(name, str) and name]
    if not names or len(whole) != len(names) or len(set(whole)) != len(whole) or len(whole) > MAX_CLASSES:
        raise UsageError(f"--classes: found {found[:60]!r}, expected names, each once, a number of them, or a file")
    return Classes(tuple(whole), len(whole))
