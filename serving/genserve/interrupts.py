"""Makes Ctrl-C end the process at once while there is nothing to clean up: before the command runs and after it ends.

This is the first import of cli.py, so that it covers the other imports. If Ctrl-C is ignored, it stays ignored.
"""

from __future__ import annotations

import os
import signal


def leave_at_once() -> None:
    """Make Ctrl-C exit with 130, silently."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def raise_again() -> None:
    """Make Ctrl-C raise KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(number: int, frame: object) -> None:
    os._exit(130)


leave_at_once()
