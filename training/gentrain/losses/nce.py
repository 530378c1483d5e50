"""A contrast of patches: what a translated picture has at a place is to be told, by the generator's own features, from
what the input has elsewhere. It keeps the content where nobody has the right answer.

Source: "Contrastive Learning for Unpaired Image-to-Image Translation", arXiv 2007.15651. There features are normalised
by each picture's own statistics; here by moving averages, as wherever the generator is used.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from gentrain.losses.auxiliary import Auxiliary, Seen

PLACES = 64
"""Of each map, or all where there are fewer."""

TEMPERATURE = 0.07


class PatchNCE(Auxiliary):
    """The contrast of inputs and what became of them, and of pictures of the style with what is made of these."""

    name = "nce"

    def __init__(self, weight: float, identity: float, generator: Any, encoder: Any, heads: Any) -> None:
        """Take the networks.

        Args:
            weight: of both.
            identity: weight of the contrast of pictures of the style, beside 1 of that of the inputs.
            generator: pictures (N, H, W, C) → images of the same shape.
            encoder: pictures → feature maps, sharing the generator's weights.
            heads: vectors of these maps → vectors of length 1, which learn together with the generator.
        """
        super().__init__(weight)
        self.identity, self.generator, self.encoder, self.network = identity, generator, encoder, heads

    def of_generator(self, seen: Seen) -> tf.Tensor:
        """The mean cross-entropy, in nats, of finding the right one of up to 64 places."""
        given, made = [seen.inputs["image"]], [seen.fake]
        if self.identity:
            given.append(seen.real)
            made.append(tf.cast(self.generator([seen.real], training=False), tf.float32))
        losses = self._contrasts(tf.concat(given, axis=0), tf.concat(made, axis=0), seen.uniform)
        parts = tf.split(losses, len(given))
        loss = tf.reduce_mean(parts[0])
        if self.identity:
            loss = (loss + self.identity * tf.reduce_mean(parts[1])) / (1.0 + self.identity)
        return loss

    def _contrasts(self, given: tf.Tensor, made: tf.Tensor, uniform: Callable[[int, int], tf.Tensor]) -> tf.Tensor:
        """For each picture the mean over the maps, float32 (N,)."""
        count = given.shape[0]
        maps = self.encoder([tf.concat([given, made], axis=0)], training=False)
        vectors = []
        for features in maps:
            _, height, width, channels = features.shape
            chosen = places(height * width, lambda values: uniform(values, count))
            flat = tf.reshape(features, (2 * count, height * width, channels))
            vectors.append(tf.gather(flat, tf.concat([chosen, chosen], axis=0), batch_dims=1))
        losses = []
        for unit in self.network(vectors):
            keys, queries = tf.split(tf.cast(unit, tf.float32), 2)
            logits = tf.matmul(queries, tf.stop_gradient(keys), transpose_b=True) / TEMPERATURE
            right = tf.broadcast_to(tf.range(logits.shape[1]), logits.shape[:2])
            losses.append(tf.nn.sparse_softmax_cross_entropy_with_logits(right, logits))
        return tf.add_n([tf.reduce_mean(loss, axis=1) for loss in losses]) / len(losses)


def places(there: int, uniform: Callable[[int], tf.Tensor]) -> tf.Tensor:
    """Which of so many places are compared, int32 (N, up to 64): one of each of as many equal parts, so none twice.

    Where the parts begin is drawn too, since they need not cover all places.
    """
    taken = min(PLACES, there)
    each = there // taken
    within, start = tf.split(uniform(taken + 1), (taken, 1), axis=1)
    chosen = tf.range(taken) * each + tf.cast(within * each, tf.int32)
    return (chosen + tf.cast(start * there, tf.int32)) % there
