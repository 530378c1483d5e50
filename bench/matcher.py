"""Which caption a picture fits best: the judge of pictures from words, which learned from drawings of other houses.

A small CLIP (arXiv 2103.00020): pictures by the features of EfficientNet-Lite0 and by their colours, captions by the
words in them, each through one dense layer to where those that belong together are near. `PixelMatcher` is the same
without a pretrained net, a relative of which a training may have looked through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

SIZE = 128
STEPS, BATCH = 500, 256
FEWEST = 3  # captions that have a word
LEFT_OUT = 0.5  # the part of a caption's words at most
AMONG = 100
"""One right caption and so many less one of other things."""

Array = np.ndarray[Any, Any]


def words_of(text: str) -> list[str]:
    """Each word once, as gentrain cuts them."""
    from gentrain.conditions.vocabulary import folded

    return list(dict.fromkeys(folded(text).split()))


class Matcher:
    """Scores pictures uint8 (N, 32, 32, 3) beside captions, and says of which kind they are."""

    pretrained = True

    def __init__(self, pictures: Array, texts: Sequence[str], kinds: Sequence[str], seed: int = 0) -> None:
        """Learns from pictures with a caption and a kind each; those with one caption are of one thing."""
        import keras
        from gentrain.metrics.pretrained import PretrainedNet

        keras.utils.set_random_seed(seed)
        if self.pretrained:
            self.net = PretrainedNet()
        seen = self._seen(pictures)
        self.mean, self.spread = seen.mean(axis=0), seen.std(axis=0) + 1e-3
        counts = Counter(word for text in texts for word in words_of(text))
        self.index = {word: i for i, word in enumerate(w for w, times in counts.items() if times >= FEWEST)}
        self.kinds = sorted(set(kinds))
        self._learn((seen - self.mean) / self.spread, texts, np.array([self.kinds.index(kind) for kind in kinds]))

    def features(self, pictures: Array) -> Array:
        """Float32 (N, F), of the spread of those that it learned from."""
        return (self._seen(pictures) - self.mean) / self.spread

    def bags(self, texts: Sequence[str]) -> Array:
        """Float32 (N, words): which of the words that it knows are in each text."""
        bags = np.zeros((len(texts), len(self.index)), np.float32)
        for bag, text in zip(bags, texts, strict=True):
            bag[[self.index[word] for word in words_of(text) if word in self.index]] = 1
        return bags

    def scores(self, features: Array, texts: Sequence[str]) -> Array:
        """Float32 (N, M), higher where a picture fits a text better."""
        return np.asarray(self._by_picture(features)) @ np.asarray(self._by_text(self.bags(texts))).T

    def kinds_of(self, features: Array) -> list[str]:
        """The kind that each picture is taken for."""
        return [self.kinds[at] for at in np.argmax(self._by_kind(features), axis=1)]

    def _seen(self, pictures: Array) -> Array:
        from gentrain.metrics.features import features_of

        count, side = pictures.shape[:2]
        colours = pictures.reshape(count, 4, side // 4, 4, side // 4, 3).mean(axis=(2, 4)).reshape(count, -1)
        return np.concatenate([features_of(self.net, pictures), colours / 255], axis=1).astype(np.float32)

    def _learn(self, features: Array, texts: Sequence[str], kinds: Array) -> None:
        import keras
        import tensorflow as tf

        self._by_picture = self._with_length_1(features.shape[1:], 0.5)
        self._by_text = self._with_length_1((len(self.index),), 0.0)
        self._by_kind = self._of_pictures(features.shape[1:], keras.layers.Dense(len(self.kinds)))
        sharpness = keras.Variable(2.0)
        models = (self._by_picture, self._by_text, self._by_kind)
        weights = [sharpness, *(weight for model in models for weight in model.trainable_variables)]
        rate = keras.optimizers.schedules.CosineDecay(2e-3, STEPS)
        optimizer = keras.optimizers.AdamW(rate, weight_decay=0.02)
        entropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

        @tf.function  # type: ignore[untyped-decorator]
        def step(pictures: Any, bags: Any, kinds: Any) -> Any:
            with tf.GradientTape() as tape:
                apart = tf.matmul(self._by_picture(pictures, training=True), self._by_text(bags), transpose_b=True)
                logits, right = tf.exp(sharpness) * apart, tf.range(len(apart))
                loss = entropy(right, logits) + entropy(right, tf.transpose(logits))
                loss += entropy(kinds, self._by_kind(pictures, training=True))
            optimizer.apply_gradients(zip(tape.gradient(loss, [v.value for v in weights]), weights, strict=True))
            return loss

        rng, bags = np.random.default_rng(0), self.bags(texts)
        names = np.unique(np.array(texts), return_inverse=True)[1]
        for _ in range(STEPS):
            drawn = rng.permutation(len(names))
            chosen = drawn[np.unique(names[drawn], return_index=True)[1]]  # one drawing of each thing
            chosen = rng.permutation(chosen)[:BATCH]
            kept = rng.random((len(chosen), bags.shape[1])) >= LEFT_OUT * rng.random((len(chosen), 1))
            step(self._moved(features[chosen], rng), bags[chosen] * kept, kinds[chosen])

    def _with_length_1(self, shape: tuple[int, ...], hide: float) -> Any:
        import keras

        given = keras.Input(shape)
        x = keras.layers.Dropout(hide)(given if len(shape) == 1 else self._trunk(given))
        return keras.Model(given, keras.layers.UnitNormalization()(keras.layers.Dense(SIZE)(x)))

    def _of_pictures(self, shape: tuple[int, ...], head: Any) -> Any:
        import keras

        given = keras.Input(shape)
        x = given if len(shape) == 1 else self._trunk(given)
        return keras.Model(given, head(keras.layers.Dropout(0.5)(x)))

    def _trunk(self, given: Any) -> Any:
        """What pictures that are no vectors of features go through."""
        raise NotImplementedError

    def _moved(self, features: Array, rng: np.random.Generator) -> Array:
        """Drawings as a step learns from them."""
        return features


class PixelMatcher(Matcher):
    """The same by convolutions on pixels, which have learned from the same drawings and from nothing else."""

    pretrained = False

    def _seen(self, pictures: Array) -> Array:
        return pictures.astype(np.float32) / 255

    def _trunk(self, given: Any) -> Any:
        from keras import layers

        x = given
        for width in (48, 96, 192):
            x = layers.LeakyReLU(0.1)(layers.Conv2D(width, 3, 2, "same")(x))
            x = layers.SpatialDropout2D(0.1)(layers.BatchNormalization()(x))
        return layers.Concatenate()([layers.GlobalAveragePooling2D()(x), layers.Flatten()(x)])

    def _moved(self, features: Array, rng: np.random.Generator) -> Array:
        return np.stack([np.roll(one, rng.integers(-3, 4, 2), axis=(0, 1)) for one in features])


def ranks(scores: Array, right: Array, others: Sequence[Array]) -> Array:
    """For each row of scores (N, M), how many of its `others` score at least as high as its `right` one, int (N,)."""
    return np.array([int((row[other] >= row[of]).sum()) for row, of, other in zip(scores, right, others, strict=True)])
