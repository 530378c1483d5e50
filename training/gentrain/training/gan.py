"""The GAN as Keras trains it: two networks, an averaged generator, and one step for both.

All randomness follows from (seed, images seen) and nothing else, so a step can be repeated exactly after a restart; it
is drawn for the whole batch and cut, so several devices together make the step that one would make alone.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from gentrain.losses import LOSSES, gradient_penalty, wgan_gp
from gentrain.networks import build_discriminator, build_generator
from gentrain.settings import Settings
from gentrain.training.augment import augment

# With a discriminator ahead of its target all the time, augmentation goes from none to all in as many images.
IMAGES_TO_AUGMENT_ALL = 100_000

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


class GAN(keras.Model):
    """Trained through `fit` on what `gentrain.data.stream.batches` gives.

    Attributes:
        generator: the network being trained.
        averaged: its exponential moving average in float32, the one to sample from and to keep.
        images_seen: int64 variable, real images shown to the discriminator so far.
        images_total: int64 variable, where the schedules end.
        augmented: float32 variable, the part of the images that DiffAugment changes now.
        classes: how many the condition tells apart, 0 without one.
        critic: a float32 twin of the discriminator, to keep it with.
    """

    def __init__(self, side: int, channels: int, classes: int, settings: Settings) -> None:
        """Weights follow from the seed; `classes` is 0 for no condition. What settings leave open is settled here."""
        super().__init__(name="gan")
        settings = settings.resolved(side, channels, "float32")
        self.settings, self.loss_of, self.classes = settings, LOSSES[settings.loss], classes
        self.replicas = tf.distribute.get_strategy().num_replicas_in_sync
        policy = POLICIES[settings.precision]
        self.generator = build_generator(side, channels, classes, settings, policy, synchronized=self.replicas > 1)
        self.discriminator = build_discriminator(side, channels, classes, settings, policy)
        self.averaged = build_generator(side, channels, classes, settings)
        self.critic = build_discriminator(side, channels, classes, settings)
        self.dropouts = [
            layer.seed_generator.state
            for layer in self.discriminator.layers
            if isinstance(layer, keras.layers.Dropout) and layer.rate
        ]
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.images_seen = tf.Variable(0, dtype=tf.int64, trainable=False, aggregation=first)
        self.augmented = tf.Variable(0.0, trainable=False, aggregation=first)
        self.images_total = tf.Variable(round(settings.kimg * 1000), dtype=tf.int64, trainable=False, aggregation=first)
        names = ["d_loss", "g_loss", "real_logit", "fake_logit", "d_accuracy"]
        if settings.loss == "wgan-gp":
            names.append("slope")
        elif self.penalised:
            names += ["r1", "r2"]
        self.means = {name: keras.metrics.Mean(name) for name in names}
        self.built = True  # no `call`, so Keras cannot build it by itself

    @property
    def parts(self) -> int:
        """Batches of real images that a step takes."""
        return 1 if self.settings.shared_pass else 2

    @property
    def penalised(self) -> bool:
        """Whether R1 and R2 are part of what the discriminator minimises."""
        s = self.settings
        return bool(s.gamma or s.gamma_final) and s.loss != "wgan-gp"

    @property
    def state(self) -> list[Any]:
        """Every variable that training moves."""
        networks = [*self.generator.variables, *self.discriminator.variables, *self.averaged.variables]
        return [*networks, *self.g_optimizer.variables, *self.d_optimizer.variables, self.images_seen, self.augmented]

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

    def gamma(self) -> tf.Tensor:
        """The weight of R1 and R2 now, float32."""
        return _cosine(self.settings.gamma, self.settings.gamma_final, self.progress())

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One step of the discriminator, one of the generator, one of the average.

        Args:
            data: images uint8 (parts, N, H, W, C) and labels int32 (parts, N), N being a device's part of the batch:
                part 0 for the discriminator, and unless both share a pass part 1 for the generator.
        """
        s = self.settings
        images, labels = data
        draws = Draws(s.seed, self.images_seen, images.shape[1], self.replicas)
        learning_rate = _cosine(s.learning_rate, s.learning_rate_final, self.progress())
        self.d_optimizer.learning_rate.assign(learning_rate)
        self.g_optimizer.learning_rate.assign(learning_rate)
        for number, state in enumerate(self.dropouts):
            state.assign(tf.cast(tf.stack([tf.constant(s.seed + number, tf.int64), self.images_seen]), state.dtype))

        latents = draws.latents(s.latent_size, self.parts)
        if s.shared_pass:
            self._shared_step(images[0], labels[0], latents[0], draws)
        else:
            self._discriminator_step(images[0], labels[0], latents[0], draws)
            self._generator_step(images[1], labels[1], latents[1], draws)
        self.images_seen.assign_add(draws.rows)
        self._average(draws.rows)
        results = {name: mean.result() for name, mean in self.means.items()}
        return results | ({"augmented": tf.convert_to_tensor(self.augmented)} if s.augment else {})

    def _discriminator_step(self, real: tf.Tensor, labels: tf.Tensor, latents: tf.Tensor, draws: Draws) -> None:
        real, fake = self._pixels(real, draws), self._make(latents, labels)
        with tf.GradientTape() as tape:
            objective, _, _ = self._objective(real, fake, labels, draws)
        self._apply(self.d_optimizer, self.discriminator, tape, objective)

    def _generator_step(self, real: tf.Tensor, labels: tf.Tensor, latents: tf.Tensor, draws: Draws) -> None:
        real = self._pixels(real, draws)
        with tf.GradientTape() as tape:
            fake_logits = self._judge(self._make(latents, labels), labels, draws)
            # No gradient goes through this one: in one batch with the fakes it would be computed all the same.
            real_logits = self._judge(real, labels, draws)
            loss = tf.reduce_mean(self.loss_of.generator(real_logits, fake_logits))
        self._apply(self.g_optimizer, self.generator, tape, loss)
        self.means["g_loss"].update_state(loss)

    def _shared_step(self, real: tf.Tensor, labels: tf.Tensor, latents: tf.Tensor, draws: Draws) -> None:
        """Both networks learn from one pass through each, as in TensorFlow's tutorial."""
        real = self._pixels(real, draws)
        with tf.GradientTape(persistent=True) as tape:
            fake = self._make(latents, labels)
            objective, real_logits, fake_logits = self._objective(real, fake, labels, draws)
            loss = tf.reduce_mean(self.loss_of.generator(real_logits, fake_logits))
        self._apply(self.g_optimizer, self.generator, tape, loss)
        self._apply(self.d_optimizer, self.discriminator, tape, objective)
        self.means["g_loss"].update_state(loss)

    def _objective(
        self, real: tf.Tensor, fake: tf.Tensor, labels: tf.Tensor, draws: Draws
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """What the discriminator minimises, its loss and the penalties on its slope; and its logits."""
        s, means = self.settings, self.means
        with tf.GradientTape(watch_accessed_variables=False) as at_images:
            at_images.watch([real, fake])
            real_logits, fake_logits = self._judge_both(real, fake, labels, draws)
        loss = tf.reduce_mean(self.loss_of.discriminator(real_logits, fake_logits))
        means["d_loss"].update_state(loss)
        means["real_logit"].update_state(real_logits)
        means["fake_logit"].update_state(fake_logits)
        accuracy = tf.reduce_mean(tf.cast(real_logits > fake_logits, tf.float32))
        means["d_accuracy"].update_state(accuracy)
        self._adapt_augmentation(accuracy, draws.rows)
        if s.loss == "wgan-gp":
            slope = tf.reduce_mean(wgan_gp.slope_penalty(self._slope_between(real, fake, labels, draws)))
            means["slope"].update_state(slope)
            loss += wgan_gp.PENALTY_WEIGHT * slope
        elif self.penalised:
            at_real, at_fake = at_images.gradient([real_logits, fake_logits], [real, fake])
            r1, r2 = tf.reduce_mean(gradient_penalty(at_real)), tf.reduce_mean(gradient_penalty(at_fake))
            means["r1"].update_state(r1)
            means["r2"].update_state(r2)
            loss += self.gamma() / 2 * (r1 + r2)
        return loss, real_logits, fake_logits

    def _judge_both(
        self, real: tf.Tensor, fake: tf.Tensor, labels: tf.Tensor, draws: Draws
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Logits of both. Second derivatives are a tenth faster in one batch, first ones need the fakes' alone."""
        if self.penalised:
            both = self._judge(tf.concat([real, fake], axis=0), tf.concat([labels, labels], axis=0), draws)
            return tuple(tf.split(both, 2))
        return self._judge(real, labels, draws), self._judge(fake, labels, draws)

    def _slope_between(self, real: tf.Tensor, fake: tf.Tensor, labels: tf.Tensor, draws: Draws) -> tf.Tensor:
        part = draws.uniform(1)[:, :, None, None]
        between = real + part * (fake - real)
        with tf.GradientTape(watch_accessed_variables=False) as at_images:
            at_images.watch(between)
            logits = self._judge(between, labels, draws)
        return at_images.gradient(logits, between)

    def _pixels(self, images: tf.Tensor, draws: Draws) -> tf.Tensor:
        """Uint8 → float32 in [-1, 1], half of them mirrored where that is asked for."""
        images = tf.cast(images, tf.float32) / 127.5 - 1.0
        if self.settings.flip:
            mirrored = draws.uniform(1)[:, :, None, None] < 0.5
            images = tf.where(mirrored, tf.reverse(images, axis=[2]), images)
        return images

    def _make(self, latents: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
        return self.generator(with_condition(self.generator, latents, labels), training=True)

    def _judge(self, images: tf.Tensor, labels: tf.Tensor, draws: Draws) -> tf.Tensor:
        s = self.settings
        if s.augment:
            images = tf.cond(self.augmented > 0.0, lambda: self._augment(images, draws), lambda: images)
        return self.discriminator(with_condition(self.discriminator, images, labels), training=True)

    def _augment(self, images: tf.Tensor, draws: Draws) -> tf.Tensor:
        return augment(images, self.augmented, lambda values: draws.uniform(values, images.shape[0]))

    def _adapt_augmentation(self, accuracy: tf.Tensor, rows: int) -> None:
        """Along the ramp, or towards the accuracy that the discriminator is held at, as in arXiv 2006.06676."""
        s = self.settings
        if not s.augment:
            return
        if not s.augment_target:
            self.augmented.assign(s.augment * tf.minimum(self.progress() / max(s.augment_ramp, 1e-6), 1.0))
            return
        if self.replicas > 1:
            accuracy = tf.distribute.get_replica_context().all_reduce("MEAN", accuracy)
        step = tf.sign(accuracy - s.augment_target) * (rows / IMAGES_TO_AUGMENT_ALL)
        self.augmented.assign(tf.clip_by_value(self.augmented + step, 0.0, s.augment))

    def _apply(self, optimizer: Any, network: Any, tape: tf.GradientTape, loss: tf.Tensor) -> None:
        """One step. Optimisers add up the gradients of all devices, so each brings its part of the mean."""
        variables = network.trainable_variables
        # Embeddings have sparse gradients, which Adam would treat in another way.
        gradients = [tf.convert_to_tensor(g) / self.replicas for g in tape.gradient(loss, variables)]
        optimizer.apply_gradients(zip(gradients, variables, strict=True))

    def _average(self, rows: int) -> None:
        """Move the averaged generator towards the trained one; early on faster, so that it forgets the start."""
        s = self.settings
        halflife = tf.minimum(s.ema_halflife_kimg * 1000.0, s.ema_rampup * tf.cast(self.images_seen, tf.float32))
        keep = tf.where(halflife > 0, tf.exp(-math.log(2.0) * rows / tf.maximum(halflife, 1e-6)), 0.0)
        for mean, value in zip(self.averaged.variables, self.generator.variables, strict=True):
            mean.assign(value + keep * (mean - value))


class Draws:
    """The random numbers of one step: drawn for the whole batch, of which each device takes its rows.

    Args:
        seed: of the run.
        images_seen: int64 scalar; with the seed it decides every number.
        mine: rows of this device.
        replicas: how many devices there are, each with as many rows.
    """

    def __init__(self, seed: int, images_seen: tf.Tensor, mine: int, replicas: int) -> None:
        self.seed, self.images_seen, self.replicas = seed, images_seen, replicas
        self.rows = mine * replicas
        self.streams = 0

    def latents(self, size: int, parts: int) -> list[tf.Tensor]:
        """One batch N(0, 1) of float32 (mine, size) for each part of the step."""
        drawn = tf.random.stateless_normal((parts * self.rows, size), self._key())
        return [self._mine(part) for part in tf.split(drawn, parts)]

    def uniform(self, values: int, mine: int | None = None) -> tf.Tensor:
        """Float32 (mine, values) in [0, 1); more rows than the batch has where `mine` says so."""
        rows = self.rows if mine is None else mine * self.replicas
        return self._mine(tf.random.stateless_uniform((rows, values), self._key()))

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


def with_condition(network: Any, first: tf.Tensor, labels: tf.Tensor) -> Any:
    """What a network is called with: latents or images alone, or with labels where it has that input."""
    return [first, tf.convert_to_tensor(labels)] if len(network.inputs) > 1 else first


def _cosine(first: float, last: float, progress: tf.Tensor) -> tf.Tensor:
    """From `first` at progress 0 to `last` at 1 along half a cosine."""
    return last + (first - last) * 0.5 * (1.0 + tf.cos(math.pi * progress))
