"""The configuration file: values of options, by their names, with the line that each stands in.

    target = "gpu-box:8500"     # for every command that has the option
    [sample]
    truncation = 0.7            # for one command

TOML, at `--config`, `GENCLIENT_CONFIG` or the user's folder for such files. What an option takes is not known here.
"""

from __future__ import annotations

import difflib
import importlib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from genclient.errors import UsageError

NAME = "genclient"
VARIABLE = "GENCLIENT_CONFIG"

_KEY_PART = r"""(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)"""
_KEYS = rf"{_KEY_PART}(?:\s*\.\s*{_KEY_PART})*"
_TABLE_LINE = re.compile(rf"\s*\[\s*({_KEYS})\s*\]\s*(?:#.*)?")
_KEY_LINE = re.compile(rf"\s*({_KEYS})\s*=")

Keys = tuple[str, ...]


@dataclass(frozen=True)
class Entry:
    """A value, as TOML reads it, and where it stands: `FILE:LINE: KEY`."""

    value: Any
    where: str


@dataclass(frozen=True)
class ConfigFile:
    """What a file says.

    Attributes:
        path: of the file, which may not be there.
        shared: entries for all commands, by option, with `_` for `-`.
        commands: entries for one command each.
    """

    path: Path
    shared: Mapping[str, Entry] = field(default_factory=dict)
    commands: Mapping[str, Mapping[str, Entry]] = field(default_factory=dict)

    def of(self, command: str) -> dict[str, Entry]:
        """The entries that hold for a command."""
        return {**self.shared, **self.commands.get(command, {})}

    def check(self, known: Mapping[str, Iterable[str]]) -> None:
        """See that every key is an option; `known` has those of each command.

        Raises:
            UsageError: one is not.
        """
        options = {name for names in known.values() for name in names}
        for name, entry in self.shared.items():
            if name not in options:
                raise UsageError(f"{entry.where}: found no option of that name{_near(name, {*options, *known})}")
        for command, entries in self.commands.items():
            for name, entry in entries.items():
                if command not in known:
                    raise UsageError(f"{entry.where}: found no command {command}{_near(command, known)}")
                if name not in known[command]:
                    near = _near(name, known[command])
                    raise UsageError(f"{entry.where}: found no option of that name of {command}{near}")


def default_path() -> Path:
    """Where the file is by default: in the user's folder for configurations."""
    return Path(click.get_app_dir(NAME)) / "config.toml"


def read(path: Path, *, must_exist: bool) -> ConfigFile:
    """The file at `path`; nothing is in one that is not there or cannot be read, unless it must exist.

    Raises:
        UsageError: it cannot be read, is no TOML, or has tables where values belong.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        if not must_exist:  # such as the home of another user, in a container
            return ConfigFile(path)
        if isinstance(error, FileNotFoundError):
            raise UsageError(f"--config: found no file {path}, expected one, or none to be named") from None
        raise UsageError(f"--config: cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise UsageError(f"{path}:{line}: found bytes that are not UTF-8, expected TOML") from None
    return _sorted(path, _parsed(path, text), dict(_lines(text)))


def _parsed(path: Path, text: str) -> dict[str, Any]:
    tomllib: Any = importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli")
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        match = re.fullmatch(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", str(error), re.DOTALL)
        message, line, column = match.groups() if match else (str(error), None, None)
        number = int(line) if line else text.count("\n") + 1
        lines = text.splitlines() or [""]
        key = _KEY_LINE.match(lines[min(number, len(lines)) - 1])
        where = f"{path}:{number}" + (f": {key[1]}" if key else "")
        place = f" (column {column})" if column else ""
        raise UsageError(f"{where}: {message}{place}, expected TOML") from None


def _sorted(path: Path, entries_by_key: Mapping[str, Any], lines: Mapping[Keys, int]) -> ConfigFile:
    shared: dict[str, Entry] = {}
    commands: dict[str, dict[str, Entry]] = {}
    for key, value in entries_by_key.items():
        # An option whose value is a table of pairs may stand among the commands' tables; no command has such a name.
        if isinstance(value, dict) and key.replace("-", "_") not in ("header", "map", "input"):
            table = commands.setdefault(key, {})
            for name, inner in value.items():
                _add(table, name, Entry(inner, _where(path, lines, (key, name))))
            if not value:  # so that its name is checked
                commands.setdefault(key, {})
        else:
            _add(shared, key, Entry(value, _where(path, lines, (key,))))
    return ConfigFile(path, shared, commands)


def _add(table: dict[str, Entry], key: str, entry: Entry) -> None:
    name = key.replace("-", "_")
    if name in table:
        raise UsageError(f"{entry.where}: found it twice, expected one of {table[name].where} and this")
    table[name] = entry


def _where(path: Path, lines: Mapping[Keys, int], keys: Keys) -> str:
    line = next((lines[keys[:end]] for end in range(len(keys), 0, -1) if keys[:end] in lines), None)
    return f"{path}{'' if line is None else f':{line}'}: {'.'.join(keys)}"


def _lines(text: str) -> Iterator[tuple[Keys, int]]:
    """The line in which each key is set, for messages: tomllib does not say."""
    table: Keys = ()
    seen: set[Keys] = set()
    for number, line in enumerate(text.splitlines(), 1):
        if match := _TABLE_LINE.fullmatch(line):
            table = keys = _split(match[1])
        elif match := _KEY_LINE.match(line):
            keys = table + _split(match[1])
        else:
            continue
        if keys not in seen:
            seen.add(keys)
            yield keys, number


def _split(keys: str) -> Keys:
    return tuple(part.strip("\"'") for part in re.findall(_KEY_PART, keys))


def _near(name: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(known), 1)
    return f"; near it is {close[0].replace('_', '-')}" if close else ""
