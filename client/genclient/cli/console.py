"""What the command says: results on stdout, notes and progress on stderr, in the style that `--format` names.

Only commands use it. Results are written unbuffered, so that an error is reported where it happens and not when Python
ends; progress is for terminals alone.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import click

from genclient.errors import ClientError, one_line

STYLES = ("human", "json", "quiet")

_CLEAR = "\r\x1b[K"


@dataclass(frozen=True)
class Console:
    """How to say things: `human` for people, `json` for programs, `quiet` for scripts (bare values, no notes)."""

    style: str = "human"

    def result(self, human: str, data: Any, quiet: str) -> None:
        """Write a result in the style that was requested; each text brings its own line ends.

        Raises:
            ClientError: stdout takes nothing.
        """
        if self.style == "json":
            emit(json.dumps(data, indent=2, allow_nan=False) + "\n")
        else:
            emit(human if self.style == "human" else quiet)

    def note(self, text: str) -> None:
        """A line on stderr about how something was done; none with `quiet`."""
        if self.style != "quiet":
            print_note(text)

    def waiting(self, why: str, seconds: float) -> None:
        """The same about a server that is not ready, with the seconds left; gone when there is nothing to say."""
        if self.style == "quiet" or not _has_terminal():
            return
        text = f"{math.ceil(seconds)} s left: {one_line(why)}" if why else ""
        click.echo(_CLEAR + text[: shutil.get_terminal_size().columns - 1], nl=False, err=True)

    @contextlib.contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """A line on stderr that says how far things are, gone at the end; none with `quiet` or without a terminal."""
        if self.style == "quiet" or not _has_terminal():
            yield lambda text: None
            return
        try:
            yield lambda text: click.echo(_CLEAR + text, nl=False, err=True)
        finally:
            click.echo(_CLEAR, nl=False, err=True)

    @contextlib.contextmanager
    def meter(self, total: int, what: str) -> Iterator[Meter]:
        """The same for `total` things, as images, that are done one after another."""
        with self.progress() as show:
            yield Meter(show, total, what)


class Meter:
    """How many of how many things are done, how fast it goes and how long the rest will take, as one line."""

    def __init__(self, show: Callable[[str], None], total: int, what: str) -> None:
        """Take what shows a line, how many things there are and what they are called."""
        self._show, self._total, self._what = show, total, what
        self._began = time.monotonic()
        self.at(0)

    def at(self, done: int) -> None:
        """So many are done."""
        text = f"{done} of {self._total} {self._what}"
        seconds = time.monotonic() - self._began
        if done and seconds > 0:
            rate = done / seconds
            text += f"   {rate:,.{0 if rate >= 10 else 1}f}/s   {duration((self._total - done) / rate)} left"
        self._show(text)

    def hide(self) -> None:
        """Make room for lines on the same terminal."""
        self._show("")


def duration(seconds: float) -> str:
    """`8 s`, `2 min 5 s` or `3 h 10 min`."""
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def emit(content: str | bytes) -> None:
    """Write to stdout.

    Raises:
        ClientError: stdout is closed or takes nothing.
    """
    if sys.stdout is None:
        raise ClientError("cannot write to standard output: it is closed")
    rest = memoryview(content.encode(errors="surrogateescape") if isinstance(content, str) else content)
    try:
        while rest:
            rest = rest[os.write(sys.stdout.fileno(), rest) :]
    except BrokenPipeError:
        sys.exit(141)  # as a program that SIGPIPE ends: the reader has had enough, which is no error to report
    except OSError as error:
        raise ClientError(f"cannot write to standard output: {error.strerror}") from None


def print_note(text: str) -> None:
    """A line on stderr, in place of the progress that may be there."""
    click.echo(f"{_CLEAR if _has_terminal() else ''}genclient: {one_line(text)}", err=True)


def on_terminal() -> bool:
    """Whether results are read by a person."""
    return sys.stdout is not None and sys.stdout.isatty()


def _has_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()
