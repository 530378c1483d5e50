"""What all places for images have in common; one file for each kind of place beside this one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient.outputs.image_set import ImageSet

Places = NDArray[np.int64]
"""Which images of a set, by number from 0."""

Outputs = Mapping[str, NDArray[Any]]
"""What a model gave for them, by name: `images` uint8 (N, H, W, C), and perhaps more."""


class Output(ABC):
    """A place for the images of a set.

    `begin`, then for each batch `encode` (in any thread) and `add` (in order), then `finish`. What interrupts this is
    followed by `discard`: files that are finished stay, nothing is left of others.

    Attributes:
        image_set: the images.
        shard: images of a file, where files have several; a batch should fit into it.
        resumes: whether another run goes on where this one ended.
        version: that made the images, once it is known.
        finished: images in files that were finished.
    """

    resumes = False
    shard: int | None = None

    def __init__(self, image_set: ImageSet) -> None:
        """Take what will come."""
        self.image_set = image_set
        self.version: int | None = None
        self.finished = 0

    def begin(self, version: int | None) -> Places:
        """The images that are missing, of the version that the server has now, where it is known.

        Raises:
            UsageError: files of another set are in the way.
        """
        self.version = version
        return np.arange(len(self.image_set))

    def encode(self, places: Places, outputs: Outputs, version: int | None) -> Any:
        """What `add` takes, of a batch's outputs by name; the slow part, and free of side effects."""
        return outputs["images"]

    @abstractmethod
    def add(self, places: Places, encoded: Any, version: int | None) -> Sequence[Path | str]:
        """Take the next images; gives the files that are finished by this.

        Raises:
            ClientError: they cannot be written.
        """

    @abstractmethod
    def finish(self) -> Sequence[Path | str]:
        """Take it that this was all; gives the files that are finished by this.

        Raises:
            ClientError: they cannot be written.
        """

    @abstractmethod
    def discard(self) -> None:
        """Remove what is not finished."""

    @abstractmethod
    def plan(self, missing: Places) -> list[str]:
        """What would be written: names of files, or a few words where there are many."""
