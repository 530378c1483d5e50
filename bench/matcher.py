"""Which caption a picture fits best: the judge of pictures from words, which learned from drawings of other houses.

A small CLIP (arXiv 2103.00020): pictures by the features of EfficientNet-Lite0 and by their colours, captions by the
words in them, each through one dense layer to where those that belong together are near.
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

    def __init__(self, pictures: Array, texts: Sequence[str], kinds: Sequence[str], seed: int = 0) -> None:
        """Learns from pictures with a caption and a kind each; those with one caption are of one thing."""
        import keras
        from gentrain.metrics.pretrained import PretrainedNet

        keras.utils.set_random_seed(seed)
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

        def encoder(width: int, hide: float) -> Any:
            given = keras.Input((width,))
            x = keras.layers.Dropout(hide)(given)
            return keras.Model(given, keras.layers.UnitNormalization()(keras.layers.Dense(SIZE)(x)))

        self._by_picture, self._by_text = encoder(features.shape[1], 0.5), encoder(len(self.index), 0.0)
        self._by_kind = keras.Sequential(
            [keras.layers.Input((features.shape[1],)), keras.layers.Dropout(0.5), keras.layers.Dense(len(self.kinds))]
        )
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
            step(features[chosen], bags[chosen] * kept, kinds[chosen])


def ranks(scores: Array, right: Array, others: Sequence[Array]) -> Array:
    """For each row of scores (N, M), how many of its `others` score at least as high as its `right` one, int (N,)."""
    return np.array([int((row[other] >= row[of]).sum()) for row, of, other in zip(scores, right, others, strict=True)])
