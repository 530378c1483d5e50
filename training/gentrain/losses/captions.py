"""Losses of pictures from words: a picture with another one's caption is a fake, a caption's seeds are to differ."""

from __future__ import annotations

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
    """A real picture is to be scored above the same picture with a caption of another one.

    Source: "Generative Adversarial Text to Image Synthesis", arXiv 1605.05396.
    """

    name = "mismatch"

    def of_discriminator(self, seen: Seen) -> tf.Tensor:
        """Mean of softplus(D(real, wrong) − D(real, right)), where the captions differ."""
        right = dict(seen.inputs)
        wrong = right | {"tokens": tf.roll(right["tokens"], 1, axis=0)}
        both = {name: tf.concat([tensor, wrong[name]], axis=0) for name, tensor in right.items()}
        logits = seen.discriminate(tf.concat([seen.real, seen.real], axis=0), both)
        of_right, of_wrong = tf.split(tf.reduce_mean(logits, axis=1), 2)
        differ = tf.cast(tf.reduce_any(right["tokens"] != wrong["tokens"], axis=1), tf.float32)
        return tf.reduce_mean(differ * tf.nn.softplus(of_wrong - of_right))


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
        """Mean of what |x − x'| / |z − z'| lacks to the bound, for half of the batch with other latents z'."""
        assert seen.latents is not None
        half, size = seen.latents.shape[0] // 2, seen.latents.shape[1]
        first, other = seen.latents[:half], normal(seen.uniform(2 * size, half))
        again = self.generator([other, *(tensor[:half] for tensor in seen.inputs.values())], training=True)
        images = tf.reduce_mean(tf.abs(coarse(seen.fake[:half] - again)), axis=[1, 2, 3])
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
