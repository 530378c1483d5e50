"""From words to numbers: which words there are, and how a text is cut into them (docs/contracts.md, "Words").

Case, accents and widths of letters do not matter. What becomes of each character stands in the vocabulary itself, so
that who has it needs no tables of Unicode: the graph of a server, a browser and a C program cut a text as this does.
"""

from __future__ import annotations

import functools
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

PADDING, UNKNOWN = "[PAD]", "[UNK]"
"""The first two of the words; nobody can write them, as brackets part words."""

MOST_WORDS = 10_000
FEWEST_TIMES = 2
"""A word that a single caption has is not learned by."""

ALONE = ((0x2190, 0x2BFF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x1F000, 0x1FAFF), (0x20000, 0x3FFFF))
"""Arrows, symbols and emoji, and ideographs: characters that are words of their own."""

ACCENTS = range(0x300, 0x370)
SELECTORS = (range(0xFE00, 0xFE10), range(0xE0100, 0xE01F0))
DAMAGED = 0xFFFD


@dataclass(frozen=True)
class Vocabulary:
    """Words by their index, and what becomes of characters.

    Attributes:
        words: `PADDING`, `UNKNOWN`, then those that are known.
        folding: replacement → all characters that become it.
    """

    words: tuple[str, ...]
    folding: Mapping[str, str]

    @classmethod
    def of(cls, captions: Iterable[str]) -> Vocabulary:
        """The words that these captions have at least twice, the most frequent first, at most 10,000."""
        counts = Counter(word for caption in captions for word in folded(caption).split())
        known = sorted((-times, word) for word, times in counts.items() if times >= FEWEST_TIMES)[:MOST_WORDS]
        words = (PADDING, UNKNOWN, *(word for _, word in known))
        return cls(words, _folding(frozenset(letter for _, word in known for letter in word)))

    @functools.cached_property
    def _index(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.words)}

    @functools.cached_property
    def _becomes(self) -> dict[str, str]:
        return {letter: replacement for replacement, letters in self.folding.items() for letter in letters}

    def split(self, text: str) -> list[str]:
        """The words of a text, known ones and others."""
        becomes = self._becomes
        return "".join(becomes[c] if c in becomes else _apart(c) for c in text).split(" ")

    def indices(self, text: str) -> list[int]:
        """The words of a text by their index."""
        return [self._index.get(word, 1) for word in self.split(text) if word]

    def describe(self) -> dict[str, Any]:
        """What interface.json says of it."""
        return {"vocabulary": list(self.words), "folding": dict(self.folding), "alone": [list(span) for span in ALONE]}


def folded(text: str) -> str:
    """The words of a text with blanks between them."""
    return "".join(map(functools.cache(_fold), text))


def _fold(letter: str) -> str:
    """What becomes of a character: decomposed, without case and accents; a blank for what stands between words."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", letter).casefold())
    return "".join(_kept(part) for part in decomposed.replace("ı", "i"))


def _kept(letter: str) -> str:
    code, category = ord(letter), unicodedata.category(letter)
    if code in ACCENTS or any(code in each for each in SELECTORS) or category in ("Cf", "Me"):
        return ""
    parts = category[0] in "PZ" or category in ("Cc", "Cs") or code == DAMAGED
    if parts or (category[0] == "S" and code < ALONE[0][0]):
        return " "
    return _apart(letter)


def _apart(letter: str) -> str:
    return f" {letter} " if any(first <= ord(letter) <= last for first, last in ALONE) else letter


@functools.cache
def _changed() -> dict[str, str]:
    """All characters that do not stay as they are, and what becomes of them."""
    letters = (chr(code) for code in range(sys.maxunicode + 1))
    assigned = (letter for letter in letters if unicodedata.category(letter) not in ("Cn", "Co", "Cs"))
    return {letter: became for letter in assigned if (became := _fold(letter)) != _apart(letter)}


def _folding(alphabet: frozenset[str]) -> dict[str, str]:
    """What becomes of characters that part words, or become such as the words are made of: others are no known word."""
    found: dict[str, list[str]] = {}
    for letter, replacement in _changed().items():
        if alphabet.issuperset(replacement.replace(" ", "")):
            found.setdefault(replacement, []).append(letter)
    return {replacement: "".join(letters) for replacement, letters in sorted(found.items())}
