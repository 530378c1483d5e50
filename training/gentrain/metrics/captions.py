"""How much the seed changes of an image that a caption asks for, beside how much the caption changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain.conditions.tokens import captions_of
from gentrain.metrics.features import FeatureNet, Images, features_of
from gentrain.metrics.generate import generate

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset

MOST = 256
"""Pairs of images."""

FEWEST = 8
"""With fewer pairs of real images that share a caption there is no reference, and nothing is measured."""


def diversity(
    generator: Any, images: Images, given: Mapping[str, Any], net: FeatureNet, first_seed: int = 0
) -> float | None:
    """The mean distance in features between two seeds of a caption, over that between two captions of other seeds.

    Args:
        generator: latents and tokens → images.
        images: what it makes of the seeds from `first_seed` on, uint8 (N, H, W, C).
        given: its inputs for them, `tokens` (N, L) among them.
        net: whose features are compared.
        first_seed: of the first image.

    Returns:
        None where all captions are alike.
    """
    count = min(len(images), MOST)
    few = {name: tensor[:count] for name, tensor in given.items()}
    again = generate(generator, count, first_seed + len(images), few)
    tokens = np.asarray(few["tokens"])
    differ = np.any(tokens != np.roll(tokens, 1, axis=0), axis=1)
    return _ratio(features_of(net, images[:count]), features_of(net, again), differ)


def reference(dataset: Dataset, indices: Any, net: FeatureNet) -> float | None:
    """The same of real images: those that share a caption, over those that do not; None where too few share one."""
    captions = [set(texts) for texts in captions_of(dataset)]
    last: dict[str, int] = {}
    pairs: set[tuple[int, int]] = set()
    for index in np.sort(indices).tolist():
        pairs |= {(last[text], index) for text in captions[index] if text in last}
        last |= dict.fromkeys(captions[index], index)
    if len(pairs) < FEWEST:
        return None
    chosen = np.random.default_rng(0).permutation(np.array(sorted(pairs)))[:MOST]
    neighbours = zip(chosen[:, 0], np.roll(chosen[:, 0], 1), strict=True)
    differ = np.array([captions[one].isdisjoint(captions[other]) for one, other in neighbours])
    first, second = (features_of(net, dataset.images, chosen[:, side]) for side in (0, 1))
    return _ratio(first, second, differ)


def _ratio(first: Any, second: Any, differ: Any) -> float | None:
    """The mean distance of what stands at one index, over that of neighbours in `first` where they `differ`."""
    between = np.linalg.norm(first - np.roll(first, 1, axis=0), axis=1)[differ]
    if not len(between) or not between.mean():
        return None
    return float(np.linalg.norm(first - second, axis=1).mean() / between.mean())
