"""How far generated images are from real ones: the registry of metrics, one file a metric, all on features (N, F).

Features come from `gentrain.metrics.features`; scores of a generator from `gentrain.metrics.judge`.

metrics     frechet.py, kernel.py, prdc.py; nearest.py: copies of training images; distances.py: between features
features    features.py chooses between pretrained.py, classifier.py, random_net.py and applications.py;
            feature_files.py keeps them
clips       exposures.py: as pictures that show how they move
generators  generate.py: images to measure; opinion.py: every metric beside its reference, by one net; judge.py: by two;
            translation.py: on pairs; motion.py: on clips of a still; style.py: without pairs; captions.py: seeds of a
            caption
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gentrain.metrics import frechet, kernel, prdc

Features = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Metric:
    """What one number says, and which way is better: `lower` or `higher`.

    `alone`: what has full marks by this number and is no good all the same, so that it says nothing by itself; empty
    for a number that noise, blots, blur and a few images again and again all do worse by than real images.
    """

    name: str
    better: str
    about: str
    alone: str = ""


ONE_IMAGE = "one good image again and again"
ANYTHING = "images of every kind, bad ones among them"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("frechet", "lower", "Fréchet distance of the two sets of features, as Gaussians"),
        Metric("kernel", "lower", "kernel distance (MMD) of the two sets of features"),
        Metric("precision", "higher", "fraction of generated images that look real", ONE_IMAGE),
        Metric("recall", "higher", "fraction of real images that the generator could make", ANYTHING),
        Metric("density", "higher", "how densely real images surround generated ones; may exceed 1", ONE_IMAGE),
        Metric("coverage", "higher", "fraction of real images with a generated one nearby"),
        Metric("accuracy", "higher", "fraction of generated images classified as the requested class", ONE_IMAGE),
        Metric(
            "diversity",
            "higher",
            "distance between a caption's seeds over that between captions",
            "images that ignore the caption",
        ),
        Metric("l1", "lower", "mean absolute error of translated pixels, which are from 0 to 1"),
        Metric("psnr", "higher", "peak signal-to-noise ratio in dB, over all pixels together"),
        Metric("ssim", "higher", "structural similarity to the right answer, at most 1"),
        Metric(
            "motion", "higher", "how much frames differ from the one before, of what they do in real clips", "noise"
        ),
        Metric("content", "higher", "correlation of edges with those of the input, at most 1", "the input itself"),
        Metric("hits", "higher", "fraction that a classifier of both kinds takes for the style", ONE_IMAGE),
    )
}

MEASURES: tuple[Callable[[Features, Features], dict[str, float]], ...] = (
    frechet.measure,
    kernel.measure,
    prdc.measure,
)


def compare(real: Features, generated: Features) -> dict[str, float]:
    """Every metric of `MEASURES` for features (N, F) of real and (M, F) of generated images, N and M at least 2.

    Example:
    ```python
    compare(features_of(net, real), features_of(net, generated))  # {"frechet": …, "kernel": …, "precision": …, …}
    ```
    """
    values: dict[str, float] = {}
    for measure in MEASURES:
        values |= measure(real, generated)
    return values
