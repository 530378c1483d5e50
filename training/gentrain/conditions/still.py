"""A picture that is to move, as `image` float32 (N, H, W, C): the first frame of each clip."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gentrain.conditions.base import Array
from gentrain.conditions.image import Image
from gentrain.errors import TrainError

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset


class Still(Image):
    """The first frames of the clips, uint8 (N, H, W, C)."""

    name = "still"
    task = "video-generation"

    @classmethod
    def of(cls, dataset: Dataset) -> Still:
        if not dataset.frames:
            raise TrainError(f"{dataset.source}: pictures that stand still; --frames 16 cuts clips, of which they move")
        return cls(np.ascontiguousarray(dataset.images[:, 0]))

    def columns(self, dataset: Dataset) -> Mapping[str, Array]:
        return {"image": np.ascontiguousarray(dataset.images[:, 0])}
