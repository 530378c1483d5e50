"""The folder that a server watches: numbered versions that appear whole, in one rename, or not at all (contract 2)."""

from __future__ import annotations

import errno
import fcntl
import functools
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from genexport.errors import ExportError, UsageError

STAGING = ".staging-"
LOCK = ".lock"
ABANDONED_SECONDS = 86400


def versions(base: Path) -> list[int]:
    """The numbers of a model's versions, ascending; a version is a folder whose whole name is an integer."""
    if not base.is_dir():
        return []
    return sorted(int(entry.name) for entry in base.iterdir() if entry.name.isascii() and entry.name.isdigit())


def models(root: Path) -> list[str]:
    """The names of a repository's models that have a version, in alphabetical order."""
    if not root.is_dir():
        return []
    return sorted(base.name for base in root.iterdir() if base.name[0] != "." and versions(base))


def check_name(name: str, what: str = "--name") -> None:
    """Raise UsageError for a name that cannot be a model's."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise UsageError(f"{what} {name!r}: expected letters, digits, `_`, `.` and `-`")


def check_free(base: Path, version: int) -> None:
    """Raise ExportError where a version has that number already."""
    if version in versions(base):
        raise ExportError(
            f"{base / str(version)}: this version exists already; omit --version to take the next free number"
        )


@contextmanager
def staging(base: Path) -> Iterator[Path]:
    """A hidden folder beside the versions to build one in; removed at the end, or by the next one after a kill.

    Raises:
        ExportError: the repository cannot be written to.
    """
    with _locked(base):
        try:
            folder = Path(tempfile.mkdtemp(prefix=f"{STAGING}{_kernel()}-", dir=base))
        except OSError as error:
            raise ExportError(f"{base}: cannot be written: {error.strerror}") from error
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def publish(folder: Path, base: Path, version: int | None = None, at_least: int = 1) -> Path:
    """Move a finished folder to its number, in one rename that overwrites nothing.

    Args:
        folder: from `staging(base)`.
        base: the model's folder.
        version: its number; the one after the newest unless given.
        at_least: what the number after the newest is raised to.

    Raises:
        ExportError: the wanted version is there already.
    """
    folder.chmod(0o755)  # mkdtemp makes it private, and a server runs as somebody else
    flush(folder)
    while True:
        number = version if version is not None else max(max(versions(base), default=0) + 1, at_least)
        target = base / str(number)
        try:
            if number in versions(base):
                raise FileExistsError(errno.EEXIST, "")
            folder.rename(target)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                raise ExportError(f"{target}: cannot be written: {error.strerror}") from error
            if version is not None:
                check_free(base, number)
            continue  # somebody else took the number: take the next
        flush_one(base)
        return target


def publish_together(folders: Sequence[Path], bases: Sequence[Path], version: int | None = None) -> list[Path]:
    """Publish a model and what goes with it under one number: the one given, or the next that is free in all.

    The first goes first, and alone if it must. Who has its number has the others': all who publish take them so.

    Raises:
        ExportError: as `publish`.
    """
    newest = max((number for base in bases[1:] for number in versions(base)), default=0)
    first = publish(folders[0], bases[0], version, at_least=newest + 1)
    more = zip(folders[1:], bases[1:], strict=True)
    return [first, *(publish(folder, base, int(first.name)) for folder, base in more)]


def remove_old(base: Path, keep: int, published: Path) -> list[Path]:
    """Remove all versions but the newest `keep` and the one just published; each vanishes in one rename.

    Returns:
        The folders that are gone.

    Raises:
        UsageError: `keep` is less than 1.
        ExportError: a folder cannot be moved away.
    """
    if keep < 1:
        raise UsageError(f"--keep {keep}: expected 1 or more; the newest version always stays")
    old = [base / str(number) for number in versions(base)[:-keep] if base / str(number) != published]
    if not old:
        return []
    removed = []
    with staging(base) as bin_:
        for folder in old:
            try:
                folder.rename(bin_ / folder.name)
            except FileNotFoundError:  # removed by another publish meanwhile, or a name such as 007
                continue
            except OSError as error:
                raise ExportError(f"{folder}: cannot be removed: {error.strerror}") from error
            removed.append(folder)
    return removed


@contextmanager
def _locked(base: Path) -> Iterator[None]:
    """Held shared by everyone who builds; a kill lets go of it. Who can have it alone is the only one here, so what
    lies about is nobody's and is removed.
    """
    try:
        base.mkdir(parents=True, exist_ok=True)
        lock = (base / LOCK).open("w")
    except OSError as error:
        raise ExportError(f"{base}: cannot be written: {error.strerror}") from error
    with lock:
        if (alone := _take(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)) is not False:
            for left in base.glob(STAGING + "*"):
                if _is_left(left, bool(alone)):
                    shutil.rmtree(left, ignore_errors=True)
        _take(lock, fcntl.LOCK_SH)
        yield


def _take(lock: IO[str], how: int) -> bool | None:
    """Whether a lock is held now; None where a file system has none, and work goes on without."""
    try:
        fcntl.flock(lock, how)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_left(folder: Path, alone: bool) -> bool:
    """Whether nobody builds there: nobody here, or for a day nobody on another machine, whose locks may not show."""
    try:
        age = time.time() - folder.stat().st_mtime
    except OSError:
        return False
    return age > ABANDONED_SECONDS or (alone and folder.name.startswith(f"{STAGING}{_kernel()}-"))


@functools.cache
def _kernel() -> str:
    """What all containers of a running machine have in common, and no other machine: eight hexadecimal digits."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except (OSError, ValueError):
        return os.urandom(4).hex()  # unknown: equal to nobody's


def flush(folder: Path) -> None:
    """Wait until all that is in a folder is on the disk."""
    for path in (*folder.rglob("*"), folder):
        if path.is_dir() or path.is_file():
            flush_one(path)


def flush_one(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
