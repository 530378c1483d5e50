"""Locks on open files, which go with the process: by flock, or by what Windows has in its place.

Some file systems cannot lock (a few network and FUSE mounts). There work goes on without, after one warning.
"""

from __future__ import annotations

import errno
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

CANNOT = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}

reported: set[str] = set()
"""The reasons that this process has warned of: one line is enough for all its files."""


def lock(file: IO[Any], wait: bool, note: Callable[[str], None]) -> None:
    """Lock an open file until it is closed; where the file system cannot, call `note`, once a process.

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
        if reason not in reported:
            reported.add(reason)
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


def hold(folder: Path) -> tuple[int | None, bool | None]:
    """Lock a folder until the descriptor is closed.

    Returns:
        The descriptor, and whether it is held: False where another process holds it, None where folders cannot be
        locked.

    Raises:
        OSError: it cannot be opened.
    """
    if os.name == "nt" or fcntl is None:
        return None, None
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return descriptor, False if isinstance(error, BlockingIOError) else None
    return descriptor, True


@functools.cache
def kernel() -> str:
    """What all containers of a running machine have in common, and no other machine: eight hexadecimal digits."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except (OSError, ValueError):
        return os.urandom(4).hex()  # unknown: equal to nobody's
