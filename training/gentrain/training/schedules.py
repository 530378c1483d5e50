"""What changes over a run, from the settings and how far it is: learning rate, γ, augmentation, memory of the EMA."""

from __future__ import annotations

import math

import tensorflow as tf

from gentrain.settings import Settings

# With a discriminator ahead of its target all the time, augmentation goes from none to all in as many images.
IMAGES_TO_AUGMENT_ALL = 100_000

# A learning rate rises from none to all in as many images at the least: where a finished run goes on, optimisers have
# the small steps of its end in their means.
IMAGES_TO_RISE = 5_000


def learning_rate(s: Settings, progress: tf.Tensor, last: tf.Tensor, batch_size: int) -> tf.Tensor:
    """The learning rate of a step, float32: along the cosine, but no sudden rise over that of the last step."""
    rise = max(s.learning_rate, s.learning_rate_final) * batch_size / IMAGES_TO_RISE
    return tf.minimum(_cosine(s.learning_rate, s.learning_rate_final, progress), last + rise)


def gamma(s: Settings, progress: tf.Tensor) -> tf.Tensor:
    """The weight of R1 and R2, float32."""
    return _cosine(s.gamma, s.gamma_final, progress)


def augmentation_on_ramp(s: Settings, progress: tf.Tensor) -> tf.Tensor:
    """The part of the images that DiffAugment changes, where no accuracy is aimed at."""
    return s.augment * tf.minimum(progress / max(s.augment_ramp, 1e-6), 1.0)


def augmentation_towards_target(s: Settings, now: tf.Tensor, accuracy: tf.Tensor, batch_size: int) -> tf.Tensor:
    """The same, towards the accuracy that the discriminator is held at, as in arXiv 2006.06676."""
    step = tf.sign(accuracy - s.augment_target) * (batch_size / IMAGES_TO_AUGMENT_ALL)
    return tf.clip_by_value(now + step, 0.0, s.augment)


def ema_kept(s: Settings, images_seen: tf.Tensor, batch_size: int) -> tf.Tensor:
    """What a step leaves of the EMA, from 0 to 1; less early on, so that it forgets the start."""
    halflife = tf.minimum(s.ema_halflife_kimg * 1000.0, s.ema_rampup * tf.cast(images_seen, tf.float32))
    return tf.where(halflife > 0, tf.exp(-math.log(2.0) * batch_size / tf.maximum(halflife, 1e-6)), 0.0)


def _cosine(first: float, last: float, progress: tf.Tensor) -> tf.Tensor:
    """From `first` at progress 0 to `last` at 1 along half a cosine."""
    return last + (first - last) * 0.5 * (1.0 + tf.cos(math.pi * progress))
