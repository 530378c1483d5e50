"""Long requests leave the cores to short ones for as long as they have had them, where there are any."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

LOOK_SECONDS = 0.1  # between two looks whether short requests still come
MOST_SECONDS = 2.0


class Turns:
    """The turns of long requests and of short ones."""

    def __init__(self, others: Callable[[], int]) -> None:
        """`others` tells how many short requests have begun so far."""
        self._others = others
        self._until = 0.0

    @contextlib.contextmanager
    def long(self) -> Iterator[None]:
        """Wait for the turn of a long request, and take it."""
        seen = -1
        while time.monotonic() < self._until and seen != self._others():
            seen = self._others()
            time.sleep(LOOK_SECONDS)
        started, before = time.monotonic(), self._others()
        try:
            yield
        finally:
            if self._others() != before:
                now = time.monotonic()
                self._until = now + min(now - started, MOST_SECONDS)
