"""Roles of models that make images of words: texts, which the model looks up itself, or tokens, their indices."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from genclient.errors import UsageError
from genclient.model.role import INTEGERS, Column, Given, Role, check_size, has_rank
from genclient.model.signature import TensorSpec
from genclient.model.vocabulary import MAX_TOKENS, well_formed


class TextsRole(Role):
    """Texts, string (N,); of a model that makes images, where there are none, empty ones: whatever it likes."""

    name = "texts"
    expected = "texts to be string (N)"
    guessed = False
    instead: ClassVar[tuple[str, ...]] = ("tokens",)

    def fits(self, spec: TensorSpec) -> bool:
        """Strings of one dimension."""
        return spec.dtype == "string" and has_rank(spec, 1)

    def column(self, spec: TensorSpec, given: Given, count: int | None) -> Column:
        """One for all, or one for each."""
        texts = given.get(self.name)
        texts = "" if texts is None else texts
        if isinstance(texts, str):
            one = encoded([texts])
            return Column(lambda start, stop: np.repeat(one, stop - start), None if count is not None else 1)
        array = encoded(texts)
        return Column(lambda start, stop: array[start:stop], len(array))

    def refuse(self, given: Given) -> None:
        """Texts, where the model has tokens."""
        if given.get(self.name) is not None:
            raise UsageError(
                "texts: found some, expected tokens with a signature that takes those; Client.tokens makes them"
            )

    def sent(self, array: NDArray[Any], spec: TensorSpec) -> NDArray[Any]:
        """As they are."""
        return array


class TokensRole(Role):
    """Words by their index in the model's vocabulary, int32 (N, L), filled up with zeros."""

    name = "tokens"
    expected = "tokens to be integers (N, L)"
    guessed = False
    instead = ("texts",)

    def fits(self, spec: TensorSpec) -> bool:
        """Whole numbers of two dimensions, the second of a known size."""
        rank = spec.shape is not None and len(spec.shape) == 2
        return spec.dtype in INTEGERS and rank and 1 <= ((spec.shape or (0, 0))[1] or 0) <= MAX_TOKENS

    def column(self, spec: TensorSpec, given: Given, count: int | None) -> Column:
        """One row for all, or one for each; no words where there are none."""
        length = (spec.shape or (0, 0))[1] or 0
        array = np.asarray(np.zeros(length, np.int32) if given.get(self.name) is None else given[self.name])
        shared = array.ndim == 1
        array = array[None] if shared else array
        if array.ndim != 2 or array.dtype.kind not in "iu" or (array.size and array.min() < 0):
            raise UsageError(f"tokens: found {array.dtype} {array.shape}, expected indices of words (N, {length})")
        check_size(self.name, array, spec)
        if shared:
            return Column(lambda start, stop: np.repeat(array, stop - start, axis=0))
        return Column(lambda start, stop: array[start:stop], len(array))

    def refuse(self, given: Given) -> None:
        """Tokens, where the model has texts."""
        if given.get(self.name) is not None:
            raise UsageError("tokens: found some, expected texts with a signature that takes those")


TEXTS, TOKENS = TextsRole(), TokensRole()


def encoded(texts: Any) -> NDArray[Any]:
    """Texts as UTF-8, bytes objects (N,).

    Raises:
        UsageError: they are no texts.
    """
    if not isinstance(texts, (list, tuple, np.ndarray)) or not all(isinstance(text, str) for text in texts):
        raise UsageError(f"texts: found {texts!r:.60}, expected a text, or a list of them")
    array = np.empty(len(texts), object)
    array[:] = [well_formed(text).encode() for text in texts]
    return array
