"""What a person sees of long work, all of it on stderr: trainings, images that are decoded, generators measured."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset
    from gentrain.training.checkpoints import Progress

SECONDS_BETWEEN_LINES = 15.0
Itself = TypeVar("Itself", bound="Reporter")


def echo(text: str) -> None:
    """One line for the user, beside the results on stdout."""
    click.echo(text, err=True)


def duration(seconds: float) -> str:
    """Minutes and seconds, and hours where there are any.

    >>> duration(75), duration(4000)
    ('1:15', '1:06:40')
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def summary(dataset: Dataset) -> str:
    """One line on a data set, one on what was understood, one for files skipped, and one for each note and warning."""
    if dataset.inputs is not None:
        return f"{summary(dataset.inputs)}\n{summary(replace(dataset, inputs=None))}"
    height, width, channels = dataset.picture_shape
    things = f"{len(dataset.images)} {dataset.things}" + (f" of {dataset.frames} frames" if dataset.frames else "")
    lines = [f"{dataset.source}: {things}, {width}×{height}, {'grey' if channels == 1 else 'colour'}"]
    if dataset.class_names:
        lines[0] += f", {len(dataset.class_names)} classes"
    lines.append(f"  {dataset.understood}")
    if dataset.skipped:
        lines.append(
            f"  {len(dataset.skipped)} files skipped, for one {dataset.skipped[0].file}: {dataset.skipped[0].reason}"
        )
    return "\n".join(lines + [f"  {note}" for note in (*dataset.notes, *dataset.warnings)])


class Reporter:
    """How far something long is: a bar on a terminal, a line now and then in a log. A context, since a bar must end."""

    def __init__(self, label: str = "", seconds_without_bar: float = 0.0, show_count: bool = False) -> None:
        self.label, self.seconds_without_bar, self.show_count = label, seconds_without_bar, show_count
        self.terminal = sys.stderr.isatty()
        self.bar: Any = None
        self.beside = ""
        self.start = self.last_line = time.monotonic()

    def __enter__(self: Itself) -> Itself:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.render_finish()

    def at(self, done: int, total: int | None, line: str, beside: str = "") -> None:
        """So many are done, of so many where that is known; `line` is for a log, `beside` stands next to the bar."""
        now, self.beside = time.monotonic(), beside
        if self.terminal and total:
            if self.bar is not None or now - self.start >= self.seconds_without_bar:
                self._draw_bar(done, total)
        elif now - self.last_line >= SECONDS_BETWEEN_LINES:
            self.last_line = now
            echo(line)

    def note(self, text: str) -> None:
        """A line that stays, above the bar."""
        echo(f"\r\033[K{text}" if self.bar is not None else text)

    def _draw_bar(self, done: int, total: int) -> None:
        if self.bar is None:
            self.bar = click.progressbar(
                length=total,
                file=sys.stderr,
                width=24,
                label=self.label,
                item_show_func=lambda _: self.beside,
                show_pos=self.show_count,
            )
            self.bar.render_progress()
        self.bar.length = max(total, done)
        self.bar.update(done - self.bar.pos)


class Training(Reporter):
    """`with Training() as line: fit(…, line.show, line.note)`."""

    def __enter__(self: Itself) -> Itself:
        echo("building the networks and compiling the first step …")
        return self

    def show(self, now: Progress, images_total: int, values: dict[str, float]) -> None:
        """Called every few steps; see `gentrain.training.callbacks.Show`."""
        rate = values["images_per_second"]
        left = (images_total - now.images_seen) / max(rate, 1e-9)
        losses_shown = {"d_loss": "D", "g_loss": "G", "g_l1": "L1"}
        losses = " · ".join(f"{name} {values[key]:.3f}" for key, name in losses_shown.items() if key in values)
        losses = f"{rate:.0f} images/s · {losses}"
        kimg = f"{now.images_seen / 1000:.1f} of {images_total / 1000:.1f} kimg"
        self.at(now.images_seen, images_total, f"{kimg} · {losses} · {duration(max(left, 0))} left", losses)


class Decoding(Reporter):
    """`with Decoding() as decoding: sources.read(…, decoding.show)`; a bar that would be gone at once is not drawn."""

    def __init__(self) -> None:
        super().__init__("decoding", seconds_without_bar=1.0, show_count=True)

    def show(self, done: int, total: int | None) -> None:
        """See `gentrain.data.dataset.Show`."""
        rate = done / max(time.monotonic() - self.start, 1e-9)
        self.at(done, total, f"decoding: {done}{f' of {total}' if total else ''} images, {rate:.0f} a second")


class Measuring(Reporter):
    """Says how long it will take as soon as that is known: after the first batch, which takes the time to compile."""

    def __init__(self, total: int) -> None:
        super().__init__("measuring")
        self.total, self.done, self.before = total, 0, 0

    def show(self, images: int) -> None:
        """Called after every batch of images; see `gentrain.metrics.features.Show`."""
        self.done += images
        if not self.before:
            self.before, self.start = self.done, time.monotonic()
            self.last_line = -SECONDS_BETWEEN_LINES  # the next one is printed
            return
        rate = (self.done - self.before) / max(time.monotonic() - self.start, 1e-9)
        left = duration(max((self.total - self.done) / rate, 1.0))
        self.at(self.done, self.total, f"measuring: about {left} to go")
