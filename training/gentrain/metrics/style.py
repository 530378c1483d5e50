"""How well pictures take on a style where nobody has the right answer: how near they come to real pictures of it, and
how much of their content stays.

Each number stands beside what the input scores as it is, and what it scores once its colours are spread as those of the
style are: whoever does no better has learned nothing. The distances are those of `gentrain.metrics.frechet` and
`kernel`, to pictures of the style, and stand beside what other real pictures of the style score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain import conditions
from gentrain.data import holdout
from gentrain.data.dataset import Dataset
from gentrain.errors import TrainError
from gentrain.metrics import classifier, frechet, kernel
from gentrain.metrics.features import FeatureNet, Images, Show, described, features_for, features_of
from gentrain.metrics.generate import generate

if TYPE_CHECKING:
    from pathlib import Path

FEWEST = 2
COMPARED = 2
"""Real pictures of the style that the distances are to, at most so many for each that is translated."""


class StyleJudge:
    """`StyleJudge(dataset, held_out).score_generator(model)`.

    Attributes:
        dataset: pictures of the style, with `inputs`.
        indices: of the inputs that are translated.
        images: their pixels, uint8 (n, H, W, C).
        recoloured: the same with the colours of the style.
        features: the feature net, also as `small`, the one that is kept beside a run.
        compared: indices of the style's pictures that `real` are the features of.
        unknown: nothing: of pictures that were not seen all is known.
        unchanged, by_colours: metric → value of the inputs as they are, and recoloured.
        reference: the same for real pictures of the style.
    """

    unknown = ""

    def __init__(
        self,
        dataset: Dataset,
        held_out: int,
        most: int,
        features: str | Path | FeatureNet = "auto",
        show: Show | None = None,
    ) -> None:
        """Prepare the features, and what is to be done better than.

        Args:
            dataset: pictures of the style, with `inputs`.
            held_out: how many of each a run was not trained on; with 0 all are measured by.
            most: inputs to translate, at most.
            features: see `gentrain.metrics.features.features_for`; or a net that is ready.
            show: called with how many images went through the feature net.

        Raises:
            TrainError: fewer than two pictures of either kind to measure by, or no such features.
        """
        assert dataset.inputs is not None
        self.dataset, self.show = dataset, show
        inputs = holdout.split_inputs(dataset, held_out)[1] if held_out else dataset.inputs.distinct
        self.indices = np.sort(np.random.default_rng(0).permutation(inputs)[:most])
        seen, unseen = holdout.split(dataset, held_out)
        if not held_out:  # half of the style stands in for what the other half is compared with
            unseen, seen = np.array_split(np.random.default_rng(0).permutation(dataset.distinct), 2)
        self.compared = np.sort(np.random.default_rng(0).permutation(seen)[: max(COMPARED * len(self.indices), FEWEST)])
        stand_ins = np.sort(np.random.default_rng(0).permutation(unseen)[: len(self.indices)])
        if min(len(self.indices), len(self.compared), len(stand_ins)) < FEWEST:
            few = f"{len(self.indices)} pictures and {len(stand_ins)} of the style to measure by"
            raise TrainError(f"{dataset.source}: {few}; needs at least {FEWEST} of each")
        self.images = np.asarray(dataset.inputs.images[self.indices])
        self.features = self.small = features if callable(features) else features_for(dataset, features)
        self.real = features_of(self.features, dataset.images, self.compared, show)
        self.reference = self._distances(np.asarray(dataset.images[stand_ins]))
        self.unchanged = self.score(self.images)
        self.recoloured = recoloured(self.images, np.asarray(dataset.images[self.compared]))
        self.by_colours = self.score(self.recoloured)

    @property
    def samples(self) -> int:
        """How many pictures are translated."""
        return len(self.indices)

    def score(self, images: Images) -> dict[str, float]:
        """`frechet`, `kernel` and `content` of translated pictures uint8 (n, H, W, C), in the order of `indices`."""
        return {**self._distances(images), "content": content(self.images, images)}

    def score_generator(self, generator: Any, first_seed: int = 0) -> dict[str, float]:
        """The same of a Keras generator; what it draws of pictures it has not seen is no copy: `memorised` is 0."""
        return {**self.score(self.translate(generator)), "memorised": 0.0}

    def translate(self, generator: Any) -> Images:
        """What a generator makes of the inputs, uint8 (n, H, W, C)."""
        given = conditions.tensors((conditions.Unpaired(self.images),), self.dataset, self.indices)
        return generate(generator, self.samples, 0, given, self.show)

    def describe(self) -> dict[str, Any]:
        """What metrics.json says of how it was measured."""
        return {
            "features": described(self.features),
            "samples": self.samples,
            "reference": len(self.real),
            "floor": "real pictures of the style in the place of the translated ones",
        }

    def _distances(self, images: Images) -> dict[str, float]:
        found = features_of(self.features, images, None, self.show)
        return {"frechet": frechet.distance(self.real, found), "kernel": kernel.distance(self.real, found)}


def recoloured(images: Images, style: Images) -> Images:
    """Histogram matching: in each channel the values of all images, in their order, become those of the style.

    Args:
        images: uint8 (N, H, W, C).
        style: uint8 (M, H, W, C).
    """
    found = np.empty_like(images)
    for channel in range(images.shape[-1]):
        ours, theirs = (np.bincount(pixels[..., channel].ravel(), minlength=256) for pixels in (images, style))
        middles = (np.cumsum(ours) - ours / 2) / ours.sum()  # of the pixels with a value, by rank
        values = np.searchsorted(np.cumsum(theirs) / theirs.sum(), middles).clip(0, 255).astype(np.uint8)
        found[..., channel] = values[images[..., channel]]
    return found


def content(inputs: Images, images: Images) -> float:
    """The mean correlation of where edges are, from -1 to 1, of pictures uint8 (N, H, W, C) and what became of them.

    Pictures without any edge do not count; without any other picture it is 0.
    """
    before, after = _edges(inputs), _edges(images)
    spread = before.std(axis=1) * after.std(axis=1)
    products = (before - before.mean(axis=1, keepdims=True)) * (after - after.mean(axis=1, keepdims=True))
    there = before.std(axis=1) > 0
    found = np.where(spread > 0, products.mean(axis=1) / np.maximum(spread, 1e-12), 0.0)
    return float(found[there].mean()) if there.any() else 0.0


def _edges(images: Images) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How steep the strongest channel is at each pixel, (N, pixels)."""
    values = images.astype(np.float64)
    down, across = np.gradient(values, axis=(1, 2))
    return np.hypot(down, across).max(axis=3).reshape(len(images), -1)


def classifier_of(dataset: Dataset) -> Any:
    """A classifier of a data set's inputs and its pictures; from the cache, or trained in about 15 seconds.

    Returns:
        A net of `gentrain.metrics.classifier`, whose class 1 is the style; or, in a sentence, why there is none.
    """
    assert dataset.inputs is not None
    images = np.concatenate([dataset.inputs.images, dataset.images])
    labels = np.repeat(np.arange(2, dtype=np.int32), [len(dataset.inputs.images), len(dataset.images)])
    return classifier.prepare(Dataset(dataset.source, images, labels, ("inputs", "style")))


def hits(net: Any, images: Images) -> float:
    """The part of images uint8 (N, H, W, C) that such a classifier takes for the style."""
    return float((net.classes(features_of(net, images)) == 1).mean())
