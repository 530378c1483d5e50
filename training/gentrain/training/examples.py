"""Pairs that a run is not trained on: what its image grids show, and `examples.npz`, by which an export is checked.

Where nobody has the right answer, they are inputs, and pictures of the style to look at beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain import conditions
from gentrain.data import holdout
from gentrain.files import replacing
from gentrain.images import image_grid, to_pixels

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset, Pixels

MOST = 192


@dataclass(frozen=True, eq=False)
class Examples:
    """What the generator is given, float32 tensors by name in the ranges of the model, and the right answers.

    Where these are not `known`, `images` are any pictures of the style.
    """

    given: dict[str, Any]
    images: Pixels
    known: bool = True

    def first(self, most: int) -> Examples:
        """At most so many of them."""
        return Examples({name: tensor[:most] for name, tensor in self.given.items()}, self.images[:most], self.known)

    def save(self, path: Path) -> None:
        """Write examples.npz (docs/contracts.md): pictures uint8, everything else as the model takes it."""
        arrays = {name: _pixels(np.asarray(tensor)) for name, tensor in self.given.items()}
        with replacing(path) as temporary, temporary.open("wb") as file:
            name = "clips" if self.images.ndim == 5 else "images"
            np.savez_compressed(file, **arrays | ({name: self.images} if self.known else {}))  # type: ignore[arg-type]

    def shown(self, generated: Pixels) -> Pixels:
        """Input, generated and true, or one of the style, side by side: uint8 (N, H, 3 W, 3).

        Of clips (N, T, H, 3 W, 3), the still beside every frame.
        """
        if self.images.ndim == 5:
            still = np.repeat(self.inputs()[:, None], self.images.shape[1], axis=1)
            return np.concatenate([as_colour(still), as_colour(generated), as_colour(self.images)], axis=3)
        return np.concatenate([as_colour(self.inputs()), as_colour(generated), as_colour(self.images)], axis=2)

    def rows(self, generated: Pixels, most: int = 8) -> Pixels:
        """Of clips a row each, as one picture: the still, so many of the later frames as generated, and as true."""
        later = np.linspace(1, generated.shape[1] - 1, min(most, generated.shape[1] - 1)).round().astype(int)
        row = [self.inputs()[:, None], generated[:, later], self.images[:, later]]
        pixels = np.concatenate([as_colour(part) for part in row], axis=1)
        return image_grid(pixels.reshape(-1, *pixels.shape[2:]), pixels.shape[1])

    def inputs(self) -> Pixels:
        """The pictures that are given, with the dots that are given on them; uint8 (N, H, W, 1 or 3)."""
        image = to_pixels(np.asarray(self.given["image"]))
        if "hints" not in self.given:
            return image
        hints = to_pixels(np.asarray(self.given["hints"]))
        return np.where(hints[..., 3:] > 127, hints[..., :3], as_colour(image))


def held_out(conditioning: conditions.Conditions, dataset: Dataset, count: int, most: int = MOST) -> Examples | None:
    """Of the pairs that a run with so many held out is not trained on; None unless it translates pictures."""
    if not translates(conditioning):
        return None
    if dataset.inputs is not None:
        return examples_of_style(conditioning, dataset, count, most)
    indices = holdout.split(dataset, count)[1] if count else dataset.distinct
    indices = indices if len(indices) else dataset.distinct  # all images are alike, and none is held out
    indices = np.sort(np.random.default_rng(1).permutation(indices)[:most])
    return examples_of(conditioning, dataset, indices)


def examples_of(conditioning: conditions.Conditions, dataset: Dataset, indices: Any) -> Examples:
    """These examples of a data set of pairs."""
    return Examples(conditions.tensors(conditioning, dataset, indices), np.asarray(dataset.images[indices]))


def examples_of_style(conditioning: conditions.Conditions, dataset: Dataset, count: int, most: int = MOST) -> Examples:
    """Inputs that a run with so many held out is not trained on, and beside each a picture of the style."""
    assert dataset.inputs is not None
    inputs = holdout.split_inputs(dataset, count)[1] if count else dataset.inputs.distinct
    style = holdout.split(dataset, count)[1] if count else dataset.distinct
    indices = np.sort(np.random.default_rng(1).permutation(inputs)[:most])
    shown = np.random.default_rng(1).permutation(style)[np.arange(len(indices)) % len(style)]
    given = conditions.tensors(conditioning, dataset, indices)
    return Examples(given, np.asarray(dataset.images[shown]), known=False)


def translates(conditioning: conditions.Conditions) -> bool:
    """Whether pictures are made of pictures that the data set has."""
    return any(isinstance(one, conditions.Image) for one in conditioning)


def as_colour(images: Pixels) -> Pixels:
    """uint8 (…, 1 or 3) → (…, 3)."""
    return np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images


def _pixels(tensor: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return to_pixels(tensor) if tensor.ndim == 4 else tensor
