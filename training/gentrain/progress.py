"""What a person sees while it trains: a bar on a terminal, a line now and then in a log. All of it on stderr."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset
    from gentrain.plan import Plan
    from gentrain.training.checkpoints import Progress

SECONDS_BETWEEN_LINES = 15.0


def tell(text: str) -> None:
    """One line for the user, beside the results on stdout."""
    click.echo(text, err=True)


def duration(seconds: float) -> str:
    """75 → `1:15`, 4000 → `1:06:40`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def summary(dataset: Dataset) -> str:
    """One line on a data set, one on what was understood, one for files skipped, and one for each note and warning."""
    count, height, width, channels = dataset.images.shape
    lines = [f"{dataset.source}: {count} images, {width}×{height}, {'grey' if channels == 1 else 'colour'}"]
    if dataset.class_names:
        lines[0] += f", {len(dataset.class_names)} classes"
    lines.append(f"  {dataset.understood}")
    if dataset.skipped:
        lines.append(
            f"  {len(dataset.skipped)} files skipped, for one {dataset.skipped[0].file}: {dataset.skipped[0].reason}"
        )
    return "\n".join(lines + [f"  {note}" for note in (*dataset.notes, *dataset.warnings)])


class ProgressLine:
    """`with ProgressLine(plan) as line: fit(…, line.show)`."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.terminal = sys.stderr.isatty()
        self.bar: Any = None
        self.text = ""
        self.last_line = time.monotonic()

    def __enter__(self) -> ProgressLine:
        tell("building the networks and compiling the first step …")
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.render_finish()

    def show(self, now: Progress, images_total: int, values: dict[str, float]) -> None:
        """Called every few steps; see `gentrain.training.callbacks.Show`."""
        rate = values["images_per_second"]
        left = (images_total - now.images_seen) / max(rate, 1e-9)
        self.text = f"{rate:.0f} images/s · D {values['d_loss']:.3f} · G {values['g_loss']:.3f}"
        if self.terminal:
            self._draw_bar(now.images_seen, images_total)
        elif time.monotonic() - self.last_line >= SECONDS_BETWEEN_LINES:
            self.last_line = time.monotonic()
            kimg = f"{now.images_seen / 1000:.1f} of {images_total / 1000:.1f} kimg"
            tell(f"{kimg} · {self.text} · {duration(max(left, 0))} left")

    def note(self, text: str) -> None:
        """A line that stays, above the bar."""
        tell(f"\r\033[K{text}" if self.bar is not None else text)

    def _draw_bar(self, images_seen: int, images_total: int) -> None:
        if self.bar is None:
            self.bar = click.progressbar(
                length=images_total, file=sys.stderr, width=24, item_show_func=lambda _: self.text, show_pos=False
            )
            self.bar.render_progress()
        self.bar.length = max(images_total, images_seen)
        self.bar.update(images_seen - self.bar.pos)
