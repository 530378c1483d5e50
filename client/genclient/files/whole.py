"""Files that appear whole under their name or not at all: written beside their place and renamed. No formats here.

A file that is being written has a name that nobody else has, and its writer holds a lock on it; so what a killed
process left is distinguished from what another one, in another container or on another machine, is still writing.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from genclient.errors import ClientError
from genclient.files import locks

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_TEMPORARY = re.compile(r"\.genclient-(?:([0-9a-f]{8})-)?[0-9a-f-]+\.tmp")
_ABANDONED_SECONDS = 86400
_swept: set[str] = set()


class NewFile:
    """A file that is being written; `keep` gives it its name, `discard` leaves nothing of it.

    Attributes:
        path: its name to be.
        temporary: where it is until then.
        file: takes its content, buffered. Once a write has failed, all that follow fail, and so does `keep`.
    """

    def __init__(self, path: Path) -> None:
        """Make the parent folders and begin.

        Raises:
            ClientError: the folder or the file cannot be written; so for all methods.
        """
        self.path = path
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            _sweep_once(path.parent)
            self.temporary, self._raw = _create(path.parent)
        self.file: IO[bytes] = io.BufferedWriter(self._raw, 2**16)

    def write(self, content: bytes | memoryview) -> None:
        """Add to it."""
        with writing(self.path):
            self.file.write(content)

    def keep(self, *, flush: bool = True) -> None:
        """Give it its name, in place of what has that name.

        Args:
            flush: wait until it is on the disk; for what nobody checks later.
        """
        with writing(self.path):
            self._end(flush)
            self.temporary.replace(self.path)
            self.file.close()

    def keep_new(self) -> bool:
        """Give it its name, unless something has it; whether it has it now."""
        with writing(self.path):
            self._end(flush=True)
            return _linked(self.temporary, self.path)

    def discard(self) -> None:
        """Remove it, unless it was kept."""
        with contextlib.suppress(OSError):  # a full disk refuses to write the rest, which nobody wants any more
            self.file.close()
        with contextlib.suppress(OSError):
            self.temporary.unlink(missing_ok=True)

    def _end(self, flush: bool) -> None:
        """All that may fail; the lock stays until the file has its name."""
        self.file.flush()
        if flush:
            os.fsync(self._raw.fileno())
        os.close(os.dup(self._raw.fileno()))  # a network's disk says only when a file is closed that it is full
        if os.name == "nt":  # an open file keeps its name
            self.file.close()


class _Unbroken(io.FileIO):
    """A file that ends at the first write that fails: a later one would leave a hole before it."""

    _failure: OSError | None = None

    def write(self, content: ReadableBuffer, /) -> int:
        if self._failure is not None:
            raise self._failure
        try:
            return super().write(content)
        except OSError as error:
            self._failure = error
            raise


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[NewFile]:
    """A file that is kept when the block ends, and not if anything interrupts it."""
    file = NewFile(path)
    try:
        yield file
        file.keep()
    finally:
        file.discard()


def save_bytes(path: Path, content: bytes, *, flush: bool = True) -> None:
    """Write a file; `flush`: see `NewFile.keep`.

    Raises:
        ClientError: the folder or the file cannot be written.
    """
    file = NewFile(path)
    try:
        file.write(content)
        file.keep(flush=flush)
    finally:
        file.discard()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Errors of the system as ClientError."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise ClientError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None


def _create(folder: Path) -> tuple[Path, _Unbroken]:
    """A new file in a folder, with the lock on it."""
    while True:
        path = folder / f".genclient-{locks.kernel()}-{secrets.token_hex(8)}.tmp"
        raw = _Unbroken(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_CLOEXEC", 0), 0o666), "wb")
        locks.take(raw.fileno(), wait=True)
        with contextlib.suppress(FileNotFoundError):  # swept away before the lock was there
            if os.path.samestat(os.fstat(raw.fileno()), os.stat(path)):
                return path, raw
        raw.close()


def _linked(source: Path, target: Path) -> bool:
    """Give a file its name; False where something has it."""
    try:
        os.link(source, target)
    except FileExistsError:
        return False
    except OSError:  # a file system without links: the name is taken first, and then filled
        try:
            os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        except FileExistsError:
            return False
        source.replace(target)
    return True


def _sweep_once(folder: Path) -> None:
    """Remove what ended processes left unfinished in a folder; only once, as a folder may have a million files."""
    name = os.path.abspath(folder)
    if name in _swept:
        return
    _swept.add(name)
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if match := _TEMPORARY.fullmatch(entry.name):
                with contextlib.suppress(OSError):
                    _remove_if_left(entry.path, match[1])


def _remove_if_left(path: str, kernel: str | None) -> None:
    """Remove a temporary file that nobody has a lock on; another machine's, whose locks may not show, after a day."""
    with open(path, "rb") as file:
        held = locks.take(file.fileno())
        if held is False:
            return
        age = time.time() - os.fstat(file.fileno()).st_mtime
        if (held and kernel == locks.kernel()) or age > _ABANDONED_SECONDS:
            os.unlink(path)
