"""The GAN as Keras trains it: two networks, the EMA of the generator, and one step for both.

Batches are dictionaries of named tensors: `images`, and the columns of the conditions. All randomness follows from
(seed, images seen) and nothing else, so a step can be repeated exactly after a restart; it is drawn for the whole batch
and cut, so several devices together make the step that one would make alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import keras
import tensorflow as tf

from gentrain.conditions import Conditions, drawn, inputs, prepared
from gentrain.conditions.base import Tensors
from gentrain.data.sizes import Size
from gentrain.losses import LOSSES, gradient_penalty, wgan_gp
from gentrain.losses.auxiliary import Auxiliary, Seen
from gentrain.networks import build_discriminator, build_generator, looking
from gentrain.settings import Settings
from gentrain.training import auxiliaries, schedules
from gentrain.training.augment import augment, changes, moved
from gentrain.training.draws import Draws
from gentrain.training.frames import as_channels, as_clips, beside

if TYPE_CHECKING:
    from gentrain.training.examples import Examples

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16"}


class GAN(keras.Model):
    """Trained through `fit` on what `gentrain.data.stream.batches` gives.

    Attributes:
        generator: the network being trained.
        ema: its exponential moving average in float32, the one to sample from and to keep.
        images_seen: int64 variable, real images shown to the discriminator so far.
        images_total: int64 variable, where the schedules end.
        augmented: float32 variable, the part of the images that DiffAugment changes now.
        conditions: what both networks take beside latents and images.
        judged: names of the conditions' inputs that the discriminator sees too.
        auxiliary: the losses beside the adversarial one.
        helpers, rivals: by the losses' names, the networks that learn with or against the generator, and optimisers.
        float32_discriminator: a twin of the discriminator in float32, to save it with.
        examples: of a translation the pairs that image grids show, once they are set.
    """

    def __init__(self, size: Size, channels: int, conditions: Conditions, settings: Settings) -> None:
        """For images of this size. Weights follow from the seed. What settings leave open is settled here."""
        super().__init__(name="gan")
        settings = settings.resolved(size, channels, "float32")
        self.settings, self.loss_of, self.conditions = settings, LOSSES[settings.loss], tuple(conditions)
        self.replicas = tf.distribute.get_strategy().num_replicas_in_sync
        policy = POLICIES[settings.precision]
        self.judged = tuple(inputs([condition for condition in conditions if condition.judged]))
        self.generator = build_generator(size, channels, conditions, settings, policy, synchronized=self.replicas > 1)
        self.discriminator = build_discriminator(size, channels, conditions, settings, policy)
        self.looking = looking(self.discriminator)
        self.ema = build_generator(size, channels, conditions, settings)
        self.float32_discriminator = build_discriminator(size, channels, conditions, settings, pooled=True)
        self.auxiliary = auxiliaries.of_run(settings, self.conditions, self.generator, policy)
        self.dropouts = [
            layer.seed_generator.state
            for layer in self.discriminator.layers
            if isinstance(layer, keras.layers.Dropout) and layer.rate
        ]
        self.examples: Examples | None = None
        first = tf.VariableAggregation.ONLY_FIRST_REPLICA
        self.images_seen = tf.Variable(0, dtype=tf.int64, trainable=False, aggregation=first)
        self.augmented = tf.Variable(0.0, trainable=False, aggregation=first)
        self.images_total = tf.Variable(round(settings.kimg * 1000), dtype=tf.int64, trainable=False, aggregation=first)
        names = list(self._adversarial_means()) if settings.adversarial else []
        names += [name for loss in self.auxiliary for name in loss.logged]
        self.means = {name: keras.metrics.Mean(name) for name in names}
        self.built = True  # no `call`, so Keras cannot build it by itself

    def _adversarial_means(self) -> Iterator[str]:
        yield from ("d_loss", "g_loss", "real_logit", "fake_logit", "d_accuracy")
        if self.settings.loss == "wgan-gp":
            yield "slope"
        elif self.penalised:
            yield from ("r1", "r2")

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
        networks = [*self.generator.variables, *self.discriminator.variables, *self.ema.variables]
        learned = [
            v for parts in (*self.helpers.values(), *self.rivals.values()) for part in parts for v in part.variables
        ]
        optimizers = [*self.g_optimizer.variables, *self.d_optimizer.variables]
        return [*networks, *optimizers, *learned, self.images_seen, self.augmented]

    @property
    def metrics(self) -> list[Any]:
        """Reset by Keras at each tick."""
        return list(self.means.values())

    def compile(self, **options: Any) -> None:
        """Make both optimisers, and build them, so that a checkpoint can be restored before the first step."""
        super().compile(**options)
        self.g_optimizer = self._optimizer(self.generator)
        self.d_optimizer = self._optimizer(self.discriminator)
        self.helpers = {
            loss.name: (loss.network, self._optimizer(loss.network))
            for loss in self.auxiliary
            if loss.network is not None
        }
        self.rivals = {
            loss.name: (loss.rival, self._optimizer(loss.rival)) for loss in self.auxiliary if loss.rival is not None
        }

    def _optimizer(self, network: Any) -> Any:
        optimizer = keras.optimizers.Adam(self.settings.learning_rate, self.settings.beta_1, self.settings.beta_2)
        optimizer.build(network.trainable_variables)
        return optimizer

    def progress(self) -> tf.Tensor:
        """How much of the training is done, float32 from 0 to 1."""
        return tf.minimum(tf.cast(self.images_seen, tf.float32) / tf.cast(self.images_total, tf.float32), 1.0)

    def gamma(self) -> tf.Tensor:
        """The weight of R1 and R2 now, float32."""
        return schedules.gamma(self.settings, self.progress())

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One step of the discriminator, one of the generator, one of the EMA.

        Args:
            data: a dictionary: `images` uint8 (parts, N, H, W, C), clips (parts, N, T, H, W, C), and each column of the
                conditions (parts, N, …), N being a device's part of the batch: part 0 for the discriminator, and unless
                both share a pass part 1 for the generator.
        """
        s = self.settings
        draws = Draws(s.seed, self.images_seen, data["images"].shape[1], self.replicas)
        last_rate = self.g_optimizer.learning_rate
        learning_rate = schedules.learning_rate(s, self.progress(), last_rate, draws.batch_size)
        for optimizer in (self.d_optimizer, self.g_optimizer, *(optimizer for _, optimizer in self.helpers.values())):
            optimizer.learning_rate.assign(learning_rate)
        for loss in self.auxiliary:
            if loss.rival is not None:
                self.rivals[loss.name][1].learning_rate.assign(loss.rate * learning_rate)
        for number, state in enumerate(self.dropouts):
            state.assign(tf.cast(tf.stack([tf.constant(s.seed + number, tf.int64), self.images_seen]), state.dtype))

        latents = draws.latents(s.latent_size, self.parts) if s.latent_size else [None] * self.parts
        batches = [{name: column[part] for name, column in data.items()} for part in range(self.parts)]
        if not s.adversarial:
            self._step_without_discriminator(batches[-1], latents[-1], draws)
        elif s.shared_pass:
            self._shared_step(batches[0], latents[0], draws)
        else:
            self._discriminator_step(batches[0], latents[0], draws)
            self._generator_step(batches[1], latents[1], draws)
        self.images_seen.assign_add(draws.batch_size)
        self._update_ema(draws.batch_size)
        results = {name: mean.result() for name, mean in self.means.items()}
        return results | ({"augmented": tf.convert_to_tensor(self.augmented)} if s.augment else {})

    def _discriminator_step(self, batch: Tensors, latents: tf.Tensor, draws: Draws) -> None:
        real, given = self._prepare(batch, draws)
        fake = self._make(latents, given)
        with tf.GradientTape() as tape:
            objective, *_ = self._objective(real, fake, given, draws)
        self._apply(self.d_optimizer, self.discriminator, tape, objective)

    def _generator_step(self, batch: Tensors, latents: tf.Tensor, draws: Draws) -> None:
        real, given = self._prepare(batch, draws)
        latents = self._chosen(latents, real, given, draws)
        with tf.GradientTape() as tape:
            fake = self._make(latents, given)
            fake_logits, *factors = self._look(fake, given, draws)
            # No gradient goes through this one: in one batch with the fakes it would be computed all the same.
            real_logits, *of_real = self._look(real, given, draws)
            seen = self._seen(real, fake, given, draws, latents, factors, of_real)
            loss = self._generator_objective(seen, real_logits, fake_logits)
        self._apply_generator(tape, loss)
        self._apply_rivals(seen)

    def _step_without_discriminator(self, batch: Tensors, latents: tf.Tensor, draws: Draws) -> None:
        """The generator learns from what the conditions add, and from nothing else."""
        real, given = self._prepare(batch, draws)
        latents = self._chosen(latents, real, given, draws)
        with tf.GradientTape() as tape:
            fake = self._make(latents, given)
            seen = self._seen(real, fake, given, draws, latents)
            terms = [(auxiliary, auxiliary.of_generator(seen)) for auxiliary in self.auxiliary]
            loss = self._added(tf.constant(0.0), "g", terms)
        self._apply_generator(tape, loss)
        self._apply_rivals(seen)

    def _shared_step(self, batch: Tensors, latents: tf.Tensor, draws: Draws) -> None:
        """Both networks learn from one pass through each, as in TensorFlow's tutorial."""
        real, given = self._prepare(batch, draws)
        latents = self._chosen(latents, real, given, draws)
        with tf.GradientTape(persistent=True) as tape:
            fake = self._make(latents, given)
            objective, real_logits, fake_logits, of_real, of_fake = self._objective(real, fake, given, draws)
            seen = self._seen(real, fake, given, draws, latents, of_fake, of_real)
            loss = self._generator_objective(seen, real_logits, fake_logits)
        self._apply_generator(tape, loss)
        self._apply_rivals(seen)
        self._apply(self.d_optimizer, self.discriminator, tape, objective)

    def _chosen(self, latents: Any, real: tf.Tensor, given: Tensors, draws: Draws) -> Any:
        """The latents of the generator's step: those drawn, or where a loss has a say the ones that it chose."""
        for auxiliary in self.auxiliary:
            latents = auxiliary.choose(latents, self._seen(real, real, given, draws, latents))
        return latents

    def _generator_objective(self, seen: Seen, real_logits: tf.Tensor, fake_logits: tf.Tensor) -> tf.Tensor:
        """What the generator minimises, its adversarial loss and the auxiliary ones."""
        loss = tf.reduce_mean(self.loss_of.generator(real_logits, fake_logits))
        self.means["g_loss"].update_state(loss)
        loss *= self.settings.adversarial
        terms = [(auxiliary, auxiliary.of_generator(seen)) for auxiliary in self.auxiliary]
        return self._added(loss, "g", terms)

    def _seen(self, real: Any, fake: Any, given: Tensors, draws: Draws, latents: Any = None, *factors: Any) -> Seen:
        def change(images: tf.Tensor, probability: float) -> tf.Tensor:
            return augment(images, tf.constant(probability), lambda values: draws.uniform(values, images.shape[0]))

        def judge(images: tf.Tensor, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
            return self._judge(images, dict(inputs), draws)

        return Seen(real, fake, given, judge, change, draws.uniform, latents, *factors)

    def _added(self, loss: tf.Tensor, network: str, terms: list[tuple[Auxiliary, tf.Tensor | None]]) -> tf.Tensor:
        """The loss of `g` or `d` and the terms of the auxiliary ones, each by its weight."""
        leads = [auxiliary.others_at(self.progress()) if network == "g" else 1.0 for auxiliary, _ in terms]
        loss *= math.prod(leads)
        for (auxiliary, term), lead in zip(terms, leads, strict=True):
            if term is not None:
                self.means[f"{network}_{auxiliary.name}"].update_state(term)
                loss += math.prod(leads) / lead * auxiliary.weight_at(self.progress()) * term
        return loss

    def _objective(self, real: tf.Tensor, fake: tf.Tensor, given: Tensors, draws: Draws) -> tuple[Any, ...]:
        """What the discriminator minimises, its loss and penalties on its slope; its logits; the factors of both."""
        s, means = self.settings, self.means
        with tf.GradientTape(watch_accessed_variables=False) as at_images:
            at_images.watch([real, fake])
            (real_logits, *of_real), (fake_logits, *of_fake) = self._look_at_both(real, fake, given, draws)
        loss = tf.reduce_mean(self.loss_of.discriminator(real_logits, fake_logits))
        means["d_loss"].update_state(loss)
        means["real_logit"].update_state(real_logits)
        means["fake_logit"].update_state(fake_logits)
        accuracy = tf.reduce_mean(tf.cast(real_logits > fake_logits, tf.float32))
        means["d_accuracy"].update_state(accuracy)
        self._adapt_augmentation(accuracy, draws.batch_size)
        if s.loss == "wgan-gp":
            slope = tf.reduce_mean(wgan_gp.gradient_penalty(self._slope_between(real, fake, given, draws)))
            means["slope"].update_state(slope)
            loss += wgan_gp.PENALTY_WEIGHT * slope
        elif self.penalised:
            # Of an image's mean logit, where it has one for each patch.
            patches = real_logits.shape[1]
            at_real, at_fake = (g / patches for g in at_images.gradient([real_logits, fake_logits], [real, fake]))
            r1, r2 = tf.reduce_mean(gradient_penalty(at_real)), tf.reduce_mean(gradient_penalty(at_fake))
            means["r1"].update_state(r1)
            means["r2"].update_state(r2)
            loss += self.gamma() / 2 * (r1 + r2)
        seen = self._seen(real, fake, given, draws, None, of_real)
        terms = [(auxiliary, auxiliary.of_discriminator(seen)) for auxiliary in self.auxiliary]
        return self._added(loss, "d", terms), real_logits, fake_logits, of_real, of_fake

    def _look_at_both(self, real: Any, fake: Any, given: Tensors, draws: Draws) -> Iterable[Sequence[tf.Tensor]]:
        """`_look` at each. Second derivatives are a tenth faster in one batch, first ones need the fakes' alone."""
        if self.penalised:
            twice = {name: tf.concat([tensor, tensor], axis=0) for name, tensor in given.items()}
            both = self._look(tf.concat([real, fake], axis=0), twice, draws)
            return zip(*(tf.split(tensor, 2) for tensor in both), strict=True)
        return self._look(real, given, draws), self._look(fake, given, draws)

    def _slope_between(self, real: tf.Tensor, fake: tf.Tensor, given: Tensors, draws: Draws) -> tf.Tensor:
        part = draws.uniform(1)[:, :, None, None]
        between = real + part * (fake - real)
        with tf.GradientTape(watch_accessed_variables=False) as at_images:
            at_images.watch(between)
            logits = self._judge(between, given, draws)
        return at_images.gradient(logits, between)

    def _prepare(self, batch: Mapping[str, tf.Tensor], draws: Draws) -> tuple[tf.Tensor, Tensors]:
        """Images uint8 → float32 in [-1, 1], clips with frames as channels, and what conditions make of their columns.

        Where settings say so, half of the images are mirrored and all are moved a little, and with them what belongs
        to their pixels.
        """
        images = as_channels(tf.cast(batch["images"], tf.float32) / 127.5 - 1.0)
        given = prepared(self.conditions, batch)
        if self.settings.flip:
            mirrored = draws.uniform(1)[:, :, None, None] < 0.5

            def mirror(pictures: tf.Tensor) -> tf.Tensor:
                return tf.where(mirrored, tf.reverse(pictures, axis=[2]), pictures)

            images, given = self._changed(images, given, mirror)
        if self.settings.jitter:
            values = draws.uniform(2)
            images, given = self._changed(images, given, lambda x: moved(x, values, self.settings.jitter))
        return images, drawn(self.conditions, given, images, draws.uniform)

    def _changed(self, images: tf.Tensor, given: Tensors, change: Callable[[Any], Any]) -> tuple[tf.Tensor, Tensors]:
        """Images, and what belongs to their pixels, changed alike."""
        for condition in self.conditions:
            given = condition.augment(given, change)
        return change(images), given

    def _make(self, latents: tf.Tensor, given: Tensors) -> tf.Tensor:
        return as_channels(self.generator(together(latents, given), training=True))

    def _judge(self, images: tf.Tensor, given: Tensors, draws: Draws) -> tf.Tensor:
        return self._look(images, given, draws)[0]

    def _look(self, images: tf.Tensor, given: Tensors, draws: Draws) -> list[tf.Tensor]:
        """Logits, and what the discriminator compares of an image and its caption, if anything."""
        if self.settings.augment:
            images, given = tf.cond(
                self.augmented > 0.0, lambda: self._augment(images, given, draws), lambda: (images, given)
            )
        first = as_clips(images, self.settings.frames)
        tensors = together(first, {name: given[name] for name in self.judged})
        return [tf.cast(found, tf.float32) for found in tf.nest.flatten(self.looking(tensors, training=True))]

    def _augment(self, images: tf.Tensor, given: Tensors, draws: Draws) -> tuple[tf.Tensor, Tensors]:
        colour, move = changes(self.augmented, lambda values: draws.uniform(values, images.shape[0]))
        coloured = tf.reshape(colour(beside(images, self.settings.frames)), (-1, *images.shape[1:]))
        return self._changed(coloured, given, move)

    def _adapt_augmentation(self, accuracy: tf.Tensor, batch_size: int) -> None:
        """Along the ramp, or towards the accuracy that the discriminator is held at."""
        s = self.settings
        if not s.augment:
            return
        if not s.augment_target:
            self.augmented.assign(schedules.augmentation_on_ramp(s, self.progress()))
            return
        if self.replicas > 1:
            accuracy = tf.distribute.get_replica_context().all_reduce("MEAN", accuracy)
        self.augmented.assign(schedules.augmentation_towards_target(s, self.augmented, accuracy, batch_size))

    def _apply_generator(self, tape: tf.GradientTape, loss: tf.Tensor) -> None:
        """One step of the generator, and of each network that learns from its loss: one way back for all of them."""
        learning = [(self.generator, self.g_optimizer), *self.helpers.values()]
        variables = [network.trainable_variables for network, _ in learning]
        for (_, optimizer), each, gradients in zip(learning, variables, tape.gradient(loss, variables), strict=True):
            self._move(optimizer, each, gradients)

    def _apply_rivals(self, seen: Seen) -> None:
        """One step of each further discriminator."""
        for auxiliary in self.auxiliary:
            if auxiliary.rival is not None:
                with tf.GradientTape() as tape:
                    objective = auxiliary.of_rival(seen)
                self.means[f"rival_{auxiliary.name}"].update_state(objective)
                network, optimizer = self.rivals[auxiliary.name]
                self._apply(optimizer, network, tape, objective)

    def _apply(self, optimizer: Any, network: Any, tape: tf.GradientTape, loss: tf.Tensor) -> None:
        """One step."""
        variables = network.trainable_variables
        self._move(optimizer, variables, tape.gradient(loss, variables))

    def _move(self, optimizer: Any, variables: list[Any], gradients: list[Any]) -> None:
        """Optimisers add up the gradients of all devices, so each brings its part of the mean."""
        # Embeddings have sparse gradients, which Adam would treat in another way.
        parts = [tf.convert_to_tensor(g) / self.replicas for g in gradients]
        optimizer.apply_gradients(zip(parts, variables, strict=True))

    def _update_ema(self, batch_size: int) -> None:
        """Move the EMA towards the trained generator."""
        keep = schedules.ema_kept(self.settings, self.images_seen, batch_size)
        for mean, value in zip(self.ema.variables, self.generator.variables, strict=True):
            mean.assign(value + keep * (mean - value))


def together(first: Any, given: Mapping[str, Any]) -> Any:
    """What a network is called with: latents or images alone, or in a list with the tensors of the conditions.

    `first` is None for a generator without latents.
    """
    return [*([] if first is None else [first]), *map(tf.convert_to_tensor, given.values())] if given else first
