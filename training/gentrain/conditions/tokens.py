"""Captions, as `tokens` int32 (N, L): words by their index in the vocabulary, 0 for padding; a bag of words.

The caption's embedding and the latents scale and shift the feature maps of every level of the generator. The
discriminator has an encoder of its own and a projection, and learns from mismatched captions too (the setting
`mismatch`); the setting `diversity` keeps the seeds of a caption apart.

Sources: "DF-GAN: A Simple and Effective Baseline for Text-to-Image Synthesis", arXiv 2008.05865, and "cGANs with
Projection Discriminator", arXiv 1802.05637.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain.conditions.base import Array, Condition, Tensors
from gentrain.conditions.vocabulary import Vocabulary
from gentrain.errors import TrainError, UsageError

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset
    from gentrain.networks.parts import Initializers
    from gentrain.settings import Settings

LONGEST = 16
"""L: further words of a text are cut off."""

WORD_SIZE, GENERATOR_SIZE, DISCRIMINATOR_SIZE = 96, 64, 128

USUAL = 3
"""Words of a text, as requests have them."""

LEFT_OUT = 0.15
"""The part of a caption's words that is left out at random in training: requests are shorter than captions."""


class Tokens(Condition):
    """The captions of a data set, one of each picture's at a time; names of classes where there are none."""

    name = "tokens"
    task = "text-to-image"
    learns_by = ("mismatch", "diversity")

    def __init__(self, vocabulary: Vocabulary, captions: Sequence[Sequence[str]]) -> None:
        self.vocabulary, self.captions = vocabulary, captions
        self._styles: dict[int, tuple[Any, Any]] = {}

    @classmethod
    def of(cls, dataset: Dataset) -> Tokens:
        captions = captions_of(dataset)
        vocabulary = Vocabulary.of(text for texts in captions for text in texts)
        if len(vocabulary.words) < 4:
            raise TrainError(
                f"{dataset.source}: its captions have no two words that occur twice, nothing can be learned"
            )
        return cls(vocabulary, captions)

    def configure(self, settings: Settings) -> None:
        if not settings.latent_size:
            raise UsageError("latent_size 0: words enter beside the latents; give it 16 or so")

    def columns(self, dataset: Dataset) -> Mapping[str, Array]:
        return {"tokens": self._of_all}

    @cached_property
    def _of_all(self) -> Array:
        """The captions of each image, int32 (N, most captions, L); zeros where an image has fewer."""
        most = max(map(len, self.captions))
        tokens = np.zeros((len(self.captions), most, LONGEST), np.int32)
        for row, texts in zip(tokens, self.captions, strict=True):
            row[: len(texts)] = self.tokens(texts)
        return tokens

    def tokens(self, texts: Sequence[str]) -> Array:
        """Texts (N) → int32 (N, L)."""
        found = np.zeros((len(texts), LONGEST), np.int32)
        for row, text in zip(found, texts, strict=True):
            indices = self.vocabulary.indices(text)[:LONGEST]
            row[: len(indices)] = indices
        return found

    def draw(self, tensors: Tensors, images: Any, uniform: Callable[[int], Any]) -> Tensors:
        return tensors | {"tokens": one_of_each(tensors["tokens"], uniform(1 + LONGEST))}

    def examples(self, most: int) -> Mapping[str, Array]:
        return {"tokens": self.tokens(self.shown(most))}

    def shown(self, most: int) -> list[str]:
        """The captions of image grids: the first ones of pictures from everywhere in the data, each once."""
        first = list(dict.fromkeys(texts[0] for texts in self.captions if texts))
        return [first[i] for i in np.linspace(0, len(first) - 1, min(most, len(first))).astype(int)]

    def inputs(self) -> Tensors:
        import keras

        return {"tokens": keras.Input((LONGEST,), dtype="int32", name="tokens")}

    def interface(self) -> list[dict[str, Any]]:
        span = [0, len(self.vocabulary.words) - 1]
        about = {"name": "tokens", "role": "tokens", "dtype": "int32", "shape": [None, LONGEST], "range": span}
        return [about | self.vocabulary.describe()]

    def enter_latents(self, latents: Any, inputs: Tensors, init: Initializers) -> Any:
        from keras import layers

        encoder = layers.Dense(GENERATOR_SIZE, activation="relu", kernel_initializer=init())
        style = layers.Concatenate()([latents, encoder(self._bag(inputs, init))])
        self._styles[id(inputs["tokens"])] = (inputs["tokens"], style)  # kept, so that no other gets its id
        return style

    def enter_features(self, features: Any, inputs: Tensors, init: Initializers) -> Any:
        from keras import layers

        _, style = self._styles[id(inputs["tokens"])]
        channels = features.shape[-1]
        scale, shift = (
            layers.Reshape((1, 1, channels))(layers.Dense(channels, kernel_initializer=init())(style)) for _ in range(2)
        )
        return layers.Add()([features, layers.Multiply()([features, scale]), shift])

    def see_features(self, features: Any, inputs: Tensors, init: Initializers) -> Any:
        from keras import layers

        hidden = layers.Dense(DISCRIMINATOR_SIZE, activation="relu", kernel_initializer=init())(self._bag(inputs, init))
        expected = layers.Dense(features.shape[-1], kernel_initializer=init())(hidden)
        return layers.Dot(axes=1, dtype="float32")([features, expected])

    def _bag(self, inputs: Tensors, init: Initializers) -> Any:
        """The embeddings of a text's words together, (N, 96): of unit spread for as many words as is usual.

        Padding adds exactly nothing. Were it a word like others, it would be most of the mean: captions would hardly be
        seen beside the latents, and its rounding in a TFLite file would count a dozen times.
        """
        from keras import layers

        count = len(self.vocabulary.words)
        words = layers.Embedding(count, WORD_SIZE, embeddings_initializer=init.normal(), name="words")
        is_word = layers.Embedding(count, 1, trainable=False, name="is_word")
        vectors = layers.Multiply()([words(inputs["tokens"]), is_word(inputs["tokens"])])
        is_word.set_weights([np.arange(count, dtype=np.float32)[:, None] > 0])
        return layers.Rescaling(LONGEST / USUAL**0.5)(layers.GlobalAveragePooling1D()(vectors))


def captions_of(dataset: Dataset) -> list[list[str]]:
    """The captions of each picture, or the name of its class.

    Raises:
        TrainError: it has neither.
    """
    if "captions" in dataset.columns:
        return [[text for text in row.decode().split("\n") if text] for row in dataset.columns["captions"].tolist()]
    if dataset.labels is None:
        raise TrainError(
            f"{dataset.source}: has neither captions nor classes: expected metadata.csv with a column text, "
            "a .txt beside each picture, or folders of classes"
        )
    return [[dataset.class_names[label]] for label in dataset.labels]


def one_of_each(tokens: Any, drawn: Any) -> Any:
    """One caption of each picture's, some of its words left out.

    Args:
        tokens: int32 (N, captions, L); those of 0 alone, at the end, are none.
        drawn: float32 (N, 1 + L) in [0, 1): which caption, and for each word whether it is left out.

    Returns:
        int32 (N, L).
    """
    import tensorflow as tf

    tokens, drawn = tf.convert_to_tensor(tokens), tf.cast(drawn, tf.float32)
    count = tf.reduce_sum(tf.cast(tf.reduce_any(tokens > 0, axis=2), tf.float32), axis=1)
    chosen = tf.gather(tokens, tf.cast(drawn[:, 0] * tf.maximum(count, 1.0), tf.int32), batch_dims=1)
    return tf.where(drawn[:, 1:] < LEFT_OUT, 0, chosen)
