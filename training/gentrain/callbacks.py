"""What happens now and then during `fit`: the log, sheets of samples, checkpoints, the clock, a polite stop.

A Keras epoch is one tick here. None of this changes what is learned, but for `Clock`, which says where schedules end.
"""

from __future__ import annotations

import json
import math
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from gentrain import checkpoints, sheets
from gentrain.checkpoints import Progress
from gentrain.errors import TrainError
from gentrain.files import replacing
from gentrain.latents import latents_of_seeds

Show = Callable[[Progress, int, dict[str, float]], None]
"""Called with how far the run is, its total of images, and the latest losses and `images_per_second`."""

SAMPLES = 64


class Meter(keras.callbacks.Callback):
    """Counts images and seconds, and shows them. First in the list: others ask it how far the run is."""

    def __init__(self, before: Progress, show: Show) -> None:
        super().__init__()
        self.before, self.show = before, show
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
        self.show(now, int(self.model.images_total.numpy()), losses | {"images_per_second": self.images_per_second})


class Guard(keras.callbacks.Callback):
    """Stops a run whose losses are no longer numbers, and names the last good checkpoint."""

    def __init__(self, run: Path) -> None:
        super().__init__()
        self.run = run

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        bad = [name for name, value in (logs or {}).items() if not math.isfinite(float(value))]
        if bad:
            last = checkpoints.latest(self.run)
            advice = f"the last good checkpoint is {last}" if last else "there is no checkpoint yet"
            raise TrainError(f"{', '.join(bad)} no longer finite: try a lower learning_rate; {advice}")


class Clock(keras.callbacks.Callback):
    """Ends the run after so many minutes, and keeps the schedules' end where the run will be by then."""

    def __init__(self, meter: Meter, minutes: float) -> None:
        super().__init__()
        self.meter, self.seconds = meter, minutes * 60

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = self.meter.progress
        left = self.seconds - now.seconds
        total = now.images_seen + round(max(left, 0.0) * self.meter.images_per_second)
        self.model.images_total.assign(max(total, 1))
        if left <= 0:
            self.model.stop_training = True


class Log(keras.callbacks.Callback):
    """One line a tick: log.jsonl, and the same numbers for TensorBoard under events/ (its steps are images)."""

    def __init__(self, run: Path, meter: Meter) -> None:
        super().__init__()
        self.path, self.meter = run / "log.jsonl", meter
        self.events = tf.summary.create_file_writer(str(run / "events"))
        _drop_lines_after(self.path, meter.before.images_seen)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        now = self.meter.progress
        line = {
            "kimg": now.images_seen / 1000,
            "seconds": now.seconds,
            "images_per_second": round(self.meter.images_per_second, 1),
            "learning_rate": float(self.model.g_optimizer.learning_rate.numpy()),
            **{name: float(value) for name, value in (logs or {}).items()},
        }
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise TrainError(f"{self.path}: cannot be written: {error.strerror}") from error
        with self.events.as_default(step=now.images_seen):
            for name, value in line.items():
                tf.summary.scalar(name, value)
        self.events.flush()


class Keeper(keras.callbacks.Callback):
    """Every so many kimg: a checkpoint, the two networks as .keras files, and a sheet of always the same latents."""

    def __init__(self, run: Path, meter: Meter, kimg: float) -> None:
        super().__init__()
        self.run, self.meter, self.images = run, meter, max(1, round(kimg * 1000))
        self.kept_at = meter.before.images_seen

    def on_train_begin(self, logs: Any = None) -> None:
        if self.kept_at == 0:
            self.draw_samples(0)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        seen = self.meter.progress.images_seen
        if seen // self.images > self.kept_at // self.images:
            self.keep()

    def keep(self) -> None:
        """Keep the state as it is now, unless it has been kept already."""
        now = self.meter.progress
        if now.images_seen == self.kept_at:
            return
        # The checkpoint comes last: once it says that a run is finished, the rest is there.
        self.model.critic.set_weights(self.model.discriminator.get_weights())
        for name, network in (("generator", self.model.averaged), ("discriminator", self.model.critic)):
            with replacing(self.run / f"{name}.keras") as temporary:
                network.save(temporary)
        self.draw_samples(now.images_seen)
        checkpoints.save(self.run, self.model, now)
        self.kept_at = now.images_seen

    def draw_samples(self, images_seen: int) -> None:
        """Write samples/NNNNNNkimg.png: seeds 0 to 63, the images that `genclient sample --n 64` will fetch."""
        latents = latents_of_seeds(range(SAMPLES), self.model.settings.latent_size)
        images = np.asarray(self.model.averaged(latents, training=False))
        path = self.run / "samples" / f"{images_seen // 1000:06d}kimg.png"
        sheets.save_png(sheets.sheet(sheets.to_pixels(images), columns=8), path)


class PoliteStop(keras.callbacks.Callback):
    """Ctrl-C or SIGTERM ends the run after the steps under way, to be kept; a second one ends it at once."""

    def __init__(self) -> None:
        super().__init__()
        self.signal: int | None = None
        self.handlers: dict[int, Any] = {}

    def on_train_begin(self, logs: Any = None) -> None:
        if threading.current_thread() is threading.main_thread() and not self.handlers:
            self.handlers = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.signal is not None:
            self.model.stop_training = True

    def release(self) -> None:
        """Give the signals back to whoever had them before."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self.release()


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
