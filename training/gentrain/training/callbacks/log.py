"""The log of a run: log.jsonl, and the same for TensorBoard."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gentrain.files import disk_errors, replacing
from gentrain.training.callbacks.meter import Meter


class Log(keras.callbacks.Callback):
    """One line a tick: log.jsonl, and the same numbers for TensorBoard under events/ (its steps are images)."""

    def __init__(self, run: Path, meter: Meter) -> None:
        super().__init__()
        self.path, self.meter = run / "log.jsonl", meter
        self.events_path = run / "events"
        with disk_errors(self.events_path):
            self.events = tf.summary.create_file_writer(str(self.events_path))
        _drop_lines_after(self.path, meter.before.images_seen)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        now = self.meter.progress
        line = {
            "kimg": now.images_seen / 1000,
            "seconds": now.seconds,
            "images_per_second": round(self.meter.images_per_second, 1),
            "learning_rate": float(self.model.g_optimizer.learning_rate.numpy()),
            **({"gamma": float(self.model.gamma())} if self.model.penalised else {}),
            **{name: value if isinstance(value, str) else float(value) for name, value in (logs or {}).items()},
        }
        with disk_errors(self.path), self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        with disk_errors(self.events_path), self.events.as_default(step=now.images_seen):
            for name, value in line.items():
                if isinstance(value, str):
                    tf.summary.text(name, value)
                else:
                    tf.summary.scalar(name, value)
            self.events.flush()

    def picture(self, name: str, pixels: np.ndarray[Any, np.dtype[np.uint8]], images_seen: int) -> None:
        """Show uint8 (H, W, C) in TensorBoard."""
        with disk_errors(self.events_path), self.events.as_default(step=images_seen):
            tf.summary.image(name, pixels[None])
            self.events.flush()


def _drop_lines_after(path: Path, images_seen: int) -> None:
    """A run that was killed logged more than its last checkpoint holds; those ticks will be logged again."""
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if _kimg(line) * 1000 <= images_seen + 0.5]
    if len(kept) < len(lines):
        with replacing(path) as temporary:
            temporary.write_text("".join(line + "\n" for line in kept), encoding="utf-8")


def _kimg(line: str) -> float:
    try:
        return float(json.loads(line)["kimg"])
    except (ValueError, KeyError, TypeError):  # the last line of a run that was killed while writing it
        return math.inf
