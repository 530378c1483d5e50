"""Locks on open files, which go with the process: by flock, or by what Windows has in its place.

Some file systems cannot lock (a few network and FUSE mounts). There work goes on without, after one warning.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from typing import IO, Any

CANNOT = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}

told: set[str] = set()
"""The reasons that this process has warned of: one line is enough for all its files."""


def lock(file: IO[Any], wait: bool, note: Callable[[str], None]) -> None:
    """Lock an open file until it is closed; where the file system cannot, tell it through `note`, once a process.

    Raises:
        BlockingIOError: another process has it, and `wait` is False.
        OSError: any other failure.
    """
    try:
        _lock(file, wait)
    except OSError as error:
        if error.errno not in CANNOT:
            raise
        reason = str(error.strerror)
        if reason not in told:
            told.add(reason)
            note(
                f"warning: {file.name}: this file system cannot lock files ({reason}); going on without, "
                "so keep a second process out yourself"
            )


if sys.platform == "win32":
    import msvcrt

    def _lock(file: IO[Any], wait: bool) -> None:
        file.seek(0)
        while True:
            try:
                return msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            except OSError as error:  # LK_LOCK gives up after ten seconds
                if error.errno not in (errno.EACCES, errno.EDEADLK):
                    raise
                if not wait:
                    raise BlockingIOError(error.errno, error.strerror) from None

else:
    try:
        import fcntl
    except ImportError:
        fcntl = None  # type: ignore[assignment]

    def _lock(file: IO[Any], wait: bool) -> None:
        if fcntl is None:
            raise OSError(errno.ENOSYS, "Python has no fcntl here")
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
