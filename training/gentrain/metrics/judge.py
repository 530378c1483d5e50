"""A generator's marks: every metric for its images against real ones, beside the reference: what real images score.

The data set is split once. Some images, as many as will be generated, stand for a perfect generator: what they score
against the rest is the reference. Generated images are scored against the same rest, so both can be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain import conditions
from gentrain.errors import TrainError
from gentrain.metrics import compare, nearest, prdc
from gentrain.metrics.features import FeatureNet, Features, Images, Show, features_for, features_of

if TYPE_CHECKING:
    from pathlib import Path

    from gentrain.data.dataset import Dataset

SAMPLES = 5000
COMPARED = 2
"""Real images that both are compared with, at most so many for each generated one."""

FEWEST_IMAGES = 20

SEARCHED = 10_000
"""Training images looked through for copies, beside every score of a generator."""

LOOKS = ("precision", "density")
"""What a generated image must also be by its texture: a classifier's features do not see noise, nor blur."""


class Judge:
    """`Judge(dataset).score_generator(model)`; keep it, since preparing it costs more than a score.

    Attributes:
        features: the feature net, see `gentrain.metrics.features.FeatureNet`.
        samples: images that a score wants, and that the reference was measured with.
        held_out: rows (samples,) of the data set, the real images of the reference.
        real: features (n, F) of the other real images, with which both are compared.
        reference: metric → value of real images in the place of generated ones.
    """

    def __init__(
        self,
        dataset: Dataset,
        features: str | Path | FeatureNet = "auto",
        samples: int = SAMPLES,
        seed: int = 0,
        show: Show | None = None,
        unseen: Any = None,
    ) -> None:
        """Prepare the feature net, the features of the real images and the reference.

        Args:
            dataset: the real images.
            features: see `gentrain.metrics.features.features_for`; or a net that is ready.
            samples: images to generate; no more than half of the real ones are taken.
            seed: of the split of the real images, and of what a conditional generator is told.
            show: told about images that went through the feature net.
            unseen: rows of `dataset` that were held out of the training, see `gentrain.data.holdout`.

        Raises:
            TrainError: fewer than 20 real images, or no such features.
        """
        count = len(dataset.distinct)
        if count < FEWEST_IMAGES:
            raise TrainError(f"{dataset.source}: {count} images; measuring needs at least {FEWEST_IMAGES}")
        self.dataset, self.seed, self.show, self.unseen = dataset, seed, show, unseen
        self.samples = max(2, min(samples, count // 2))
        self.features = features if callable(features) else features_for(dataset, features)
        order = np.random.default_rng([seed, 0]).permutation(dataset.distinct)
        self.held_out, reference = order[: self.samples], order[self.samples : (1 + COMPARED) * self.samples]
        self.real = features_of(self.features, dataset.images, reference, show)
        self.texture = self._texture_net()
        if self.texture is not None:
            self.real_texture = features_of(self.texture, dataset.images, reference)
        self.reference = self._marks(np.asarray(dataset.images[self.held_out]))[0]
        if self.features.accuracy is not None:
            self.reference["accuracy"] = self.features.accuracy

    def score(self, images: Images, labels: np.ndarray[Any, Any] | None = None) -> dict[str, float]:
        """Every metric for images uint8 (n, H, W, C), n = `samples`; with int labels (n,) also `accuracy`.

        `accuracy` is there where the features are the classifier's.

        Raises:
            TrainError: another number of images, or images of another shape.
        """
        wanted = (self.samples, *self.dataset.images.shape[1:])
        if images.shape != wanted:
            raise TrainError(f"generated images are {_shown(images.shape)}, expected {_shown(wanted)}")
        values, found = self._marks(images)
        classes = self.features.classes(found)
        if labels is not None and classes is not None:
            values["accuracy"] = float((classes == labels).mean())
        return values

    def _texture_net(self) -> FeatureNet | None:
        if self.features.name != "classifier":
            return None
        from gentrain.metrics.random_net import RandomNet

        return RandomNet(self.dataset)

    def _marks(self, images: Images) -> tuple[dict[str, float], Features]:
        """Every metric but `accuracy`, and the features; what looks real must do so to both nets."""
        found = features_of(self.features, images, None, self.show)
        values = compare(self.real, found)
        if self.texture is not None:
            looks = prdc.measure(self.real_texture, features_of(self.texture, images))
            values |= {name: min(values[name], looks[name]) for name in LOOKS}
        return values, found

    def class_accuracy(self, images: Images, labels: np.ndarray[Any, Any]) -> dict[str, float]:
        """Class name → the part of its images (n, H, W, C) that the classifier takes for it; empty with other nets."""
        classes = self.features.classes(features_of(self.features, images))
        if classes is None:
            return {}
        return {
            name: float((classes[labels == number] == number).mean())
            for number, name in enumerate(self.dataset.class_names)
            if (labels == number).any()
        }

    def describe(self) -> dict[str, Any]:
        """What metrics.json says of how it was measured."""
        net = self.features
        return {
            "features": {"name": net.name, "hash": net.hash, "accuracy": net.accuracy, "note": net.note},
            "samples": self.samples,
            "reference": len(self.real),
            "seed": self.seed,
            "floor": "real images in the place of the generated ones, as many, against the same reference",
        }

    def score_generator(self, generator: Any, first_seed: int = 0) -> dict[str, float]:
        """Every metric for a Keras generator's images of the seeds from `first_seed` on, and `memorised`.

        Args:
            generator: latents float32 (N, Z), and the inputs of its conditions, → float32 in [-1, 1].
            first_seed: of the first image; see contract 3.

        Raises:
            TrainError: its images are not of the data set's shape, or not numbers.
        """
        from gentrain.metrics.generate import generate

        given = self.given(generator)
        images = generate(generator, self.samples, first_seed, given)
        found = nearest.search(images, self.dataset, self.features, SEARCHED, unseen=self.unseen)
        return {**self.score(images, given.get("labels")), "memorised": nearest.memorised(found)}

    def given(self, generator: Any) -> dict[str, Any]:
        """Tensors (samples, …) of what a Keras generator takes beside latents, drawn as the data set has them.

        Raises:
            TrainError: it takes what nobody knows, or what the data set lacks.
        """
        told = conditions.of_generator(generator, self.dataset)
        rows = np.random.default_rng([self.seed, 2]).integers(len(self.dataset.images), size=self.samples)
        return conditions.rows(told, self.dataset, rows) if told else {}


def _shown(shape: tuple[int, ...]) -> str:
    return " × ".join(map(str, shape))
