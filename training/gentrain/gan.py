"""The GAN as Keras trains it: two networks, an averaged generator, and one step for both.

Noise follows from (seed, images seen) and nothing else, so a step can be repeated exactly after a restart.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from gentrain import losses
from gentrain.settings import Settings


class GAN(keras.Model):
    """Trained through `fit` on uint8 (2·batch, H, W, C): half for the discriminator's step, half for the generator's.

    Attributes:
        generator: the network being trained.
        averaged: its exponential moving average, the one to sample from and to keep.
        images_seen: int64 variable, real images shown to the discriminator so far.
        images_total: int64 variable, where the schedules end.
    """

    def __init__(self, generator: Any, discriminator: Any, settings: Settings) -> None:
        super().__init__(name="gan")
        self.generator = generator
        self.discriminator = discriminator
        self.averaged = keras.models.clone_model(generator)
        self.averaged.set_weights(generator.get_weights())
        self.settings = settings
        self.images_seen = tf.Variable(0, dtype=tf.int64, trainable=False)
        self.images_total = tf.Variable(round(settings.kimg * 1000), dtype=tf.int64, trainable=False)
        self.means = {
            name: keras.metrics.Mean(name) for name in ("d_loss", "g_loss", "r1", "r2", "real_logit", "fake_logit")
        }
        self.built = True  # no `call`, so Keras cannot build it by itself

    @property
    def metrics(self) -> list[Any]:
        """Reset by Keras at each tick."""
        return list(self.means.values())

    def compile(self, **options: Any) -> None:
        """Make both optimisers, and build them, so that a checkpoint can be restored before the first step."""
        super().compile(**options)
        s = self.settings
        self.g_optimizer = keras.optimizers.Adam(s.learning_rate, s.beta_1, s.beta_2)
        self.d_optimizer = keras.optimizers.Adam(s.learning_rate, s.beta_1, s.beta_2)
        self.g_optimizer.build(self.generator.trainable_variables)
        self.d_optimizer.build(self.discriminator.trainable_variables)

    def progress(self) -> tf.Tensor:
        """How much of the training is done, float32 from 0 to 1."""
        return tf.minimum(tf.cast(self.images_seen, tf.float32) / tf.cast(self.images_total, tf.float32), 1.0)

    def train_step(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """One step of the discriminator, one of the generator, one of the average."""
        s = self.settings
        images = tf.cast(images, tf.float32) / 127.5 - 1.0
        real_for_d, real_for_g = tf.split(images, 2)
        rows = tf.shape(real_for_d)[0]
        latents = tf.random.stateless_normal(
            (2 * rows, s.latent_size), tf.stack([tf.constant(s.seed, tf.int64), self.images_seen])
        )
        latents_for_d, latents_for_g = tf.split(latents, 2)

        learning_rate = _cosine(s.learning_rate, s.learning_rate_final, self.progress())
        self.d_optimizer.learning_rate.assign(learning_rate)
        self.g_optimizer.learning_rate.assign(learning_rate)

        self._discriminator_step(real_for_d, latents_for_d)
        self._generator_step(real_for_g, latents_for_g)
        self.images_seen.assign_add(tf.cast(rows, tf.int64))
        self._average(tf.cast(rows, tf.float32))
        return {name: mean.result() for name, mean in self.means.items()}

    def _discriminator_step(self, real: tf.Tensor, latents: tf.Tensor) -> None:
        s = self.settings
        gamma = _cosine(s.gamma, s.gamma_final, self.progress())
        both = tf.concat([real, self.generator(latents, training=True)], axis=0)
        variables = self.discriminator.trainable_variables
        with tf.GradientTape() as tape:
            with tf.GradientTape(watch_accessed_variables=False) as input_tape:
                input_tape.watch(both)
                logits = self.discriminator(both, training=True)
            at_real, at_fake = tf.split(input_tape.gradient(logits, both), 2)
            r1, r2 = losses.gradient_penalty(at_real), losses.gradient_penalty(at_fake)
            real_logits, fake_logits = tf.split(logits, 2)
            loss = losses.rpgan_discriminator(real_logits, fake_logits)
            objective = loss + gamma / 2 * (r1 + r2)
        self.d_optimizer.apply_gradients(zip(tape.gradient(objective, variables), variables, strict=True))
        self.means["d_loss"].update_state(loss)
        self.means["r1"].update_state(r1)
        self.means["r2"].update_state(r2)
        self.means["real_logit"].update_state(real_logits)
        self.means["fake_logit"].update_state(fake_logits)

    def _generator_step(self, real: tf.Tensor, latents: tf.Tensor) -> None:
        variables = self.generator.trainable_variables
        with tf.GradientTape() as tape:
            both = tf.concat([real, self.generator(latents, training=True)], axis=0)
            real_logits, fake_logits = tf.split(self.discriminator(both, training=True), 2)
            loss = losses.rpgan_generator(real_logits, fake_logits)
        self.g_optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.means["g_loss"].update_state(loss)

    def _average(self, rows: tf.Tensor) -> None:
        """Move the averaged generator towards the trained one; early on faster, so that it forgets the start."""
        s = self.settings
        halflife = tf.minimum(s.ema_halflife_kimg * 1000.0, s.ema_rampup * tf.cast(self.images_seen, tf.float32))
        keep = tf.where(halflife > 0, tf.exp(-math.log(2.0) * rows / tf.maximum(halflife, 1e-6)), 0.0)
        for mean, value in zip(self.averaged.variables, self.generator.variables, strict=True):
            mean.assign(value + keep * (mean - value))


def _cosine(first: float, last: float, progress: tf.Tensor) -> tf.Tensor:
    """From `first` at progress 0 to `last` at 1 along half a cosine."""
    return last + (first - last) * 0.5 * (1.0 + tf.cos(math.pi * progress))
