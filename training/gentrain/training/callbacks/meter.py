"""Counts images and seconds, and ends a run by the clock."""

from __future__ import annotations

import time
from typing import Any

import keras

from gentrain.training.callbacks import Show
from gentrain.training.checkpoints import Progress
from gentrain.training.devices import Devices


class Meter(keras.callbacks.Callback):
    """Counts images and seconds, and shows them. First in the list: the others read from it how far the run is.

    Args:
        before: earlier sessions of the same run.
        show: called every few steps.
        images: of these few steps; a run ends with whole ones.
    """

    def __init__(self, before: Progress, show: Show, images: int = 1) -> None:
        super().__init__()
        self.before, self.show, self.images = before, show, images
        self.started = self.tick_started = time.perf_counter()
        self.tick_images = before.images_seen
        self.images_per_second = 0.0

    @property
    def progress(self) -> Progress:
        """Now, earlier sessions of the same run included."""
        seconds = self.before.seconds + time.perf_counter() - self.started
        return Progress(int(self.model.images_seen.numpy()), round(seconds, 3))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.tick_started, self.tick_images = time.perf_counter(), int(self.model.images_seen.numpy())

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        now = self.progress
        elapsed = time.perf_counter() - self.tick_started
        self.images_per_second = (now.images_seen - self.tick_images) / max(elapsed, 1e-9)
        losses = {name: float(value) for name, value in (logs or {}).items()}
        total = -(-int(self.model.images_total.numpy()) // self.images) * self.images
        self.show(now, max(total, now.images_seen), losses | {"images_per_second": self.images_per_second})


class Clock(keras.callbacks.Callback):
    """Ends the run after so many minutes, and keeps the schedules' end where the run will be by then."""

    def __init__(self, meter: Meter, minutes: float, devices: Devices) -> None:
        super().__init__()
        self.meter, self.seconds, self.devices = meter, minutes * 60, devices

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = self.meter.progress
        left = self.seconds - now.seconds
        total = now.images_seen + round(max(left, 0.0) * self.meter.images_per_second)
        self.model.images_total.assign(max(total, 1))
        self.devices.take_from_first([self.model.images_total])
        if self.devices.agree(left <= 0 and self.devices.first):
            self.model.stop_training = True
