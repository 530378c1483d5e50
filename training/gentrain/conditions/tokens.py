"""Captions, as `tokens` int32 (N, L): words by their index in the vocabulary, 0 for padding; a bag of words.

They stand beside the latents where these enter the generator, and both again where its first feature map is made: what
scales and shifts feature maps at every size leaves stripes on pictures. The discriminator has an encoder of its own and
a projection, by which it tells a picture's caption from others (the setting `mismatch`); `likeness` holds pictures to
those that have the caption, and `diversity` keeps the seeds of a caption apart.

Source: "cGANs with Projection Discriminator", arXiv 1802.05637.
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

GENERATOR_WORD, GENERATOR_SIZE = 256, 256
DISCRIMINATOR_WORD, DISCRIMINATOR_SIZE = 128, 128

SPREAD = 0.1
"""Of the generator's embeddings at first: with 1 a rare word has hardly moved when the run is over.

The discriminator's are 1: with so little its slopes are ten times as steep, and it lost its balance.
"""

MOST = 64
"""Words that a picture has in all of its captions: further ones are not learned from."""

FEW, NONE = 1.5, 0.02
"""More than 1 makes few words more frequent than many; more than 0 makes some texts empty: one in 60 of ten words."""

NAMED = 0.3
"""The part of the texts that are the first words of an image's captions, which are its name, instead of any."""

FIT = "fit"
"""The layer of the discriminator whose two inputs are an image's features and those that its caption asks for."""


class Tokens(Condition):
    """The captions of a data set, some of a picture's words at a time; names of classes where there are none."""

    name = "tokens"
    task = "text-to-image"
    learns_by = ("mismatch", "likeness", "diversity")

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
        """The words of all captions of each image, each once, int32 (N, most words); zeros where there are fewer."""
        of = self.vocabulary.indices
        found = [list(dict.fromkeys(i for text in texts for i in of(text))) for texts in self.captions]
        tokens = np.zeros((len(found), min(MOST, max(1, *map(len, found)))), np.int32)
        for row, indices in zip(tokens, found, strict=True):
            row[: len(indices)] = indices[: len(row)]
        return tokens

    def tokens(self, texts: Sequence[str]) -> Array:
        """Texts (N) → int32 (N, L)."""
        found = np.zeros((len(texts), LONGEST), np.int32)
        for row, text in zip(found, texts, strict=True):
            indices = self.vocabulary.indices(text)[:LONGEST]
            row[: len(indices)] = indices
        return found

    def draw(self, tensors: Tensors, images: Any, uniform: Callable[[int], Any]) -> Tensors:
        return tensors | {"tokens": some_words(tensors["tokens"], uniform(2 + tensors["tokens"].shape[1]))}

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
        style = layers.Concatenate()([latents, encoder(self._bag(inputs, init, GENERATOR_WORD, SPREAD))])
        self._styles[id(inputs["tokens"])] = (inputs["tokens"], style)  # kept, so that no other gets its id
        return style

    def enter_start(self, start: Any, inputs: Tensors, init: Initializers) -> Any:
        from keras import layers

        _, style = self._styles[id(inputs["tokens"])]
        return layers.Concatenate()([start, style])

    def see_features(self, features: Any, inputs: Tensors, init: Initializers) -> Any:
        from keras import layers

        encoder = layers.Dense(DISCRIMINATOR_SIZE, activation="relu", kernel_initializer=init())
        hidden = encoder(self._bag(inputs, init, DISCRIMINATOR_WORD))
        expected = layers.Dense(features.shape[-1], kernel_initializer=init())(hidden)
        return layers.Dot(axes=1, dtype="float32", name=FIT)([features, expected])

    def _bag(self, inputs: Tensors, init: Initializers, size: int, spread: float = 1.0) -> Any:
        """The sum of the embeddings of a text's known words, (N, size), of one spread however many they are.

        Padding and unknown words add exactly nothing. Were padding a word like others, it would be most of the sum, and
        its rounding in a TFLite file would count a dozen times.
        """
        from keras import layers

        count = len(self.vocabulary.words)
        words = layers.Embedding(count, size, embeddings_initializer=init.normal(spread), name="words")
        is_word = layers.Embedding(count, 1, trainable=False, name="is_word")
        vectors = layers.Multiply()([words(inputs["tokens"]), is_word(inputs["tokens"])])
        is_word.set_weights([np.arange(count, dtype=np.float32)[:, None] > 1])
        # Not UnitNormalization: for an empty text that has 0 · ∞, which LiteRT makes a NaN of.
        scaled = layers.LayerNormalization(center=False, scale=False, epsilon=1e-6)
        return scaled(layers.GlobalAveragePooling1D()(vectors))


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


def some_words(tokens: Any, drawn: Any) -> Any:
    """Some of each picture's words, most often few: any, or `NAMED` of the time the first ones.

    Args:
        tokens: int32 (N, M), 0 where a picture has no more words.
        drawn: float32 (N, 2 + M) in [0, 1): how many, whether the first ones, and else in which order they are taken.

    Returns:
        int32 (N, L).
    """
    import tensorflow as tf

    tokens, drawn = tf.convert_to_tensor(tokens), tf.cast(drawn, tf.float32)
    first = tf.linspace(1.0, 0.0, tokens.shape[1])[None]
    order = tf.where(drawn[:, 1:2] < NAMED, first, drawn[:, 2:])
    order, places = tf.math.top_k(tf.where(tokens > 0, order, -1.0), min(LONGEST, tokens.shape[1]))
    count = tf.reduce_sum(tf.cast(order >= 0, tf.float32), axis=1)
    taken = tf.math.ceil(tf.pow(drawn[:, 0], FEW) * count - NONE)
    chosen = tf.gather(tokens, places, batch_dims=1)
    kept = tf.where(tf.range(chosen.shape[1], dtype=tf.float32) < taken[:, None], chosen, 0)
    return tf.pad(kept, [[0, 0], [0, LONGEST - kept.shape[1]]])
