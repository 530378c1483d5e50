"""Returns freed memory to the operating system, where the C library supports it (glibc)."""

from __future__ import annotations

import ctypes
import functools
import os
import time
from collections.abc import Callable
from pathlib import Path

GROWTH_BYTES = 32 * 2**20
LOOK_SECONDS = 5.0


class Keeper:
    """Gives back what was only needed for a while."""

    def __init__(self) -> None:
        """Take what there is now as what is needed."""
        self._needed = resident_bytes()
        self._looked = time.monotonic()

    def look(self) -> None:
        """Give memory back where there is much more than at any time since that was last done."""
        if time.monotonic() < self._looked + LOOK_SECONDS:
            return
        if resident_bytes() > self._needed + GROWTH_BYTES:
            give_back_memory()
            self._needed = resident_bytes()
        self._needed = min(self._needed, resident_bytes())
        self._looked = time.monotonic()


def give_back_memory() -> None:
    """Give back what is free; takes some milliseconds, in which other threads go on."""
    _trim()(0)


def resident_bytes() -> int:
    """Bytes of this process in memory; 0 where there is no /proc."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


@functools.cache
def _trim() -> Callable[[int], object]:
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library
        return lambda kept: None
