"""Generators: loaded in generator/, their signatures in savedmodel/, their versions in generator_version.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genexport.describe import tables
from genexport.kinds.kind import Kind, Tell

if TYPE_CHECKING:
    from genexport.compare.parity import Difference


class Generator(Kind):
    """Images, compared pixel by pixel."""

    name = "generator"

    def takes(self, manifest: Mapping[str, Any]) -> str:
        given = manifest["signatures"]["serving_default"]["inputs"]
        return f"from {manifest['latent_size']} latents" if "latents" in given else f"from {' and '.join(given)}"

    def quality(self, manifest: Mapping[str, Any]) -> str:
        return tables.quality_text(manifest) or "not measured"

    def verify(
        self, folder: Path, manifest: Mapping[str, Any], reference: dict[str, Any], tell: Tell
    ) -> dict[str, Difference]:
        from genexport.kinds import generator_version

        return generator_version.verify(folder, manifest, reference, tell)
