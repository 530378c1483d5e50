"""What goes wrong in a training: NaN losses end it, a collapse is reported."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras

from gentrain.errors import TrainError
from gentrain.training import checkpoints, initial
from gentrain.training.callbacks import Note

SATURATED = 0.995  # the part of pairs in which the discriminator scores the real image higher
SATURATED_TICKS = 4
EARLY = 0.05  # of the run: until then the discriminator is ahead anyway


class Guard(keras.callbacks.Callback):
    """Stops a run whose losses are no longer finite, and says with which command to start from the last good ones."""

    def __init__(self, run: Path) -> None:
        super().__init__()
        self.run = run

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        bad = [name for name, value in (logs or {}).items() if not math.isfinite(float(value))]
        if bad:
            last = checkpoints.latest(self.run)
            advice = f"the last good checkpoint is {last}" if last else "there is no checkpoint yet"
            raise TrainError(
                f"{', '.join(bad)} no longer finite; {advice}; try a lower learning rate: {initial.retry(self.run)}"
            )


class Watch(keras.callbacks.Callback):
    """Reports a collapse when it begins, and adds it to the tick's line as `warning`."""

    def __init__(self, note: Note) -> None:
        super().__init__()
        self.note = note
        self.saturated = 0
        self.best_coverage = 0.0
        self.reported: set[str] = set()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None
        warnings = [*self._saturation(logs), *self._lost_coverage(logs)]
        if warnings:
            logs["warning"] = "; ".join(warnings)
        for warning in warnings:
            if warning not in self.reported:
                self.note(f"warning: {warning}")
        self.reported = set(warnings)

    def _saturation(self, logs: dict[str, Any]) -> list[str]:
        ahead = logs.get("d_accuracy", 0.0) >= SATURATED and float(self.model.progress()) > EARLY
        self.saturated = self.saturated + 1 if ahead else 0
        if self.saturated < SATURATED_TICKS:
            return []
        return ["the discriminator recognises every fake, so the generator learns little: raise gamma or augment"]

    def _lost_coverage(self, logs: dict[str, Any]) -> list[str]:
        coverage = logs.get("coverage")
        if coverage is None:
            return []
        self.best_coverage = max(self.best_coverage, coverage)
        if coverage >= self.best_coverage / 2:
            return []
        return ["coverage has fallen to less than half of its best: the generator is collapsing; the best is kept"]
