"""A contrast of patches: what a translated picture has at a place is to be distinguished, by the generator's own
features, from what the input has elsewhere. It keeps the content where nobody has the right answer.

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
        loss = self._contrast(seen.inputs["image"], seen.fake, seen.uniform)
        if self.identity:
            made = tf.cast(self.generator([seen.real], training=False), tf.float32)
            loss += self.identity * self._contrast(seen.real, made, seen.uniform)
        return loss / (1.0 + self.identity)

    def _contrast(self, given: tf.Tensor, made: tf.Tensor, uniform: Callable[[int, int], tf.Tensor]) -> tf.Tensor:
        """The mean over pictures, maps and places; no gradient goes through what was given, which saves its cost."""
        chosen = self._places(made.shape[0], uniform)
        keys, queries = self._vectors(given, chosen), self._vectors(made, chosen)
        losses = []
        for key, query in zip(keys, queries, strict=True):
            logits = tf.matmul(query, tf.stop_gradient(key), transpose_b=True) / TEMPERATURE
            right = tf.broadcast_to(tf.range(logits.shape[1]), logits.shape[:2])
            losses.append(tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(right, logits)))
        return tf.add_n(losses) / len(losses)

    def _places(self, count: int, uniform: Callable[[int, int], tf.Tensor]) -> list[tf.Tensor]:
        """Of each of the encoder's maps, int32 (N, up to 64)."""
        sizes = [height * width for _, height, width, _ in self.encoder.output_shape]
        return [places(size, lambda values: uniform(values, count)) for size in sizes]

    def _vectors(self, pictures: tf.Tensor, chosen: list[tf.Tensor]) -> list[tf.Tensor]:
        """Of each map at these places, float32 (N, up to 64, 64), of length 1."""
        vectors = []
        for features, where in zip(self.encoder([pictures], training=False), chosen, strict=True):
            _, height, width, channels = features.shape
            flat = tf.reshape(features, (-1, height * width, channels))
            vectors.append(tf.gather(flat, where, batch_dims=1))
        return [tf.cast(unit, tf.float32) for unit in self.network(vectors)]


def places(there: int, uniform: Callable[[int], tf.Tensor]) -> tf.Tensor:
    """Which of so many places are compared, int32 (N, up to 64): one of each of as many equal parts, so none twice.

    Where the parts begin is drawn too, since they need not cover all places.
    """
    taken = min(PLACES, there)
    each = there // taken
    within, start = tf.split(uniform(taken + 1), (taken, 1), axis=1)
    chosen = tf.range(taken) * each + tf.cast(within * each, tf.int32)
    return (chosen + tf.cast(start * there, tf.int32)) % there
