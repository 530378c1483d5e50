"""Generated images above the training images nearest to them: does the generator make its own, or does it memorise?

A number goes with the picture: how far generated images are from the nearest training image, as a multiple of how far
real images are that were held out of the training, or where none were, training images from each other. 1 and more is
what new images give; near 0 they are copies. Source of the comparison: "A Non-Parametric Test to Detect Data-Copying in
Generative Models", arXiv 2004.05675.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gentrain.files import marked, replacing
from gentrain.images import image_grid
from gentrain.metrics.distances import squared_distances
from gentrain.metrics.features import FeatureNet, Images, Show

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset

COLUMNS = 16
NEAREST = 3
COMPARED = 256
"""Generated images, and as many training images, whose nearest distances make the ratio."""

LARGEST = 50_000
"""Training images searched; of more, a random choice that is always the same."""

BLOCK = 500
LARGEST_SIDE = 32
"""Pixels are compared at this shorter side or a little above, averaged down from larger images."""

FEWEST_UNSEEN = 10
"""Of fewer held-out images no distance is reported; training images stand for them then, each without itself."""

NEAR = 0.01
"""The part of unseen real images that are nearer to a training image than what counts as a copy."""

MEMORISER = 0.5
"""Above this part of copies a generator has memorised its images, and its other numbers say nothing."""

UNORIGINAL = 0.5
"""Below this a generator has too: its images may differ a little from those that it copies."""

COINCIDE = 1e-6
"""Squared distance, relative to the vectors' own, below which two real images are one."""

HEADER = 22
Vectors = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True)
class Nearest:
    """The nearest training images in one space: `indices` int (N, 3) into the data set, and the ratio of distances.

    `copied` (N,): which generated images are nearer to a training image than 99 in 100 unseen real ones.
    `originality`: the distance to the nearest training image over that to the nearest held-out one, the median, as a
    multiple of the same for images that were held out, each without itself; blur brings both as near.
    """

    indices: np.ndarray[Any, np.dtype[np.int64]]
    ratio: float
    copied: np.ndarray[Any, np.dtype[np.bool_]]
    originality: float | None = None


def copies(memorised: float, originality: float | None) -> bool:
    """Whether a generator has memorised its images, so that its other numbers say nothing."""
    return memorised > MEMORISER or (originality is not None and originality < UNORIGINAL)


def originality(neighbours: dict[str, Nearest]) -> float | None:
    """The lower of both spaces': 1 for new images, near 0 for copies; None where too few images were held out."""
    values = [nearest.originality for nearest in neighbours.values() if nearest.originality is not None]
    return min(values, default=None)


def memorised(neighbours: dict[str, Nearest]) -> float:
    """The part of the generated images that are copies in every space; 0.01 and less for unseen real images."""
    return float(np.logical_and.reduce([nearest.copied for nearest in neighbours.values()]).mean())


def search(
    images: Images,
    dataset: Dataset,
    net: FeatureNet,
    largest: int = LARGEST,
    show: Show | None = None,
    unseen: np.ndarray[Any, Any] | None = None,
    compared: int = COMPARED,
) -> dict[str, Nearest]:
    """The nearest training images by `features` and by `pixels` for generated images uint8 (N, H, W, C).

    Args:
        images: at most `compared` of them are looked at.
        dataset: of the generator, images of the same shape.
        net: the feature net, see `gentrain.metrics.features`.
        largest: training images to search at most.
        show: called with how many training images were searched.
        unseen: indices of images held out of the training.
        compared: how many generated images to look at.
    """
    images = images[:compared]
    library = np.random.default_rng(0).permutation(dataset.distinct)
    enough = unseen is not None and len(unseen) >= FEWEST_UNSEEN
    library = (library[~np.isin(library, unseen)] if unseen is not None else library)[:largest]
    probes = (unseen if enough and unseen is not None else library)[:COMPARED]
    queries = np.concatenate([images, dataset.images[probes]])
    itself = np.concatenate([np.full(len(images), -1), probes])
    spaces: dict[str, Callable[[Images], Vectors]] = {"features": net, "pixels": _pixels}
    vectors = {name: to_vectors(queries) for name, to_vectors in spaces.items()}

    def searched(indices: np.ndarray[Any, Any], show: Show | None = None) -> dict[str, _Search]:
        searches = {name: _Search(vectors[name], itself) for name in spaces}
        for start in range(0, len(indices), BLOCK):
            part = indices[start : start + BLOCK]
            block = dataset.images[part]
            for name, to_vectors in spaces.items():
                searches[name].add(to_vectors(block), part)
            if show:
                show(len(part))
        return searches

    known, apart = searched(library, show), searched(unseen) if enough and unseen is not None else {}
    count = len(queries) - len(probes)
    return {name: one.result(count, apart.get(name)) for name, one in known.items()}


