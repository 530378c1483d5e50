"""From texts to tokens: words by their index in a model's vocabulary, cut as docs/contracts.md says ("Words").

What becomes of each character stands beside the words, so no tables of Unicode are needed; a server's graph, the page
in the browser and the C program cut a text in the same way.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

UNKNOWN = 1
"""The index of words that the model does not know; 0 is no word."""

MAX_TOKENS = 2**16

_SURROGATES = re.compile("[\ud800-\udfff]+")
_NEAR = 3
"""Words that are named in place of an unknown one, at most."""


@dataclass(frozen=True)
class Vocabulary:
    """Words by their index, and what becomes of characters.

    Attributes:
        words: that for padding, that for unknown words, then those that are known.
        folding: replacement → all characters that become it.
        alone: first and last code points of characters that are words of their own.
    """

    words: tuple[str, ...]
    folding: Mapping[str, str] = field(default_factory=dict)
    alone: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, tensor: Mapping[str, Any]) -> Vocabulary | None:
        """That of an input as an interface describes it; None where it has none.

        Raises:
            ValueError: what it has is no vocabulary.
        """
        words, folding, alone = (tensor.get(name) or () for name in ("vocabulary", "folding", "alone"))
        if not words:
            return None
        pairs = folding.items() if isinstance(folding, dict) else folding
        try:
            if not all(isinstance(text, str) for text in (*words, *(text for pair in pairs for text in pair))):
                raise ValueError
            if "range" in tensor and int(tensor["range"][1]) != len(words) - 1:
                raise ValueError
            spans = tuple((int(first), int(last)) for first, last in alone)
            return cls(tuple(words), dict(pairs), spans)
        except (TypeError, ValueError, LookupError):
            raise ValueError(
                "expected vocabulary, folding and alone of this model, as docs/contracts.md has them"
            ) from None

    def split(self, text: str) -> list[str]:
        """The words of a text as the model sees them, known ones and others."""
        becomes = self._becomes
        folded = "".join([becomes[c] if c in becomes else self._apart(c) for c in well_formed(text)])
        return [word for word in folded.split(" ") if word]

    def tokens(self, texts: Sequence[str], length: int) -> NDArray[np.int32]:
        """int32 (N, L): the first `length` words of each text by their index, filled up with zeros."""
        import numpy as np  # --help needs this module, and no arrays

        tokens = np.zeros((len(texts), length), np.int32)
        for row, text in zip(tokens, texts, strict=True):
            indices = [self._index.get(word, UNKNOWN) for word in self.split(text)[:length]]
            row[: len(indices)] = indices
        return tokens

    def unknown(self, texts: Iterable[str]) -> list[str]:
        """Words of some texts that the model does not know, each once, in their order."""
        words = dict.fromkeys(word for text in texts for word in self.split(text))
        return [word for word in words if word not in self._index]

    def near(self, word: str) -> list[str]:
        """Known words that are written much like one that is not."""
        return difflib.get_close_matches(word, self.words[UNKNOWN + 1 :], _NEAR)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.words)}

    @cached_property
    def _becomes(self) -> dict[str, str]:
        return {letter: replacement for replacement, letters in self.folding.items() for letter in letters}

    def _apart(self, letter: str) -> str:
        """A character that is a word of its own, between blanks; others as they are."""
        code = ord(letter)
        return f" {letter} " if any(first <= code <= last for first, last in self.alone) else letter


def well_formed(text: str) -> str:
    """A text that UTF-8 can hold: what Python has in place of damaged bytes becomes U+FFFD."""
    return _SURROGATES.sub("\ufffd", text)
