"""The random numbers of a step: all follow from (seed, images seen), so that a step can be repeated after a restart."""

from __future__ import annotations

import tensorflow as tf


class Draws:
    """The random numbers of one step: drawn for the whole batch, of which each device takes its part.

    Args:
        seed: of the run.
        images_seen: int64 scalar; with the seed it decides every number.
        mine: examples of this device.
        replicas: how many devices there are, each with as many examples.
    """

    def __init__(self, seed: int, images_seen: tf.Tensor, mine: int, replicas: int) -> None:
        self.seed, self.images_seen, self.replicas = seed, images_seen, replicas
        self.batch_size = mine * replicas
        self.streams = 0

    def latents(self, size: int, parts: int) -> list[tf.Tensor]:
        """One batch N(0, 1) of float32 (mine, size) for each part of the step."""
        drawn = tf.random.stateless_normal((parts * self.batch_size, size), self._key())
        return [self._mine(part) for part in tf.split(drawn, parts)]

    def uniform(self, values: int, mine: int | None = None) -> tf.Tensor:
        """Float32 (mine, values) in [0, 1); more examples than the batch has where `mine` says so."""
        batch_size = self.batch_size if mine is None else mine * self.replicas
        return self._mine(tf.random.stateless_uniform((batch_size, values), self._key()))

    def _key(self) -> tf.Tensor:
        key = tf.stack([tf.constant(self.seed + 2**31 * self.streams, tf.int64), self.images_seen])
        self.streams += 1
        return key

    def _mine(self, drawn: tf.Tensor) -> tf.Tensor:
        if self.replicas == 1:
            return drawn
        number = tf.distribute.get_replica_context().replica_id_in_sync_group
        mine = drawn.shape[0] // self.replicas
        return drawn[number * mine : (number + 1) * mine]