class _Search:
    """Keeps the indices of the nearest images of a library that passes by in blocks."""

    def __init__(self, queries: Vectors, itself: np.ndarray[Any, Any]) -> None:
        """`itself` (Q,) is the index of a real image, which must find neither itself nor its duplicates, else -1."""
        self.mean = queries.mean(axis=0)
        self.queries, self.itself = queries - self.mean, itself
        self.same = COINCIDE * float(np.square(self.queries).sum(axis=1).mean())
        self.squares = np.full((len(queries), NEAREST), np.inf, np.float32)
        self.indices = np.zeros((len(queries), NEAREST), np.int64)

    def add(self, vectors: Vectors, indices: np.ndarray[Any, Any]) -> None:
        squares = squared_distances(self.queries, vectors - self.mean)
        squares[self.itself[:, None] == indices[None, :]] = np.inf
        squares[(self.itself[:, None] >= 0) & (squares <= self.same)] = np.inf
        squares = np.concatenate([self.squares, squares], axis=1)
        both = np.concatenate([self.indices, np.broadcast_to(indices, (len(self.indices), len(indices)))], axis=1)
        order = np.argsort(squares, axis=1, kind="stable")[:, :NEAREST]
        self.squares, self.indices = np.take_along_axis(squares, order, 1), np.take_along_axis(both, order, 1)

    def result(self, generated: int, apart: _Search | None = None) -> Nearest:
        """Of the first `generated` queries, measured by the others; `apart` searched what was held out."""
        distances = np.sqrt(self.squares[:, 0])
        made, real = distances[:generated], distances[generated:]
        real = real[np.isfinite(real)]
        if not len(real):  # all images are the same one
            return Nearest(self.indices[:generated], 1.0, np.zeros(generated, bool))
        ratio = float(np.median(made)) / max(float(np.median(real)), 1e-12)
        original = None if apart is None else self._originality(apart, generated)
        return Nearest(self.indices[:generated], ratio, made < np.quantile(real, NEAR), original)

    def _originality(self, apart: _Search, generated: int) -> float | None:
        parts = np.sqrt(self.squares[:, 0] / np.maximum(apart.squares[:, 0], 1e-12))
        made, real = parts[:generated], parts[generated:]
        made, real = made[np.isfinite(made)], real[np.isfinite(real)]
        if not len(made) or not len(real):
            return None
        return float(np.median(made) / max(np.median(real), 1e-12))


def draw(images: Images, dataset: Dataset, neighbours: dict[str, Nearest], path: Path) -> None:
    """Write a PNG: a row of generated images, and below each the training images nearest to it in every space."""
    columns = min(COLUMNS, len(images))
    bands = [("generated", images[:columns])]
    for space, nearest in neighbours.items():
        indices = nearest.indices[:columns].T.ravel()
        heading = f"nearest training images by {space}, {nearest.ratio:.2f} times as far as unseen ones are"
        bands.append((heading, np.asarray(dataset.images[indices])))
    strips = [_strip(heading, image_grid(pixels, columns)) for heading, pixels in bands]
    with replacing(path) as temporary:
        Image.fromarray(np.concatenate(strips)).save(temporary, "PNG", pnginfo=marked("nearest images"))


def _strip(heading: str, pixels: Images) -> Images:
    """RGB pixels, enlarged where they would be small on a screen, below a line of text."""
    scale = max(1, 960 // pixels.shape[1])
    pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3)).repeat(scale, axis=0).repeat(scale, axis=1)
    line = Image.new("RGB", (pixels.shape[1], HEADER), "white")
    ImageDraw.Draw(line).text((2, 4), heading, "black", ImageFont.load_default(size=13))
    return np.concatenate([np.asarray(line), pixels, np.full((6, pixels.shape[1], 3), 255, np.uint8)])


def _pixels(images: Images) -> Vectors:
    """Uint8 (N, H, W, C) → float32 (N, F) from 0 to 1, averaged down to about `LARGEST_SIDE`."""
    count, height, width, channels = images.shape
    factor = max(1, min(height, width) // LARGEST_SIDE)
    if factor > 1 and height % factor == width % factor == 0:
        small = (count, height // factor, factor, width // factor, factor, channels)
        images = images.reshape(small).mean(axis=(2, 4), dtype=np.float32)
    return images.reshape(len(images), -1).astype(np.float32) / np.float32(255)
