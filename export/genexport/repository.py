"""The folder that a server watches: numbered versions that appear whole, in one rename, or not at all (contract 2)."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genexport.errors import ExportError, UsageError

STAGING = ".staging-"
LOCK = ".lock"
MANIFEST = "manifest.json"


def versions(base: Path) -> list[int]:
    """The numbers of a model's versions, ascending; a version is a folder whose whole name is an integer."""
    if not base.is_dir():
        return []
    return sorted(int(entry.name) for entry in base.iterdir() if entry.name.isascii() and entry.name.isdigit())


def check_name(name: str) -> None:
    """Raise UsageError for a name that cannot be a model's."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise UsageError(f"--name {name!r}: expected letters, digits, `_`, `.` and `-`")


@contextmanager
def staging(base: Path) -> Iterator[Path]:
    """A hidden folder beside the versions to build one in; removed at the end, or by the next one after a kill.

    Raises:
        ExportError: the repository cannot be written to.
    """
    try:
        base.mkdir(parents=True, exist_ok=True)
        lock = (base / LOCK).open("w")
    except OSError as error:
        raise ExportError(f"{base}: cannot be written: {error.strerror}") from error
    with lock:
        # Everyone who builds holds the lock shared, and a kill lets go of it. Who can have it alone is the only one
        # here, so what lies about is nobody's.
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            for left in base.glob(STAGING + "*"):
                shutil.rmtree(left, ignore_errors=True)
        fcntl.flock(lock, fcntl.LOCK_SH)
        folder = Path(tempfile.mkdtemp(prefix=STAGING, dir=base))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, base: Path, version: int | None = None) -> Path:
    """Move a finished folder to its number, the next one unless given, in one rename that overwrites nothing.

    Raises:
        ExportError: the wanted version is there already.
    """
    folder.chmod(0o755)  # mkdtemp makes it private, and a server runs as somebody else
    _flush(folder)
    while True:
        number = version if version is not None else max(versions(base), default=0) + 1
        target = base / str(number)
        try:
            if number in versions(base):
                raise FileExistsError(errno.EEXIST, "")
            folder.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise ExportError(f"{target}: cannot be written: {error.strerror}") from error
            if version is not None:
                raise ExportError(
                    f"{target}: this version is there already; leave --version out for the next"
                ) from None
            continue  # somebody else took the number: take the next
        _flush_folder(base)
        return target


def digests(folder: Path) -> dict[str, dict[str, Any]]:
    """Relative path → SHA-256 and size of every file but the manifest."""
    return {
        str(file.relative_to(folder)): {
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "bytes": file.stat().st_size,
        }
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file != folder / MANIFEST
    }


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a version.

    Raises:
        ExportError: no version of genline's there, or a damaged manifest.
    """
    file = folder / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        raise ExportError(f"{folder}: no {MANIFEST} in it; expected a version such as models/digits/1") from None
    except (OSError, ValueError) as error:
        raise ExportError(f"{file}: cannot be read: {error}") from error
    return manifest


def _flush(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
