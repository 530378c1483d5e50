"""Discriminators: loaded by discriminator_model.py, signatures and versions in discriminator_version.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genexport.kinds.kind import Kind, Tell

if TYPE_CHECKING:
    from genexport.compare.parity import Difference


class Discriminator(Kind):
    """Scores of images. Models and manifests call it a critic, as they did before."""

    name = "critic"
    compared = "the discriminator's scores"

    def takes(self, manifest: Mapping[str, Any]) -> str:
        return "judged by a discriminator"

    def quality(self, manifest: Mapping[str, Any]) -> str:
        return "a discriminator"

    def verify(
        self, folder: Path, manifest: Mapping[str, Any], reference: dict[str, Any], tell: Tell
    ) -> dict[str, Difference]:
        from genexport.kinds import discriminator_version

        return discriminator_version.verify(folder, manifest, reference)
