"""`tokens` int32 (N, L): words by their index in the vocabulary, 0 for none. The signature `text` takes texts instead.

A text is cut as training cut the captions: what becomes of each character stands in the interface beside the words.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from genexport.errors import ExportError
from genexport.roles.role import Array, Feed, Role
from genexport.roles.tensor import Tensor, Words

FILE = "vocabulary.txt"
"""The asset of the SavedModel."""

UNKNOWN = 1

LONGEST = 3
"""Example texts have up to so many words, and none now and then."""


class Tokens(Role):
    """Words that say what is to be seen."""

    name = "tokens"

    def feed(self, tensor: Tensor, signature: str) -> Feed:
        if signature == "text":
            tokenizer = Tokenizer(words_of(tensor), token_count(tensor))
            return Feed("texts", tf.string, (), tokenizer.__call__, tokenizer)
        return Feed("tokens", tf.int32, (token_count(tensor),))

    def examples(self, tensor: Tensor, count: int, first: int) -> tf.Tensor:
        return Tokenizer(words_of(tensor), token_count(tensor))(tf.constant(_texts(tensor, count, first)))

    def others(self, tensor: Tensor, count: int, first: int) -> dict[str, Any]:
        return {"texts": _texts(tensor, count, first)}

    def facts_of(self, tensor: Tensor) -> dict[str, Any]:
        return {"word_count": len(words_of(tensor).vocabulary) - 2}

    def words(self, shape: tuple[int | None, ...], manifest: Mapping[str, Any]) -> str:
        return f"{shape[1]} of {manifest['word_count']:,} words"


class Tokenizer(tf.Module):
    """Texts → tokens, in a graph: its tables are part of the SavedModel, the words as an asset."""

    def __init__(self, words: Words, length: int) -> None:
        super().__init__()
        self._folder, self._length, self._alone = tempfile.TemporaryDirectory(), length, words.alone
        file = Path(self._folder.name) / FILE
        file.write_text("".join(f"{word}\n" for word in words.vocabulary), encoding="utf-8")
        lines = tf.lookup.TextFileInitializer(
            str(file), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER
        )
        self._index = tf.lookup.StaticHashTable(lines, UNKNOWN)
        pairs = [(letter, becomes) for becomes, letters in words.folding.items() for letter in letters] or [(" ", " ")]
        letters, become = zip(*pairs, strict=True)
        folding = tf.lookup.KeyValueTensorInitializer(list(letters), list(become), tf.string, tf.string)
        self._folding = tf.lookup.StaticHashTable(folding, _STAYS)

    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """String (N,), UTF-8 → int32 (N, L)."""
        codes = tf.strings.unicode_decode(texts, "UTF-8")
        letters = tf.strings.unicode_encode(codes.values[:, None], "UTF-8")
        folded = self._folding.lookup(letters)
        became = tf.where(folded == _STAYS, self._apart(letters, codes.values), folded)
        written = tf.strings.reduce_join(codes.with_values(became), axis=1)
        words = tf.strings.split(written, " ")
        words = tf.ragged.boolean_mask(words, words != "")
        indices = words.with_values(tf.cast(self._index.lookup(words.values), tf.int32))
        return indices.to_tensor(0, shape=(None, self._length))

    def _apart(self, letters: tf.Tensor, codes: tf.Tensor) -> tf.Tensor:
        """Characters that are words of their own, between blanks."""
        alone = tf.zeros_like(codes, tf.bool)
        for first, last in self._alone:
            alone |= (codes >= first) & (codes <= last)
        return tf.where(alone, tf.strings.join([" ", letters, " "]), letters)


_STAYS = b"\xff"
"""No text in UTF-8: what the table says of a character that it does not have."""


def token_count(tensor: Tensor) -> int:
    """L."""
    return int(tensor.shape[1] or 0)


def words_of(tensor: Tensor) -> Words:
    """The vocabulary; raises ExportError where the interface has none that fits its range."""
    if tensor.words is None or len(tensor.words.vocabulary) < UNKNOWN + 2:
        raise ExportError(f"interface.json: input {tensor.name}: no vocabulary, which tokens need")
    if tensor.range is not None and tensor.range[1] != len(tensor.words.vocabulary) - 1:
        raise ExportError(
            f"interface.json: input {tensor.name}: {len(tensor.words.vocabulary)} words, and tokens up to "
            f"{tensor.range[1]:g}: the vocabulary is another model's"
        )
    return tensor.words


def _texts(tensor: Tensor, count: int, first: int) -> Array:
    """Texts of the seeds first to first + count − 1, UTF-8 (count,): every word in turn, among others."""
    return np.array([" ".join(_some(words_of(tensor).vocabulary, i)).encode() for i in range(first, first + count)])


def _some(vocabulary: Sequence[str], number: int) -> Iterator[str]:
    """None to three words, some of them in capitals; one that is not known where the number is 15 modulo 16."""
    known = vocabulary[UNKNOWN + 1 :]
    if number % 16 == 15:
        yield "?unheard-of!"
    for k in range(number % (LONGEST + 1)):
        word = known[(number + k * 7919) % len(known)]
        yield word.upper() if number % 5 == 0 else word
