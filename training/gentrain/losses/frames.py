"""The loss of a second discriminator of clips, which sees single frames: whether each is a picture like the real ones.

The first one sees how a clip moves, frames and differences together, and few of its filters are left for what is drawn.
Relativistic as that, with both gradient penalties. Source: "MoCoGAN", arXiv 1707.04993.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from gentrain.losses import gradient_penalty, rpgan
from gentrain.losses.auxiliary import Auxiliary, Seen

AUGMENTED = 0.5
"""The part of the frames that DiffAugment changes, where it changes any."""


class Frames(Auxiliary):
    """Both networks' terms, on one frame of each clip, drawn anew in each step."""

    name = "frames"

    def __init__(self, weight: float, network: Any, gamma: float, frames: int, augmented: bool) -> None:
        """`network`: pictures (N, H, W, C) → logits (N, 1); `gamma`: twice the weight of its R1 and R2."""
        super().__init__(weight)
        self.rival, self.gamma, self.frames, self.augmented = network, gamma, frames, augmented

    def of_generator(self, seen: Seen) -> tf.Tensor:
        """The generator's loss."""
        real, fake = (self._drawn(clips, seen) for clips in (seen.real, seen.fake))
        if self.augmented:
            real, fake = (seen.change(pictures, AUGMENTED) for pictures in (real, fake))
        seen.kept[self.name] = real, tf.stop_gradient(fake)
        return tf.reduce_mean(rpgan.generator(self.rival(real, training=True), self.rival(fake, training=True)))

    def of_rival(self, seen: Seen) -> tf.Tensor:
        """Its own loss on the frames that the generator has just learned from, and the penalties."""
        both = tf.concat(seen.kept[self.name], axis=0)
        with tf.GradientTape(watch_accessed_variables=False) as at_frames:
            at_frames.watch(both)
            logits = self.rival(both, training=True)
        loss = tf.reduce_mean(rpgan.discriminator(*tf.split(logits, 2)))
        return loss + self.gamma * tf.reduce_mean(gradient_penalty(at_frames.gradient(logits, both)))

    def _drawn(self, clips: tf.Tensor, seen: Seen) -> tf.Tensor:
        """One frame of each of the clips (N, H, W, T C)."""
        count, height, width, channels = clips.shape
        number = tf.cast(seen.uniform(1, count)[:, 0] * self.frames, tf.int32)
        frames = tf.reshape(clips, (-1, height, width, self.frames, channels // self.frames))
        return tf.einsum("nhwtc,nt->nhwc", frames, tf.one_hot(number, self.frames))
