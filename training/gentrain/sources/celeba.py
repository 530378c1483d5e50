"""CelebA: a folder, or a zip archive, of the aligned faces (img_align_celeba, 178×218 JPEG)."""

from __future__ import annotations

import dataclasses
import os

from gentrain.data.dataset import Source
from gentrain.sources import folder, zipped
from gentrain.sources.pictures import shown


def open(path: str) -> Source:
    """The faces, cropped to the centre square; sub-folders are no classes.

    Source: Liu, Luo, Wang and Tang, arXiv 1411.7766; everyone downloads it under its own terms.

    Raises:
        TrainError: as a folder or an archive of images does.
    """
    kind = folder if os.path.isdir(path) else zipped
    return dataclasses.replace(kind.open(path, with_classes=False), name=f"celeba:{shown(path)}")
