"""Losses of pictures from words: a picture with another one's caption is a fake, a caption's seeds are to differ."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from gentrain.losses.auxiliary import Auxiliary, Seen

APART = 0.1
"""The mean distance of a caption's pictures, for each unit between their latents, beyond which nothing is gained.

About half of what two artists' drawings of the same emoji have.
"""

COARSE = 8
"""Pictures are compared at this side: at their own, stripes and speckles are the cheapest way to differ."""


class Mismatch(Auxiliary):
    """A picture is to fit its caption better than those of all others in the batch.

    Of real ones the discriminator learns to say so, and of its own the generator.

    The difference of two logits of a picture is that of two products, since only these have to do with captions.

    Sources: "Generative Adversarial Text to Image Synthesis", arXiv 1605.05396; the contrast with a whole batch is that
    of "Cross-Modal Contrastive Learning for Text-to-Image Generation", arXiv 2101.04702.
    """

    name = "mismatch"

    def of_discriminator(self, seen: Seen) -> tf.Tensor:
        """The mean cross-entropy of finding the right caption, in nats."""
        return contrast(seen.factors, seen.inputs["tokens"])

    def of_generator(self, seen: Seen) -> tf.Tensor | None:
        """The same, of the generator's pictures; nothing where no discriminator compares them."""
        return contrast(seen.factors, seen.inputs["tokens"]) if seen.factors else None


def contrast(factors: Sequence[tf.Tensor], tokens: tf.Tensor) -> tf.Tensor:
    """How well pictures are told by captions, in nats.

    Args:
        factors: features of the pictures, float32 (N, F), and those that their captions ask for.
        tokens: the captions, int32 (N, L).

    Returns:
        The mean over pictures of −log of the part that its own caption has in all, by the products' exponentials. A
        caption whose words are all among the picture's own is no wrong one, and left out.
    """
    fits = tf.matmul(*factors, transpose_b=True)
    among = tf.reduce_any(tokens[:, None, :, None] == tokens[None, :, None, :], axis=2)
    within = tf.reduce_all(among | (tokens == 0)[None], axis=2)
    right = tf.eye(tokens.shape[0], dtype=tf.bool)
    fits = tf.where(within & ~right, -1e9, fits)
    return -tf.reduce_mean(tf.linalg.diag_part(tf.nn.log_softmax(fits)))


class Likeness(Auxiliary):
    """A picture is to have the colours, where they are, of the real one whose caption it was made from."""

    name = "likeness"

    def of_generator(self, seen: Seen) -> tf.Tensor:
        """The mean square of the difference at 8×8."""
        return tf.reduce_mean(tf.square(coarse(seen.fake - seen.real)))


class Diversity(Auxiliary):
    """Pictures of one caption are to differ where their latents do, up to a bound; it grows over the first half.

    From the start it would teach the generator to listen to its latents alone.

    Source: "Diversity-Sensitive Conditional Generative Adversarial Networks", arXiv 1901.09024.
    """

    name = "diversity"

    def __init__(self, weight: float, generator: Any) -> None:
        super().__init__(weight)
        self.generator = generator

    def weight_at(self, progress: tf.Tensor) -> Any:
        return self.weight * tf.minimum(2.0 * progress, 1.0)

    def of_generator(self, seen: Seen) -> tf.Tensor:
        """Mean of what |x − x'| / |z − z'| lacks to the bound, for a quarter of the batch with other latents z'."""
        assert seen.latents is not None
        count, size = max(1, seen.latents.shape[0] // 4), seen.latents.shape[1]
        first, other = seen.latents[:count], normal(seen.uniform(2 * size, count))
        again = self.generator([other, *(tensor[:count] for tensor in seen.inputs.values())], training=True)
        images = tf.reduce_mean(tf.abs(coarse(seen.fake[:count] - again)), axis=[1, 2, 3])
        latents = tf.reduce_mean(tf.abs(first - other), axis=1)
        return tf.reduce_mean(tf.nn.relu(APART - images / tf.maximum(latents, 1e-3)))


def coarse(images: tf.Tensor) -> tf.Tensor:
    """(N, H, W, C) → its means over cells, about (N, 8, 8, C); smaller images as they are."""
    cell = max(1, min(images.shape[1:3]) // COARSE)
    return tf.nn.avg_pool2d(images, cell, cell, "VALID")


def normal(drawn: tf.Tensor) -> tf.Tensor:
    """Float32 (N, 2 Z) in [0, 1) → N(0, 1) (N, Z): Box–Muller."""
    length, angle = tf.split(drawn, 2, axis=1)
    return tf.sqrt(-2.0 * tf.math.log(1.0 - length)) * tf.cos(2.0 * 3.141592653589793 * angle)
