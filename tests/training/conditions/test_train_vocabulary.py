"""How a text is cut into words: case, accents and widths do not matter, and the vocabulary is all that it takes."""

from __future__ import annotations

import json

import pytest
from gentrain.conditions.vocabulary import Vocabulary

CAPTIONS = ["a red heart ❤", "blue café", "die Straße", "Σίσυφος", "İstanbul kızıl", "赤い心", "한국", "naïve, x-ray"]
KNOWN = Vocabulary.of(CAPTIONS * 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("RED Heart", ["red", "heart"]),
        ("ｒｅｄ 𝓱𝓮𝓪𝓻𝓽", ["red", "heart"]),
        ("red-heart,heart;(red)\n\tred\u00a0heart", ["red", "heart", "heart", "red", "red", "heart"]),
        ("café CAFÉ cafe\u0301 cafe", ["cafe"] * 4),
        ("STRASSE straße Straẞe", ["strasse"] * 3),
        ("ΣΊΣΥΦΟΣ σίσυφος Σισυφοσ", ["σισυφοσ"] * 3),
        ("İSTANBUL Istanbul ıstanbul i\u0307stanbul", ["istanbul"] * 4),
        ("KIZIL kızıl kizil", ["kizil"] * 3),
        ("heart❤️red❤", ["heart", "❤", "red", "❤"]),
        ("re\u00add h\u200be\u200da\ufefft", ["red", "heat"]),
        ("赤い心", ["赤", "い", "心"]),
        ("한국 \u1112\u1161\u11ab\u1100\u116e\u11a8", ["한국"] * 2),
        ("[PAD] [UNK]", ["pad", "unk"]),
        ("it's 100% red_heart \ufffd", ["it", "s", "100", "red", "heart"]),
        ("", []),
        (" \t\n.,!", []),
    ],
)
def test_texts_are_cut_into_words_however_they_are_written(text: str, words: list[str]) -> None:
    import unicodedata

    known = [unicodedata.normalize("NFKD", word) for word in words]
    index = {word: number for number, word in enumerate(KNOWN.words)}
    assert KNOWN.indices(text) == [index.get(word, 1) for word in known]
    assert all(index[word] > 1 for word in known if word not in ("pad", "unk", "heat", "it", "s", "100"))


def test_frequent_words_come_first_and_what_a_single_caption_has_is_unknown() -> None:
    known = Vocabulary.of(["red heart", "red star", "red heart", "blue once"])
    assert known.words == ("[PAD]", "[UNK]", "red", "heart")
    many = Vocabulary.of([f"word{number} word{number}" for number in range(10_050)])
    assert len(many.words) == 10_002


def test_json_keeps_all_that_is_needed_to_cut_a_text() -> None:
    stored = json.loads(json.dumps(KNOWN.describe()))
    again = Vocabulary(tuple(stored["vocabulary"]), stored["folding"])
    for text in (*CAPTIONS, "ＣＡＦÉ ﬁ ½ Ⅷ", "\x00\x7f", "emoji 👩‍🚀🏽 ☎"):
        assert again.indices(text) == KNOWN.indices(text)
