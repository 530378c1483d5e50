"""Locks between processes, which end with whoever holds them: however it ends, and in whichever container it runs."""

from __future__ import annotations

import errno
import functools
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_BUSY = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


def take(descriptor: int, *, shared: bool = False, wait: bool = False) -> bool | None:
    """Lock an open file or folder; closing it lets go.

    Returns:
        Whether it is held now, alone or by all who share it; None where files cannot be locked, as on some networks.
    """
    if fcntl is None:
        return None
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except OSError as error:
        return False if error.errno in _BUSY else None
    return True


@functools.cache
def kernel() -> str:
    """What all containers of a running machine have in common, and no other machine: eight hexadecimal digits."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")[:8]
    except (OSError, ValueError):
        return os.urandom(4).hex()  # unknown: equal to nobody's
