"""How near translated pictures come to the right answers, on pairs that the generator was not trained on.

Each number stands beside what the input scores as it is. The Fréchet distance is that of `gentrain.metrics.frechet`, to
other real targets, and stands beside what the right answers score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from gentrain import conditions
from gentrain.conditions import hints
from gentrain.errors import TrainError
from gentrain.metrics import frechet
from gentrain.metrics.features import FeatureNet, Images, Show, described, features_for, features_of
from gentrain.metrics.generate import generate

if TYPE_CHECKING:
    from pathlib import Path

    from gentrain.data.dataset import Dataset

FEWEST = 2
COMPARED = 2
"""Real targets of other pairs that the Fréchet distance is to, at most so many for each translated picture."""

DOTS = (0, 1, 3, 8)
WINDOW = 11


def translates(generator: Any) -> bool:
    """Whether a Keras generator makes pictures of the pictures of a data set of pairs."""
    return any(tensor.name == conditions.Image.name and len(tensor.shape) == 4 for tensor in generator.inputs)


class PairJudge:
    """`PairJudge(dataset, indices).score_generator(model)`.

    Attributes:
        indices: of the pairs that are translated.
        given: the tensors of the generator's inputs for them; with hints as many dots as chance gives.
        features: the feature net, also as `small`, the one that is kept beside a run.
        compared: what `real` are the features of, counted.
        unknown: nothing: of pairs that were not seen all is known.
        real: features (n, F) of the targets of other pairs.
        unchanged: metric → value of the inputs as they are.
        reference: the same for the right answers; the Fréchet distance alone.
    """

    unknown = ""

    def __init__(
        self,
        dataset: Dataset,
        indices: Any,
        features: str | Path | FeatureNet = "auto",
        show: Show | None = None,
        others: Images | None = None,
    ) -> None:
        """Prepare the features and what the inputs score.

        Args:
            dataset: pairs, with a column `image`.
            indices: of the pairs to translate, held out of the training.
            features: see `gentrain.metrics.features.features_for`; or a net that is ready.
            show: called with how many images went through the feature net.
            others: targets that the Fréchet distance is to; None for those of the other pairs.

        Raises:
            TrainError: fewer than two pairs, or no such features.
        """
        self.dataset, self.indices, self.show = dataset, np.asarray(indices), show
        self.images = np.asarray(dataset.images[self.indices])
        if others is None:
            rest = np.setdiff1d(dataset.distinct, self.indices)
            chosen = np.random.default_rng(0).permutation(rest if len(rest) >= FEWEST else dataset.distinct)
            others = dataset.images[np.sort(chosen[: COMPARED * len(self.indices)])]
        if min(len(self.indices), len(others)) < FEWEST:
            raise TrainError(f"{dataset.source}: {len(self.indices)} pairs to measure on; needs at least {FEWEST}")
        self.features = self.small = features if callable(features) else features_for(dataset, features)
        self.compared = np.arange(len(others))
        self.real = features_of(self.features, others)
        self.reference = {"frechet": self.frechet(self.images)}
        inputs = np.asarray(dataset.columns["image"][self.indices])
        self.unchanged = self.score(_with_channels(inputs, self.images.shape[3]))

    @property
    def samples(self) -> int:
        """How many pairs are translated."""
        return len(self.indices)

    def score(self, images: Images) -> dict[str, float]:
        """`l1`, `psnr`, `ssim` and `frechet` of translated pictures uint8 (n, H, W, C), in the order of `indices`."""
        return {**distances(images, self.images), "frechet": self.frechet(images)}

    def score_generator(self, generator: Any, first_seed: int = 0) -> dict[str, float]:
        """The same of a Keras generator; what it draws of pictures it has not seen is no copy: `memorised` is 0."""
        return {**self.score(self.translate(generator, first_seed)), "memorised": 0.0}

    def translate(self, generator: Any, first_seed: int = 0, dots: int | None = None) -> Images:
        """What a generator makes of the inputs, uint8 (n, H, W, C), with so many dots each where it takes hints."""
        given = self.given(generator)
        if dots is not None:
            given = given | {"hints": self.hints(dots)}
        return generate(generator, self.samples, first_seed, given, self.show)

    def hints(self, dots: int) -> Any:
        """So many dots of the right answers on what the inputs do not show, float32 (n, H, W, 4)."""
        inputs = self.dataset.columns["image"][self.indices]
        images, inputs = (pixels.astype(np.float32) / 127.5 - 1.0 for pixels in (self.images, inputs))
        return hints.some(images, dots, inputs)

    def given(self, generator: Any) -> dict[str, Any]:
        """The tensors of its inputs beside latents."""
        return conditions.tensors(conditions.of_generator(generator, self.dataset), self.dataset, self.indices)

    def describe(self) -> dict[str, Any]:
        """What metrics.json says of how it was measured."""
        return {
            "features": described(self.features),
            "samples": self.samples,
            "reference": len(self.real),
            "floor": "the right answers in the place of the translated pictures",
        }

    def frechet(self, images: Images) -> float:
        """The distance of translated pictures to other real targets, in this net's features."""
        return frechet.distance(self.real, features_of(self.features, images, None, self.show))


def distances(images: Images, targets: Images) -> dict[str, float]:
    """`l1` in [0, 1], `psnr` in dB of all squared errors together, and the mean `ssim`, of uint8 (N, H, W, C) each.

    The mean of each picture's PSNR would be that of a few pictures that are nearly exact.
    """
    found, true = (tf.constant(pixels, tf.float32) / 255.0 for pixels in (images, targets))
    error = tf.reduce_mean(tf.square(found - true))
    window = min(WINDOW, *targets.shape[1:3])
    similar = tf.image.ssim(found, true, max_val=1.0, filter_size=window)
    return {
        "l1": float(tf.reduce_mean(tf.abs(found - true))),
        "psnr": float(-10.0 * np.log10(max(float(error), 1e-10))),
        "ssim": float(tf.reduce_mean(similar)),
    }


def _with_channels(images: Images, channels: int) -> Images:
    """Pictures as the targets have their channels."""
    if images.shape[3] == channels:
        return images
    if channels == 3:
        return np.repeat(images, 3, axis=3)
    return np.rint(images.astype(np.float32) @ np.array([[0.299], [0.587], [0.114]], np.float32)).astype(np.uint8)
