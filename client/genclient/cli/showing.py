"""Draws what a run made in the terminal: a grid of images, or clips, which play where the terminal is one."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from genclient.cli.console import emit

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_SHOWN = 64
"""Images that are drawn."""

PLAYED, SECONDS = 3, 6.0
"""How often clips are played, and how long at most, but for the first time."""


def draw(shown: list[NDArray[np.uint8]], columns: int | None, *, on_stdout: bool, fps: float) -> None:
    """Draw the first images (N, H, W, C) or clips (N, T, H, W, C) of a run, so many in a row.

    What is no terminal, and one that is too small, gets the first frame of clips.
    """
    import numpy as np

    from genclient.images.grid import grid
    from genclient.images.terminal import played, render

    file = sys.stdout if on_stdout else sys.stderr
    if file is None:
        return
    write = emit if on_stdout else _to_stderr
    images, size, terminal = np.concatenate(shown)[:MOST_SHOWN], shutil.get_terminal_size(), file.isatty()
    if images.ndim == 5:
        frames = np.stack([grid(images[:, frame], columns) for frame in range(images.shape[1])])
        if terminal and (drawn := played(frames, size.columns, size.lines)):
            _play(drawn, write, fps)
            return
        images = images[:, 0]
    write(render(grid(images, columns), size.columns, os.environ if terminal else None))


def _play(drawn: list[str], write: Callable[[str], None], fps: float) -> None:
    """Write what draws each frame over the one before, again and again."""
    first, *others = drawn
    times = max(1, min(PLAYED, round(SECONDS * fps / len(others))))
    write(first)
    for text in others * times:
        time.sleep(1 / fps)
        write(text)


def _to_stderr(text: str) -> None:
    click.echo(text, err=True, nl=False)
