"""Losses beside the adversarial one: a condition brings along or names those that its task needs, and settings may add
for a second discriminator (features.py). `gentrain.training.auxiliaries` puts them together with their networks.

A pixel-wise distance, a score for pairs that do not match, a contrast of patches: each is a class here or outside, and
the training step adds it up without knowing it. One that learns something itself brings its network along.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import tensorflow as tf


@dataclass(frozen=True)
class Seen:
    """What a loss may look at in one step.

    Attributes:
        real: float32 (N, H, W, C) in [-1, 1].
        fake: the generator's images for the same condition, of the same shape.
        inputs: the tensors of the conditions, by name.
        discriminate: images and inputs → logits (N, 1), augmented as all that the discriminator sees.
        change: images and a probability → images, so large a part of them changed by DiffAugment.
        uniform: `uniform(k, n)` → float32 (n, k) in [0, 1), others at each call, the same ones after a restart.
        latents: those of `fake`, float32 (N, Z); None in what the discriminator minimises, and without latents.
        factors: where the discriminator compares images with captions, float32 (N, F) each: the features of the real
            images, or in what the generator minimises of `fake`, and those that the captions ask for; else none.
        real_factors: in what the generator minimises the same of the real images, or none.
        kept: what a loss computed for one network and needs again for another.
    """

    real: tf.Tensor
    fake: tf.Tensor
    inputs: Mapping[str, tf.Tensor]
    discriminate: Callable[[tf.Tensor, Mapping[str, tf.Tensor]], tf.Tensor]
    change: Callable[[tf.Tensor, float], tf.Tensor]
    uniform: Callable[[int, int], tf.Tensor]
    latents: tf.Tensor | None = None
    factors: Sequence[tf.Tensor] = ()
    real_factors: Sequence[tf.Tensor] = ()
    kept: dict[str, Any] = field(default_factory=dict)


class Auxiliary:
    """One loss; both of its terms are nothing unless a class says otherwise.

    Attributes:
        name: in the log its terms are `g_NAME` and `d_NAME`.
        weight: of its terms in what the networks minimise; the log has them without it.
        network: a Keras model that learns from this loss together with the generator, or None.
        rival: a Keras model that learns against the generator, after each of its steps, by `of_rival`; or None.
        rate: the rival's learning rate, as a multiple of the run's.
    """

    name: ClassVar[str]
    network: Any = None
    rival: Any = None
    rate: ClassVar[float] = 1.0

    def __init__(self, weight: float = 1.0) -> None:
        self.weight = weight

    @property
    def logged(self) -> list[str]:
        """The keys of the terms that it has."""
        own = type(self)
        terms = {"g": own.of_generator is not Auxiliary.of_generator}
        terms |= {"d": own.of_discriminator is not Auxiliary.of_discriminator}
        terms |= {"rival": own.of_rival is not Auxiliary.of_rival}
        return [f"{network}_{self.name}" for network, has in terms.items() if has]

    def of_generator(self, seen: Seen) -> tf.Tensor | None:
        """A scalar that the generator minimises too."""
        return None

    def choose(self, latents: tf.Tensor, seen: Seen) -> tf.Tensor:
        """The latents (N, Z) that the generator's step is for, given those that were drawn; `seen.fake` is not made."""
        return latents

    def of_discriminator(self, seen: Seen) -> tf.Tensor | None:
        """A scalar that the discriminator minimises too."""
        return None

    def of_rival(self, seen: Seen) -> tf.Tensor | None:
        """The scalar that `rival` minimises, called after `of_generator` with the same `seen`."""
        return None

    def weight_at(self, progress: tf.Tensor) -> Any:
        """The weight now, `progress` being how much of the training is done, float32 from 0 to 1."""
        return self.weight

    def others_at(self, progress: tf.Tensor) -> Any:
        """By how much all other terms of the generator are multiplied now, the adversarial one included."""
        return 1.0


class L1(Auxiliary):
    """The mean distance of generated images from the real ones with the same condition.

    Source: "Image-to-Image Translation with Conditional Adversarial Networks", arXiv 1611.07004.
    """

    name = "l1"

    def of_generator(self, seen: Seen) -> tf.Tensor:
        """Mean of |real − fake|."""
        return tf.reduce_mean(tf.abs(seen.real - seen.fake))
