"""The directions of the latent space that lead to a class, of a generator that is told no class but learned from some.

A few thousand seeds are drawn, and the run's own classifier says what each is taken for: the mean of the latents of a
class, less the mean of all, is its direction (in the way of InterFaceGAN, Shen et al. 2020, arXiv 1907.10786, with a
mean in the place of a plane, as latents are N(0, I)). Logistic regression, the mean gradient of the classifier, and a
direction found by steps were tried on digits: only the last leads farther, a little, and takes ten times as long.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from genexport import run_files
from genexport.errors import ExportError
from genexport.generator.keras_file import one_line

if TYPE_CHECKING:
    from genexport.compare.frechet import Features
    from genexport.generator.load import Generator

Array = np.ndarray[Any, Any]

MOST_SEEDS = 4096
FEWEST_SEEDS = 1024
PIXELS = 1 << 24
"""Seeds for small images, and fewer the larger they are, so that it takes seconds."""

FIRST_SEED = 2_000_000
"""Of seeds that nothing else is measured by."""

FEWEST = 16
"""Of a class that fewer samples are taken for there is no mean worth the name."""


@dataclass(frozen=True, eq=False)
class Classifier:
    """What tells the classes of a run's images: its feature net, and the head that features.npz holds beside it."""

    network: Any
    kernel: Array
    bias: Array
    names: Sequence[str]

    def __call__(self, images: Array) -> Array:
        """Images float32 (N, H, W, C) in [0, 1] → the class (N,) of each."""
        features = [np.asarray(self.network(images[i : i + 128], training=False)) for i in range(0, len(images), 128)]
        return np.asarray((np.concatenate(features) @ self.kernel + self.bias).argmax(axis=1))


def classifier_of(generator: Generator, run: Path | None, features: Features | None) -> Classifier | str | None:
    """A run's classifier; in a few words, why there is none; or None where nothing is to be expected.

    That is of what is no run, of images without classes, and of a generator that takes more than latents.

    Raises:
        ExportError: a file of the run cannot be read.
    """
    if run is None or generator.frame_count or [tensor.role for tensor in generator.inputs] != ["latents"]:
        return None
    names = [str(name) for name in run_files.read(run / run_files.DATASET).get("class_names") or ()]
    if len(names) < 2:
        return None
    if features is None:
        return "its run was not measured; gentrain evaluate measures it"
    head = _head(run / "features.npz")
    if head is None:
        return "the run's feature net is no classifier of them"
    shapes = (features.network.output_shape[-1], len(names)), (len(names),)
    if (head[0].shape, head[1].shape) != shapes or features.network.input_shape[1:] != generator.image_shape:
        return f"the run's feature net tells {head[1].size} classes, and dataset.json names {len(names)}"
    return Classifier(features.network, *head, names)


def find(generator: Generator, classifier: Classifier) -> dict[str, Array]:
    """Class name → its direction, float64 (Z,) of length 1; without those that next to no sample is taken for."""
    count = int(np.clip(PIXELS // np.prod(generator.image_shape), FEWEST_SEEDS, MOST_SEEDS))
    inputs = generator.examples(count, FIRST_SEED)
    taken_for = classifier(generator.many(inputs))
    latents = np.asarray(inputs["latents"], np.float64)
    found = {}
    for number, name in enumerate(classifier.names):
        of_class = latents[taken_for == number]
        if FEWEST <= len(of_class) < count:
            away = of_class.mean(axis=0) - latents.mean(axis=0)
            found[name] = away / np.linalg.norm(away)
    return found


def _head(file: Path) -> tuple[Array, Array] | None:
    """`kernel` (F, K) and `bias` (K,), where they are there."""
    try:
        with np.load(file) as stored:
            return (stored["kernel"], stored["bias"]) if "kernel" in stored and "bias" in stored else None
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ExportError(f"{file}: cannot be read: {one_line(error)}") from error
