"""What a generator takes beside latents, and how a discriminator judges it: the one place for a further condition.

A condition (nothing, class labels; later text, or an image) says which inputs both networks get, how they are joined to
the latents, and how they bear on the logits. The networks themselves never see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import keras
from keras import layers

if TYPE_CHECKING:
    from gentrain.networks.parts import Initializers


class Nothing:
    """An unconditional GAN: `latents` alone."""

    def inputs(self) -> list[Any]:
        """The Keras inputs beside latents or images."""
        return []

    def join(self, latents: Any, inputs: list[Any], init: Initializers) -> Any:
        """Latents (N, Z) and the condition's inputs → what the generator's layers start from, (N, any)."""
        return latents

    def logits(self, features: Any, inputs: list[Any], init: Initializers) -> Any:
        """The discriminator's last features (N, F) → float32 logits (N, 1)."""
        return layers.Dense(1, kernel_initializer=init(), dtype="float32", name="logits")(features)


class Labels(Nothing):
    """Classes, as `labels` int32 (N,): an embedding beside the latents, and a projection critic.

    Source: "cGANs with Projection Discriminator", arXiv 1802.05637.
    """

    def __init__(self, classes: int) -> None:
        self.classes = classes

    def inputs(self) -> list[Any]:
        return [keras.Input((), dtype="int32", name="labels")]

    def join(self, latents: Any, inputs: list[Any], init: Initializers) -> Any:
        embedded = layers.Embedding(
            self.classes, latents.shape[-1], embeddings_initializer=init.normal(), name="classes"
        )(inputs[0])
        return layers.Concatenate()([latents, embedded])

    def logits(self, features: Any, inputs: list[Any], init: Initializers) -> Any:
        size = features.shape[-1]
        expected = layers.Embedding(self.classes, size, embeddings_initializer=init.normal(size**-0.5), name="classes")
        match = layers.Dot(axes=1, dtype="float32")([features, expected(inputs[0])])
        return layers.Add(dtype="float32", name="with_class")([super().logits(features, inputs, init), match])


def condition_of(classes: int) -> Nothing:
    """Labels of so many classes, or nothing for 0."""
    return Labels(classes) if classes else Nothing()
