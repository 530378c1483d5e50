"""How real images look to a detector or a discriminator: as arrays, or as files that it decodes itself."""

from __future__ import annotations

from collections.abc import Mapping

from genclient.errors import ClientError
from genclient.model.binding import Binding
from genclient.model.roles import FILES, GENERATED, IMAGES, LABELS, SCORES
from genclient.model.signature import ModelInfo
from genclient.tasks.task import AUTO, Task

DETECT = "detect"
"""The signature that only detectors have."""


class _OfFiles(Task):
    """Of picture files."""

    def bind(self, info: ModelInfo, signature: str, names: Mapping[str, str]) -> Binding:
        """As `Task.bind`; where no signature fits, the error says which there are."""
        if signature != AUTO:
            return super().bind(info, signature, names)
        for name in self.by_cost(info):
            if (binding := self.fitting(info, name, names)) is not None:
                return binding
        found_all = "; ".join(f"{name}: {spec}" for name, spec in sorted(info.signatures.items())) or "no signatures"
        raise ClientError(
            f"model {info.name!r} takes no picture files: found {found_all}; expected image_bytes string (N) → scores, "
            "as genexport publishes it (encoded); Client.score takes arrays"
        )


FAKE_DETECTION = Task(
    "fake-detection",
    inputs=[IMAGES, LABELS],
    outputs=[SCORES, GENERATED],
    noun="a discriminator",
    expected=("an input images, labels where conditional, and an output scores",) * 2,
    cheapest=(DETECT, "discriminate", "serving_default"),
    strict=False,
)

FILES_DETECTION = _OfFiles(
    "fake-detection",
    inputs=[FILES, LABELS],
    outputs=[SCORES, GENERATED],
    noun="a discriminator",
    expected=("an input image_bytes, labels where conditional, and an output scores",) * 2,
    cheapest=("encoded", "serving_default"),
    strict=False,
)
