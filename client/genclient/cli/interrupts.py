"""Ctrl-C while the command has nothing to clean up: before it runs, and once it is done, it ends the process at once.

The first import of cli.py, so that the other imports are covered. Whoever has Ctrl-C ignored keeps that.
"""

from __future__ import annotations

import os
import signal


def leave_at_once() -> None:
    """Have Ctrl-C end the process with 130 and without a word."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)


def raise_again() -> None:
    """Have Ctrl-C raise KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(number: int, frame: object) -> None:
    os._exit(130)


leave_at_once()
