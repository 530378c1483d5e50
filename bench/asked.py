"""What bench/words.py asks for, and the real pictures of it, by parts: captions trained on, and those that were not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from captioned import concept_of
from common import KEPT
from matcher import Matcher, words_of
from PIL import Image

SIDE = 32
SEEN = 200  # captions that were trained on
HEARD = 2  # emoji that have a word which training is said to have heard
SEEDS = {"train": 2, "texts": 4, "known": 4, "words": 4, "combinations": 8}
PARTS = {
    "train": "trained on", "texts": "in other words", "known": "new captions", "words": "other things",
    "combinations": "other combinations",
}  # fmt: skip
KEYWORDS, EACH = 60, 8
COMMON = 4  # things at least that have a keyword

Pixels = np.ndarray[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Asked:
    """One caption, and what Google and Twitter drew.

    Attributes:
        name: the emoji's.
        text: all its words but those of the subcategory, what the judge goes by.
        kind: one of eight categories.
        real: uint8 (2, 32, 32, 3).
        said: what is asked for.
        briefly: the same in fewer words.
        group: its subcategory; the most frequent one of its kind where it is not trained on.
    """

    name: str
    text: str
    kind: str
    real: Pixels
    said: str
    briefly: str
    group: str


def rows(part: str) -> list[dict[str, Any]]:
    """The lines of its metadata.jsonl, Google's and Twitter's of an emoji one after the other."""
    text = (KEPT / "captioned" / part / "metadata.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def picture(file: Path) -> Pixels:
    """Uint8 (32, 32, 3)."""
    with Image.open(file) as image:
        return np.asarray(image.reduce(image.width // SIDE))


@cache
def _heard() -> Counter[str]:
    """Of how many emoji in training each word is."""
    return Counter(word for row in rows("train")[::2] for word in set(words_of(" ".join(row["text"]))))


@cache
def _groups(kind: str) -> Counter[str]:
    """The subcategories of a kind that are trained on, and how many emoji of each."""
    return Counter(row["group"] for row in rows("train")[::2] if row["kind"] == kind)


def is_heard(words: Sequence[str]) -> bool:
    """Whether training had each of them with `HEARD` emoji at least."""
    return all(_heard()[word] >= HEARD for word in words)


def _of(row: dict[str, Any]) -> tuple[str, str, str]:
    """All words, those that are asked for, and the few."""
    told = words_of(" ".join(row["text"][:-1]))
    if "untold" not in row:
        return " ".join(told), " ".join(told), row["name"]
    untold = [word for word in words_of(row["untold"]) if is_heard([word])]
    new = [word for word in untold if word not in words_of(" ".join(row["text"]))]
    return " ".join(dict.fromkeys([*told, *words_of(row["untold"])])), " ".join(untold), " ".join(new)


TAKEN: dict[str, Callable[[dict[str, Any]], bool]] = {
    "train": lambda row: "untold" not in row,
    "texts": lambda row: "untold" in row and len(words_of(_of(row)[2])) >= 2,
    "known": lambda row: is_heard(words_of(row["name"])),
}
"""Which emoji of a part's folder; all of them in the other parts."""


def asked(part: str) -> list[Asked]:
    """The captions of a part; one for each concept."""
    folder = {"texts": "train", "known": "words"}.get(part, part)
    found: dict[str, Asked] = {}
    every = rows(folder)
    for google, twitter in zip(every[::2], every[1::2], strict=True):
        concept = google["name"] if part == "combinations" else concept_of(google["name"])
        if concept in found or not TAKEN.get(part, bool)(google):
            continue
        text, said, briefly = _of(google)
        files = [KEPT / "captioned" / folder / row["file_name"] for row in (google, twitter)]
        real = np.stack([picture(file) for file in files])
        groups = _groups(google["kind"])
        group = google["group"] if google["group"] in groups else groups.most_common(1)[0][0]
        found[concept] = Asked(google["name"], text, google["kind"], real, said, briefly, group)
    return list(found.values())


def every_part() -> tuple[dict[str, list[Asked]], list[Asked]]:
    """What is asked for of each part, some of those trained on, and all captions that wrong ones are taken from."""
    parts = {part: asked(part) for part in PARTS}
    pool = list({one.text: one for of in parts.values() for one in of}.values())
    parts["train"] = [parts["train"][i] for i in np.linspace(0, len(parts["train"]) - 1, SEEN).astype(int)]
    return parts, pool


def nearest_by_words(texts: Sequence[str]) -> Pixels:
    """For each text the training picture whose caption shares most with it: rare words count more."""
    found = rows("train")
    bags = [set(words_of(" ".join(row["text"]))) for row in found]
    counts: dict[str, int] = {}
    for bag in bags:
        counts |= {word: counts.get(word, 0) + 1 for word in bag}
    weight = {word: float(np.log(len(bags) / times)) for word, times in counts.items()}
    chosen = []
    for text in texts:
        wanted = set(words_of(text))
        shared = [sum(weight[w] for w in bag & wanted) / sum(weight[w] for w in bag) ** 0.5 for bag in bags]
        chosen.append(found[int(np.argmax(shared))]["file_name"])
    return np.stack([picture(KEPT / "captioned" / "train" / file) for file in chosen])


def keywords() -> dict[str, Pixels]:
    """`KEYWORDS` words that several things in training have, evenly by the alphabet, and `EACH` pictures with each."""
    found = rows("train")
    having: dict[str, list[int]] = {}
    for index, row in enumerate(found):
        for word in words_of(" ".join(row["text"])):
            having.setdefault(word, []).append(index)
    things = {word: {concept_of(found[i]["name"]) for i in indices} for word, indices in having.items()}
    enough = sorted(word for word in having if len(word) > 2 and len(things[word]) >= COMMON)
    chosen = [enough[i] for i in np.linspace(0, len(enough) - 1, KEYWORDS).astype(int)]
    rng = np.random.default_rng(0)
    files = {word: [found[i]["file_name"] for i in rng.permutation(having[word])[:EACH]] for word in chosen}
    train = KEPT / "captioned" / "train"
    return {word: np.stack([picture(train / file) for file in each]) for word, each in files.items()}


def spread(matcher: Matcher, pictures: Pixels) -> float:
    """The mean distance in the judge's features of two pictures of a keyword; uint8 (K · EACH, 32, 32, 3)."""
    features = matcher.features(pictures).reshape(-1, EACH, matcher.mean.size)
    apart = np.linalg.norm(features[:, :, None] - features[:, None], axis=-1)
    return float(apart.sum() / (len(features) * EACH * (EACH - 1)))
