"""What texts a call is for: n images of each, and which words of them a model knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from genclient.client.base import Request
from genclient.errors import UsageError
from genclient.latents.array import Numbers
from genclient.latents.seeds import MAX_IMAGES
from genclient.tasks.text_to_image import TOKENIZATION

Texts = str | Sequence[str] | None
"""A text for all images, or several."""


def of_each(given: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    """The arguments of a call for all its images of each text, those of the first before those of the second.

    Raises:
        UsageError: they are no texts, or too many images.
    """
    if texts is None or isinstance(texts, str):
        return {**given, "texts": texts}
    if not isinstance(texts, (list, tuple)) or not texts:
        raise UsageError(f"texts: found {texts!r:.60}, expected a text, or a list of them")
    by = "seeds" if "seeds" in given else "latents"
    count = given[by].count if by == "seeds" else len(given[by])
    if count * len(texts) > MAX_IMAGES:
        raise UsageError(f"texts: found {len(texts)} for {count} images each, expected at most {MAX_IMAGES} in all")
    many = _repeated(given[by], len(texts)) if by == "seeds" else np.tile(given[by], (len(texts), 1))
    return {**given, by: many, "texts": [text for text in texts for _ in range(count)]}


def tokenization(texts: Sequence[str] | str) -> Request:
    """The request for the tokens of texts."""
    return Request({"texts": [texts] if isinstance(texts, str) else list(texts)}, task=TOKENIZATION)


def _repeated(numbers: Numbers, times: int) -> Numbers:
    """Numbers one time after another."""
    whole = numbers.at(0, numbers.count)
    return Numbers(times * numbers.count, lambda start, stop: whole[np.arange(start, stop) % numbers.count])
