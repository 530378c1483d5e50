"""Names of many files, with numbers in them as printf and ffmpeg write them: `img_%05d.png`, `%05d-of-%05d.tar`."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import cached_property

from genclient.errors import UsageError

_NUMBER = re.compile(r"%(0?)(\d{0,2})d")


@dataclass(frozen=True)
class Template:
    """A path whose last part has numbers in it."""

    text: str

    def name(self, *numbers: int) -> str:
        """The file's name with these numbers; those that have no place in it are left out."""
        rest = iter(numbers)
        return _NUMBER.sub(lambda match: f"{next(rest):{match[1]}{match[2]}d}".replace(" ", "_"), self._name)

    def number(self, name: str) -> int | None:
        """The number in a name that has one; None where it is no name of these."""
        first, *_, last = [re.escape(part) for part in re.split(_NUMBER.pattern.replace("(", "(?:"), self._name)]
        match = re.fullmatch(rf"{first}_*(-?\d{{1,18}}){last}", name)
        return int(match[1]) if match and self.name(int(match[1])) == name else None

    @property
    def manifest_name(self) -> str:
        """`manifest.json`, with what the names of the files begin with: `train.manifest.json`."""
        stem = _NUMBER.split(self._name)[0].rstrip("-_. ")
        return f"{stem}.manifest.json" if stem else "manifest.json"

    @cached_property
    def _name(self) -> str:
        return os.path.basename(self.text)


def parse_template(text: str, most: int) -> Template | None:
    """The template that a path is, or None; `most` numbers may be in it.

    Raises:
        UsageError: there are more, or one in the name of a folder.
    """
    folder, name = os.path.split(text)
    count = len(_NUMBER.findall(name))
    if _NUMBER.search(folder) or count > most:
        places = "one number" if most == 1 else f"at most {most} numbers"
        raise UsageError(f"--out: found {text}, expected {places} such as %05d, in the last part of the path")
    return Template(text) if count else None
