"""The discriminator of a run, a model of its own that is published beside the generator: images in, scores out.

model.py     the discriminator as it is loaded, and what makes its logits scores
version.py   its signatures, compared with Keras, and its manifest
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genexport.kinds.kind import Kind, Report, Version

if TYPE_CHECKING:
    from genexport.compare.parity import Difference
    from genexport.kinds.discriminator.model import Discriminator as Model
    from genexport.savedmodel.signatures import Signature


class Discriminator(Kind):
    """Scores of images. Models and manifests call it a critic, as they did before."""

    name = "critic"
    compared = "the discriminator's scores"
    step = "discriminator"

    def endpoints(self, model: Model) -> dict[str, Signature]:
        from genexport.kinds.discriminator import version as discriminator_version

        return discriminator_version.signatures(model)

    def examples(self, model: Model, count: int) -> Mapping[str, Any]:
        return model.examples(count)

    def warm(self, model: Model, count: int) -> Mapping[str, Any]:
        return model.blank(count)

    def compare(self, model: Model, version: Version) -> dict[str, Any]:
        from genexport.kinds.discriminator import version as discriminator_version

        return discriminator_version.compare(self, model, version)

    def verify(
        self, folder: Path, manifest: Mapping[str, Any], reference: dict[str, Any], report: Report
    ) -> dict[str, Difference]:
        from genexport.kinds.discriminator import version as discriminator_version

        return discriminator_version.verify(folder, manifest, reference)

    def takes(self, manifest: Mapping[str, Any]) -> str:
        return "judged by a discriminator"

    def quality(self, manifest: Mapping[str, Any]) -> str:
        return "a discriminator"
