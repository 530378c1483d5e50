"""What a person sees while images are decoded: a bar on a terminal, a line now and then in a log."""

from __future__ import annotations

import sys
import time
from typing import Any

import click

from gentrain.data.dataset import Dataset, Frame
from gentrain.progress import SECONDS_BETWEEN_LINES, tell

# A bar that would be gone again at once is not drawn.
SECONDS_WITHOUT_BAR = 1.0


def read(source: str, frame: Frame) -> Dataset:
    """`gentrain.sources.read`, and its progress on stderr."""
    from gentrain import sources

    with Decoding() as decoding:
        return sources.read(source, frame, decoding.show)


class Decoding:
    """`with Decoding() as decoding: sources.read(…, decoding.show)`."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()
        self.bar: Any = None
        self.start = self.last_line = time.monotonic()

    def __enter__(self) -> Decoding:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.render_finish()

    def show(self, done: int, total: int | None) -> None:
        """See `gentrain.data.dataset.Show`."""
        now = time.monotonic()
        if self.terminal and total:
            if self.bar is not None or now - self.start > SECONDS_WITHOUT_BAR:
                self._draw_bar(done, total)
        elif now - self.last_line >= SECONDS_BETWEEN_LINES:
            self.last_line = now
            tell(f"decoding: {done}{f' of {total}' if total else ''} images, {done / (now - self.start):.0f} a second")

    def _draw_bar(self, done: int, total: int) -> None:
        if self.bar is None:
            self.bar = click.progressbar(length=total, file=sys.stderr, width=24, label="decoding", show_pos=True)
            self.bar.render_progress()
        self.bar.update(done - self.bar.pos)
