"""Files that appear whole under their name or not at all: written beside their place and renamed. No formats here."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from genclient.errors import ClientError

_TEMPORARY = re.compile(r"\.genclient-(\d+)-\d+\.tmp")
_numbers = itertools.count()


class NewFile:
    """A file that is being written; `keep` gives it its name, `discard` leaves nothing of it."""

    def __init__(self, path: Path) -> None:
        """Make the parent folders and begin.

        Raises:
            ClientError: the folder or the file cannot be written; so for all methods.
        """
        self.path = path
        # Two processes, or two threads, may write to one folder.
        self.temporary = path.with_name(f".genclient-{os.getpid()}-{next(_numbers)}.tmp")
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self.file: IO[bytes] = self.temporary.open("wb")

    def write(self, content: bytes | memoryview) -> None:
        """Add to it."""
        with writing(self.path):
            self.file.write(content)

    def keep(self) -> None:
        """Close it and give it its name, in place of what has that name."""
        with writing(self.path):
            self.file.close()
            self.temporary.replace(self.path)

    def discard(self) -> None:
        """Remove it, unless it was kept."""
        with contextlib.suppress(OSError):  # a full disk refuses to write the rest, which nobody wants any more
            self.file.close()
        with contextlib.suppress(OSError):
            self.temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[NewFile]:
    """A file that is kept when the block ends, and not if anything interrupts it."""
    file = NewFile(path)
    try:
        yield file
        file.keep()
    finally:
        file.discard()


def save_bytes(path: Path, content: bytes) -> None:
    """Write a file.

    Raises:
        ClientError: the folder or the file cannot be written.
    """
    with new_file(path) as file:
        file.write(content)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Errors of the system as ClientError."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise ClientError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None


def sweep(folder: Path) -> None:
    """Remove what killed processes left unfinished in a folder."""
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            match = _TEMPORARY.fullmatch(entry.name)
            if match and not _runs(int(match[1])):
                os.unlink(entry.path)


def _runs(process: int) -> bool:
    if os.name != "posix":  # elsewhere the question would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
