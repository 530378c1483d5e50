"""A generator's marks: every metric for its images against real ones, beside the reference: what real images score.

Images that a run was not trained on are what its generator is compared with, and so are as many of its training images:
what those score is the reference. Where too few were held out, the data set is split at random instead.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain import conditions
from gentrain.data import holdout
from gentrain.errors import TrainError
from gentrain.metrics import captions, nearest
from gentrain.metrics.exposures import exposed
from gentrain.metrics.features import PRETRAINED, FeatureNet, Images, Show, features_for, features_of, second_for
from gentrain.metrics.opinion import Opinion

if TYPE_CHECKING:
    from pathlib import Path

    from gentrain.data.dataset import Dataset

SAMPLES = 5000
COMPARED = 2
"""Where nothing was held out: real images that both are compared with, at most so many for each generated one."""

FEWEST_IMAGES = 20

SEARCHED = 10_000
"""Training images looked through for copies, beside every score of a generator."""


def split(dataset: Dataset, samples: int, seed: int = 0, unseen: Any = None, compared: Any = None) -> tuple[Any, Any]:
    """Indices of the real images to compare with, and of those that stand in for generated ones.

    Args:
        dataset: the real images; of copies one counts.
        samples: images to generate; there may be fewer real ones to stand for them.
        seed: of a random order.
        unseen: indices of images held out of the training: those are compared with, if they are enough.
        compared: those of `unseen` that are; all where none are named.
    """
    order = np.random.default_rng([seed, 0]).permutation(dataset.distinct)
    if is_held_out(unseen):
        return unseen if compared is None else compared, order[~np.isin(order, unseen)][:samples]
    samples = max(2, min(samples, len(order) // 2))
    return order[samples : (1 + COMPARED) * samples], order[:samples]


def is_held_out(unseen: Any) -> bool:
    """Whether enough images were held out to compare with."""
    return unseen is not None and len(unseen) >= holdout.ENOUGH_TO_COMPARE


class Judge:
    """`Judge(dataset).score_generator(model)`; keep it, since preparing it costs more than a score.

    Attributes:
        features: the feature net, see `gentrain.metrics.features.FeatureNet`.
        samples: images that a score takes, and that the reference was measured with.
        held_out: indices (samples,) into the data set, the real images of the reference.
        real: features (n, F) of the other real images, with which both are compared.
        reference: metric → value of real images in the place of generated ones.
        second: what another net says, or None; see `gentrain.metrics.opinion`.

    Example:
    ```python
    judge = Judge(sources.read("digits", Frame(resolution=28)), samples=1000)
    judge.score_generator(keras.models.load_model("generator.keras", compile=False))["frechet"]  # 0.42
    judge.reference["frechet"]  # 0.27, of real images
    ```
    """

    def __init__(
        self,
        dataset: Dataset,
        features: str | Path | FeatureNet = "auto",
        samples: int = SAMPLES,
        seed: int = 0,
        show: Show | None = None,
        unseen: Any = None,
        seen_through: str = "",
        compared: Any = None,
    ) -> None:
        """Prepare the feature net, the features of the real images and the reference.

        Args:
            dataset: the real images.
            features: see `gentrain.metrics.features.features_for`; or a net that is ready.
            samples: images to generate; no more than half of the real ones are taken.
            seed: of the split of the real images, and of the conditions of a conditional generator.
            show: called with how many images went through the feature net.
            unseen: indices of images held out of the training, see `gentrain.data.holdout`.
            seen_through: the pretrained net that the generator was trained through; it is no judge of it.
            compared: those of `unseen` that images are compared with, see `gentrain.data.holdout.halves`.

        Raises:
            TrainError: fewer than 20 real images, or no such features.
        """
        count = len(dataset.distinct)
        if count < FEWEST_IMAGES:
            raise TrainError(f"{dataset.source}: {count} images; measuring needs at least {FEWEST_IMAGES}")
        self.dataset, self.seed, self.show, self.unseen = dataset, seed, show, unseen
        self.seen_through = seen_through
        self.features = features if callable(features) else features_for(dataset, features, None, seen_through)
        self.compared, self.held_out = split(dataset, samples, seed, unseen, compared)
        self.samples = len(self.held_out)
        texture = self.second if self.features.name == "classifier" else None
        self.first = Opinion(self.features, dataset, self.compared, self.held_out, show, texture)
        self.real, self.reference = self.first.real, self.first.reference

    @cached_property
    def other(self) -> FeatureNet | None:
        """Another net than `features`."""
        return second_for(self.dataset, self.features, self.seen_through)

    @cached_property
    def second(self) -> Opinion | None:
        """Its metrics; the real images go through it on first use."""
        if self.other is None:
            return None
        knows = self.other.name in PRETRAINED
        return Opinion(self.other, self.dataset, self.compared, self.held_out, self.show, sees_looks=knows)

    @property
    def unknown(self) -> str:
        """In a sentence, what the numbers cannot say, since too few images were held out; empty otherwise."""
        count = 0 if self.unseen is None else len(self.unseen)
        return holdout.unknown(len(self.dataset.images), count, holdout.ENOUGH_TO_COMPARE)

    @cached_property
    def small(self) -> FeatureNet:
        """The net that is kept beside a run, and that every image is searched by: the first unless it is too large."""
        if self.features.model() is not None or self.other is None or self.other.model() is None:
            return self.features
        return self.other

    def score(self, images: Images, labels: np.ndarray[Any, Any] | None = None) -> dict[str, float]:
        """Every metric for images uint8 (n, H, W, C), n = `samples`; with int labels (n,) also `accuracy`.

        `accuracy` is there where either net is a classifier.

        Raises:
            TrainError: another number of images, or images of another shape.
        """
        expected = (self.samples, *self.dataset.images.shape[1:])
        if images.shape != expected:
            raise TrainError(f"generated images are {_shown(images.shape)}, expected {_shown(expected)}")
        values = self.first.marks(images)
        if labels is not None and (classes := self._classes(images)) is not None:
            values["accuracy"] = float((classes == labels).mean())
        return values

    def class_accuracy(self, images: Images, labels: np.ndarray[Any, Any]) -> dict[str, float]:
        """Class name → the part of its images (n, H, W, C) that the classifier takes for it; empty without one."""
        classes = self._classes(images)
        if classes is None:
            return {}
        return {
            name: float((classes[labels == number] == number).mean())
            for number, name in enumerate(self.dataset.class_names)
            if (labels == number).any()
        }

    def _classes(self, images: Images) -> np.ndarray[Any, np.dtype[np.int64]] | None:
        """The class (n,) that each image is taken for by a classifier, whichever net is one."""
        net = self.features if self.features.accuracy is not None else self.other
        if net is None or net.accuracy is None:
            return None
        self.reference["accuracy"] = net.accuracy
        return net.classes(features_of(net, images))

    def describe(self) -> dict[str, Any]:
        """What metrics.json says of how it was measured."""
        return {
            "features": self.first.describe(),
            "samples": self.samples,
            "reference": len(self.real),
            "held_out": 0 if self.unseen is None else len(self.unseen),
            "seed": self.seed,
            "floor": "real images in the place of the generated ones, as many, against the same reference",
        }

    def score_generator(self, generator: Any, first_seed: int = 0) -> dict[str, float]:
        """Every metric for a Keras generator's images of the seeds from `first_seed` on, and whether it copies.

        That is `memorised`, and with images that were held out `originality`: see `gentrain.metrics.nearest`.

        Args:
            generator: latents float32 (N, Z), and the inputs of its conditions, → float32 in [-1, 1]; of one that makes
                clips the data set is that of `gentrain.metrics.exposures`.
            first_seed: of the first image; see contract 3.

        Raises:
            TrainError: its images are not of the data set's shape, or not numbers.
        """
        from gentrain.metrics.generate import generate

        given = self.given(generator)
        images = exposed(generate(generator, self.samples, first_seed, given))
        neighbours = nearest.search(images, self.dataset, self.small, SEARCHED, unseen=self.unseen)
        original = nearest.originality(neighbours)
        copies = {"memorised": nearest.memorised(neighbours), **({} if original is None else {"originality": original})}
        return {
            **self.score(images, given.get("labels")),
            **self.diversity(generator, images, given, first_seed),
            **copies,
        }

    def diversity(
        self, generator: Any, images: Images, given: Mapping[str, Any], first_seed: int = 0
    ) -> dict[str, float]:
        """`diversity` of a generator that takes captions, where real images share some; see `metrics.captions`."""
        if "tokens" not in given or self._diversity_of_real is None:
            return {}
        value = captions.diversity(generator, images, given, self.features, first_seed)
        if value is None:
            return {}
        self.reference["diversity"] = self._diversity_of_real
        return {"diversity": value}

    @cached_property
    def _diversity_of_real(self) -> float | None:
        return captions.reference(self.dataset, self.compared, self.features)

    def given(self, generator: Any) -> dict[str, Any]:
        """Tensors (samples, …) of what a Keras generator takes beside latents, drawn as the data set has them.

        They are those of images that were held out, where these are compared with.

        Raises:
            TrainError: it has an input of no known condition, or one that the data set lacks.
        """
        conditioning = conditions.of_generator(generator, self.dataset)
        known = self.compared if is_held_out(self.unseen) else np.arange(len(self.dataset.images))
        indices = np.random.default_rng([self.seed, 2]).choice(known, self.samples)
        return conditions.tensors(conditioning, self.dataset, indices) if conditioning else {}


def _shown(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
