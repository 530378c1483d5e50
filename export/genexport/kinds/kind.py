"""What the commands know of every kind of model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genexport.compare.parity import Difference

Tell = Callable[[str], None]


class Kind(ABC):
    """A kind; `name` is what manifests call it."""

    name: str
    compared = "against Keras"
    """Heads the table of its artifacts."""

    @abstractmethod
    def takes(self, manifest: Mapping[str, Any]) -> str:
        """Goes on from `28×28×1` in `genexport show`."""

    @abstractmethod
    def quality(self, manifest: Mapping[str, Any]) -> str:
        """For the column of `genexport list`."""

    @abstractmethod
    def verify(
        self, folder: Path, manifest: Mapping[str, Any], reference: dict[str, Any], tell: Tell
    ) -> dict[str, Difference]:
        """Run everything in a version and hold it to the limits that it was published by.

        Args:
            folder: the version's.
            manifest: its manifest.
            reference: the arrays of its reference.npz.
            tell: called with what is worth telling.

        Raises:
            ExportError: an artifact is past its limit.
        """
