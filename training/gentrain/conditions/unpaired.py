"""A picture that is to look like those of a style, where nobody has the right answer: the generator starts from it, the
discriminator compares what became of it with pictures of the style, and a contrast of patches (the setting `nce`) keeps
its content.

Source: "Contrastive Learning for Unpaired Image-to-Image Translation", arXiv 2007.15651.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from gentrain.conditions.base import Array
from gentrain.conditions.image import Image
from gentrain.errors import TrainError, UsageError

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset
    from gentrain.settings import Settings


class Unpaired(Image):
    """The `inputs` of a data set, uint8 (N, H, W, C): as many as there are, and none belongs to any of its images."""

    name = "unpaired"
    learns_by = ("nce",)
    judged = False

    @classmethod
    def of(cls, dataset: Dataset) -> Unpaired:
        if dataset.inputs is None:
            raise TrainError(f"{dataset.source}: has no style to take on; --style FOLDER names pictures that have it")
        return cls(dataset.inputs.images)

    def configure(self, settings: Settings) -> None:
        if settings.latent_size:
            raise UsageError(f"latent_size {settings.latent_size}: a style is taken on by pictures alone, it must be 0")

    def columns(self, dataset: Dataset) -> Mapping[str, Array]:
        assert dataset.inputs is not None
        return {"image": dataset.inputs.images}
