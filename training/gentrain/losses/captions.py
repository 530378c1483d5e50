"""Losses of pictures from words: a picture is to fit its caption, and one of several to be the real one."""

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

    Of real ones the discriminator learns to say so, and of its own the generator, until they do so as well as the real
    one that has the caption: beyond that all pictures of a caption would be the one that is told best.

    The difference of two logits of a picture is that of two products, since only these have to do with captions.

    Sources: "Generative Adversarial Text to Image Synthesis", arXiv 1605.05396; the contrast with a whole batch is that
    of "Cross-Modal Contrastive Learning for Text-to-Image Generation", arXiv 2101.04702.
    """

    name = "mismatch"

    def of_discriminator(self, seen: Seen) -> tf.Tensor:
        """The mean cross-entropy of finding the right caption, in nats."""
        return tf.reduce_mean(contrast(seen.factors, seen.inputs["tokens"]))

    def of_generator(self, seen: Seen) -> tf.Tensor | None:
        """By how much the generator's pictures are told worse than real ones; None where no discriminator compares."""
        if not seen.factors:
            return None
        fake, real = (contrast(factors, seen.inputs["tokens"]) for factors in (seen.factors, seen.real_factors))
        return tf.reduce_mean(tf.nn.relu(fake - tf.stop_gradient(real)))


def contrast(factors: Sequence[tf.Tensor], tokens: tf.Tensor) -> tf.Tensor:
    """How well pictures are told by captions, in nats.

    Args:
        factors: features of the pictures, float32 (N, F), and those that their captions ask for.
        tokens: the captions, int32 (N, L).

    Returns:
        For each picture −log of the part that its own caption has in all, by the products' exponentials, float32 (N,).
        A caption whose words are all among the picture's own is no wrong one, and left out.
    """
    fits = tf.matmul(*factors, transpose_b=True)
    among = tf.reduce_any(tokens[:, None, :, None] == tokens[None, :, None, :], axis=2)
    within = tf.reduce_all(among | (tokens == 0)[None], axis=2)
    right = tf.eye(tokens.shape[0], dtype=tf.bool)
    fits = tf.where(within & ~right, -1e9, fits)
    return -tf.linalg.diag_part(tf.nn.log_softmax(fits))


CHOICES = 6
"""Of so many latents those are taken whose picture is nearest to the real one."""

HELD, COMPARED = 0.75, 0.25
"""The part of a batch that is held to real pictures, and the part that is compared by features too, which take time."""


LEADS = 0.2
"""The part of the run over which the generator's other losses rise: with all of them from the start, seeds of a caption
become one drawing before they have shared out the real pictures."""

OTHERS = 0.1
"""So much of them there is at first."""

CELL = 8
"""Pixels of a place of the coarsest of the maps that pictures are compared by."""


class Likeness(Auxiliary):
    """Of several pictures of a caption the nearest is to become the real one that has it.

    So the seeds of a caption share out the real pictures that it fits, where without the choice all of them would be
    drawn to their mean. The other pictures of the batch are free.

    Source: "Implicit Maximum Likelihood Estimation", arXiv 1809.09087.
    """

    name = "likeness"

    def __init__(self, weight: float, generator: Any = None, maps: Any = None, features: float = 0.0) -> None:
        super().__init__(weight)
        self.generator, self.maps, self.features = generator, maps, features

    def others_at(self, progress: tf.Tensor) -> tf.Tensor:
        return tf.minimum(OTHERS + (1.0 - OTHERS) * progress / LEADS, 1.0)

    def choose(self, latents: tf.Tensor, seen: Seen) -> tf.Tensor:
        count, size = self._held(latents.shape[0]), latents.shape[1]
        more = normal(seen.uniform(2 * size * (CHOICES - 1), count))
        every = tf.reshape(tf.concat([latents[:count], more], axis=1), (count * CHOICES, size))
        texts = [tf.repeat(tensor[:count], CHOICES, axis=0) for tensor in seen.inputs.values()]
        drawn = coarse(self.generator([every, *texts], training=True))
        real = tf.repeat(coarse(seen.real[:count]), CHOICES, axis=0)
        unlike = tf.reshape(tf.reduce_mean(tf.square(drawn - real), axis=[1, 2, 3]), (count, CHOICES))
        best = tf.gather(tf.reshape(every, (count, CHOICES, size)), tf.argmin(unlike, axis=1), batch_dims=1)
        return tf.concat([best, latents[count:]], axis=0)

    def of_generator(self, seen: Seen) -> tf.Tensor:
        """The mean square of the difference at 8×8, the mean one at full size, and the distance in features."""
        count = self._held(seen.fake.shape[0])
        real, fake = seen.real[:count], seen.fake[:count]
        unlike = tf.reduce_mean(tf.square(coarse(fake - real))) + tf.reduce_mean(tf.abs(fake - real))
        if self.maps is not None:
            few = max(1, round(COMPARED * seen.fake.shape[0]))
            unlike += self.features / self.weight * self._of_features(real[:few], fake[:few], seen)
        return unlike

    def _of_features(self, real: tf.Tensor, fake: tf.Tensor, seen: Seen) -> tf.Tensor:
        """The mean square of the distance of maps of length 1, both pictures shifted alike, else its grid shows."""
        shift = tf.cast(CELL * seen.uniform(2, 1)[0], tf.int32)
        of_real, of_fake = (self.maps(tf.roll(images, shift, axis=[1, 2])) for images in (real, fake))
        unlike = [tf.reduce_sum(tf.square(a - b), axis=-1) for a, b in zip(of_real, of_fake, strict=True)]
        return tf.add_n([tf.reduce_mean(each) for each in unlike]) / len(unlike)

    def _held(self, count: int) -> int:
        return max(1, round(HELD * count))


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
