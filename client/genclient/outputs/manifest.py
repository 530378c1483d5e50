"""manifest.json beside a set of files: the request, so that a later run goes on with it or knows it as another.

It is written twice: with the first file, and once all are there. It has no times and no names of machines, so that two
runs of the same request leave the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genclient.errors import ClientError, UsageError
from genclient.files.whole import NewFile

FORMAT = "genclient images 1"

_MOST_BYTES = 2**29  # a picture's entry takes 60 bytes, and there are a million at most
_ADVICE = "choose another --out, or --overwrite to make all anew"


@dataclass(frozen=True)
class Manifest:
    """What a manifest says: the request, the version that served it, and whether all files are there."""

    request: Mapping[str, Any]
    version: int | None
    complete: bool


def read(path: Path) -> Manifest | None:
    """The manifest at a path, if there is one.

    Raises:
        ClientError: it cannot be read.
        UsageError: what has that name is no such manifest: the folder is another program's.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise ClientError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
    try:
        content_json = json.loads(content)
        if content_json["format"] != FORMAT or not isinstance(content_json["request"], dict):
            raise ValueError
        version = content_json["version"]
        return Manifest(
            content_json["request"], None if version is None else int(version), content_json["complete"] is True
        )
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(
            f"--out: found {path}, which is no manifest of genclient, expected a folder of its own; choose another"
        ) from None


def write(path: Path, manifest: Manifest, files: Iterable[Mapping[str, Any]], *, new: bool = False) -> bool:
    """Write a manifest and an entry for each of its files.

    Returns:
        Whether it was written: with `new` not where there is one already, be it since a moment ago.

    Raises:
        ClientError: it cannot be written.
    """
    head = {
        "format": FORMAT,
        "request": dict(manifest.request),
        "version": manifest.version,
        "complete": manifest.complete,
    }
    file = NewFile(path)
    try:
        file.write(json.dumps(head, indent=2, ensure_ascii=False)[:-2].encode() + b',\n  "files": [')
        for number, entry in enumerate(files):
            file.write((b",\n    " if number else b"\n    ") + json.dumps(entry, ensure_ascii=False).encode())
        file.write(b"\n  ]\n}\n")
        if new:
            return file.keep_new()
        file.keep()
    finally:
        file.discard()
    return True


def check(path: Path, old: Manifest, request: Mapping[str, Any], version: int | None, growing: str | None) -> None:
    """Check that an existing set is of this request; `growing` names what may differ.

    Raises:
        UsageError: it is another; the message says in what.
    """
    for key, value in {"inputs": None, "texts": None, **request}.items():
        if key != growing and old.request.get(key) != value:
            found, expected = (_short(value) for value in (old.request.get(key), value))
            raise UsageError(f"{path}: found a set with {key} {found}, expected {expected} as requested; {_ADVICE}")
    check_version(path, old.version, version)


def is_begun(old: Manifest, request: Mapping[str, Any], version: int | None) -> bool:
    """Whether an old set is this very request, and not complete: to be gone on with even where it may be replaced."""
    same_version = None in (old.version, version) or old.version == version
    return not old.complete and same_version and dict(old.request) == dict(request)


def check_version(path: Path, old: int | None, version: int | None) -> None:
    """See that new images come from the version that the old ones are from.

    Raises:
        UsageError: they do not.
    """
    if None not in (old, version) and old != version:
        raise UsageError(
            f"{path}: found images of version {old}, expected {version}, which the server has now; {_ADVICE}, "
            f"or --model-version {old} to go on with the old one while it is served"
        )


def _short(value: object) -> str:
    text = "none" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:60]}…"
