"""manifest.json: what a version holds and where it comes from, and its digest, so that no byte can change unseen.

`manifest.json` has the SHA-256 of every other file of its version, `manifest.json.sha256` that of the manifest, in the
format of `sha256sum --check`.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from genexport.errors import ExportError

MANIFEST = "manifest.json"
SEAL = "manifest.json.sha256"
PIECE = 1 << 20

REMEDY = "publish the model again, or return to an intact version with genexport rollback"
NO_VERSION = "expected a version such as models/digits/1; genexport list shows those there are"

# A list of numbers, which json.dumps would spread over as many lines. No string holds a line break in JSON.
NUMBERS = re.compile(r"\[\n\s+((?:[-+.\de]+|null)(?:,\n\s+(?:[-+.\de]+|null))*)\n\s+\]")


def sha256(file: Path) -> str:
    """The SHA-256 of a file, hexadecimal."""
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while piece := opened.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def digests(folder: Path) -> dict[str, dict[str, Any]]:
    """Relative path → SHA-256 and size of every file but the manifest and its seal."""
    return {
        name: {"sha256": sha256(file), "bytes": file.stat().st_size}
        for name, file in _files(folder).items()
        if name not in (MANIFEST, SEAL)
    }


def write(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest of a version that is being built, with the digests of all its files, and seal it."""
    content = json.dumps({**manifest, "files": digests(folder)}, indent=2)
    content = NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", content)
    (folder / MANIFEST).write_text(content + "\n", encoding="utf-8")
    (folder / SEAL).write_text(f"{sha256(folder / MANIFEST)}  {MANIFEST}\n", encoding="utf-8")


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a version; nothing is checked but that it is one.

    Raises:
        ExportError: no version of genexport's there, or a damaged manifest.
    """
    file = folder / MANIFEST
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ExportError(f"{folder}: no {MANIFEST} in it; {NO_VERSION}") from None
    except OSError as error:
        raise ExportError(f"{file}: cannot be read: {error.strerror}") from error
    except ValueError:
        raise ExportError(f"{file}: damaged; expected the JSON that genexport publish writes") from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise ExportError(f"{file}: expected the JSON that genexport publish writes, with the files of the version")
    return manifest


def check(folder: Path) -> dict[str, Any]:
    """The manifest of a version whose files are, byte for byte, those that were published.

    Raises:
        ExportError: a file is missing, changed or new; the message names the first.
    """
    _check_seal(folder)
    manifest = read(folder)
    then, now = manifest["files"], _files(folder)
    for name in sorted((now.keys() | then.keys()) - {MANIFEST, SEAL}):
        file = folder / name
        if name not in now:
            raise ExportError(f"{file}: missing; {REMEDY}")
        if name not in then:
            raise ExportError(f"{file}: not a file that was published; remove it, or {REMEDY}")
        if file.is_symlink() or not file.is_file():
            raise ExportError(f"{file}: replaced by a link or the like; {REMEDY}")
        try:
            found = sha256(file)
        except OSError as error:
            raise ExportError(f"{file}: cannot be read: {error.strerror}") from error
        if found != then[name]["sha256"]:
            raise ExportError(f"{file}: changed since it was published (its SHA-256 differs); {REMEDY}")
    return manifest


def now() -> str:
    """The time, UTC, to the second."""
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _check_seal(folder: Path) -> None:
    if not (folder / MANIFEST).is_file():
        raise ExportError(f"{folder}: no {MANIFEST} in it; {NO_VERSION}")
    try:
        sealed = (folder / SEAL).read_bytes()
        found = sha256(folder / MANIFEST)
    except FileNotFoundError:
        if "kind" not in read(folder):  # genline 0.1.0 wrote neither
            return
        raise ExportError(f"{folder / SEAL}: missing; {REMEDY}") from None
    except OSError as error:
        raise ExportError(f"{folder / MANIFEST}: cannot be read: {error.strerror}") from error
    if sealed != f"{found}  {MANIFEST}\n".encode():
        raise ExportError(f"{folder / MANIFEST}: changed since it was published (or {SEAL} was); {REMEDY}")


def _files(folder: Path) -> dict[str, Path]:
    """Relative path → everything in a folder that is not a folder itself."""
    entries = (path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir())
    return {path.relative_to(folder).as_posix(): path for path in entries}
