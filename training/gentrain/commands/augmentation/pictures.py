"""Generated pictures of a class: by seeds, without near-copies of training images, as PNGs in a folder of their own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from gentrain.data.dataset import Dataset, Indices
from gentrain.errors import TrainError
from gentrain.files import replacing
from gentrain.progress import Measuring

if TYPE_CHECKING:
    from gentrain.commands.study.classifier import Images, Labels

ROUNDS = 4
"""How often the missing ones are drawn: of a generator that copies, fewer are kept than were asked for."""

SEEDS_APART = 1_000_000
"""Between the first seeds of two values of --seed; each class has its own seeds, too."""


@dataclass(eq=False)
class Made:
    """The pictures of one class, uint8 (N, H, W, C), and the seed of each; how many were drawn, and too near."""

    images: Images
    seeds: Indices
    drawn: int = 0
    near_copies: int = 0

    def describe(self) -> dict[str, Any]:
        """What the manifest says of them."""
        return {
            "count": len(self.seeds),
            "drawn": self.drawn,
            "near_copies": self.near_copies,
            "seeds": [int(seed) for seed in self.seeds],
        }


def make(
    generator: Any, dataset: Dataset, unseen: Indices | None, wanted: Mapping[int, int], most: int, seed: int
) -> dict[int, Made]:
    """Draw so many pictures of each label.

    A near-copy is nearer to a training image than 99 in 100 real images that were not trained on, in pixels and in
    the features of a fixed net: see `gentrain.metrics.nearest`.

    Args:
        generator: latents (N, Z) and labels (N,) → images.
        dataset: its training images, and those held out.
        unseen: indices of the latter.
        wanted: label → how many.
        most: no class is ever to have more; the seeds of classes are that far apart.
        seed: of all; the pictures' own are counted on from it.

    Raises:
        TrainError: the generator fails, or knows fewer classes.
    """
    from gentrain.metrics import nearest
    from gentrain.metrics.features import features_for

    net = features_for(dataset, "random")
    stride = ROUNDS * most
    shape = dataset.images.shape[1:]
    made = {label: Made(np.empty((0, *shape), np.uint8), np.empty(0, np.int64)) for label in wanted}
    for _ in range(ROUNDS):
        missing = {label: wanted[label] - len(one.seeds) for label, one in made.items()}
        missing = {label: count for label, count in missing.items() if count}
        if not missing:
            break
        library = min(len(dataset.distinct), nearest.LARGEST)
        with Measuring(sum(missing.values()) + library) as measuring:
            firsts = {label: seed * SEEDS_APART + label * stride + made[label].drawn for label in missing}
            images = [_draw(generator, label, count, firsts[label], measuring) for label, count in missing.items()]
            drawn = np.concatenate(images)
            found = nearest.search(drawn, dataset, net, library, measuring.show, unseen, compared=len(drawn))
        copied = np.logical_and.reduce([space.copied for space in found.values()])
        start = 0
        for label, count in missing.items():
            own, near = drawn[start : start + count], copied[start : start + count]
            _add(made[label], own, firsts[label] + np.arange(count), near)
            start += count
    return made


def _draw(generator: Any, label: int, count: int, first: int, measuring: Measuring) -> Images:
    from gentrain.metrics.generate import generate

    labels = np.full(count, label, np.int32)
    try:
        return generate(generator, count, first, {"labels": labels}, measuring.show)
    except (ValueError, TypeError, RuntimeError) as error:
        raise TrainError(f"the generator fails for label {label}: {str(error).strip().splitlines()[0]}") from error


def _add(made: Made, images: Images, seeds: Indices, near: np.ndarray[Any, np.dtype[np.bool_]]) -> None:
    made.images = np.concatenate([made.images, images[~near]])
    made.seeds = np.concatenate([made.seeds, seeds[~near]])
    made.drawn += len(images)
    made.near_copies += int(near.sum())


def folders(class_names: Sequence[str]) -> list[str]:
    """A name for each class's folder that every file system takes and that is read as a class: `T-shirt_top`."""
    found: list[str] = []
    for label, name in enumerate(class_names):
        safe = re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", name).strip(" .") or "_"
        taken = safe.casefold() in (other.casefold() for other in found) or safe.startswith("__MACOSX")
        found.append(f"{safe}-{label}" if taken else safe)
    return found


def write(folder: Path, made: Made) -> None:
    """Write a PNG each, named by its seed; the folder is there whole or not at all."""
    with replacing(folder) as temporary:
        temporary.mkdir()
        for image, seed in zip(made.images, made.seeds, strict=True):
            pixels = image[..., 0] if image.shape[-1] == 1 else image
            Image.fromarray(pixels).save(temporary / f"{seed:07d}.png", "PNG")


def read(out: Path, names: Mapping[int, str], shape: tuple[int, ...]) -> tuple[Images, Labels]:
    """The pictures that lie in the folders `names` of labels: uint8 (N, *shape), and labels int32 (N,).

    Raises:
        TrainError: one cannot be read, or is of another shape.
    """
    images, labels = [np.empty((0, *shape), np.uint8)], [np.empty(0, np.int32)]
    for label, name in names.items():
        for path in sorted((out / name).glob("*.png")):
            try:
                image = np.asarray(Image.open(path))
                images.append(image.reshape(1, *shape))
            except (OSError, ValueError) as error:
                raise TrainError(f"{path}: not one of the pictures that were written here ({error})") from error
            labels.append(np.full(1, label, np.int32))
    return np.concatenate(images), np.concatenate(labels)
