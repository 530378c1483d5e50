"""`fit` for several devices, with Keras' callbacks.

Keras' own runs on one device here: in a cluster it fails (Keras issue 20585; with 3.15 a PerReplica is taken for a
tensor), and on two devices its loop over several steps in one graph does (TensorFlow 2.21 on CPUs).
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from gentrain.training.gan import GAN


class Loop:
    """Trains a GAN that was made in the scope of `strategy`."""

    def __init__(self, gan: GAN, strategy: tf.distribute.Strategy) -> None:
        self.gan = gan

        @tf.function  # type: ignore[untyped-decorator]
        def step(iterator: Any) -> dict[str, tf.Tensor]:
            results = strategy.run(gan.train_step, args=(next(iterator),))
            return {name: strategy.reduce("MEAN", value, axis=None) for name, value in results.items()}

        self.step = step

    def fit(self, batches: Any, epochs: int, steps_per_epoch: int, callbacks: list[Any], **_: Any) -> None:
        """As `keras.Model.fit`; callbacks are called for each epoch, and once every `steps_per_execution` batches."""
        gan, iterator = self.gan, iter(batches)
        steps_per_execution = gan.steps_per_execution
        callback_list = keras.callbacks.CallbackList(callbacks, add_history=False, model=gan)
        gan.stop_training = False
        callback_list.on_train_begin()
        for epoch in range(epochs):
            gan.reset_metrics()
            callback_list.on_epoch_begin(epoch)
            results: dict[str, Any] = {}
            for first in range(0, steps_per_epoch, steps_per_execution):
                for _step in range(min(steps_per_execution, steps_per_epoch - first)):
                    results = self.step(iterator)
                logs = {name: float(value) for name, value in results.items()}
                callback_list.on_train_batch_end(first + steps_per_execution - 1, logs)
                if gan.stop_training:
                    break
            callback_list.on_epoch_end(epoch, {name: float(value) for name, value in results.items()})
            if gan.stop_training:
                break
        callback_list.on_train_end()
