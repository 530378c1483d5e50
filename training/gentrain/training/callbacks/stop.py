"""Ctrl-C and SIGTERM end a run after the steps under way."""

from __future__ import annotations

import signal
import threading
from types import FrameType
from typing import Any

import keras

from gentrain.training.devices import Devices


class PoliteStop(keras.callbacks.Callback):
    """Ctrl-C or SIGTERM ends the run after the steps under way, to be kept; a second one ends it at once."""

    def __init__(self, devices: Devices) -> None:
        super().__init__()
        self.devices = devices
        self.signal: int | None = None
        self.handlers: dict[int, Any] = {}

    def on_train_begin(self, logs: Any = None) -> None:
        if threading.current_thread() is threading.main_thread() and not self.handlers:
            self.handlers = {number: signal.signal(number, self._note) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if self.devices.agree(self.signal is not None):
            self.model.stop_training = True

    def release(self) -> None:
        """Give the signals back to whoever had them before."""
        for number, handler in self.handlers.items():
            signal.signal(number, handler)
        self.handlers = {}

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        self.release()
