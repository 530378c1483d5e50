"""Whether pictures are real or generated: which model judges, what is sent to it, and what its answer means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genclient.client.base import DISCRIMINATOR_SUFFIX, Request
from genclient.client.translation import Pictures, are_files
from genclient.errors import ClientError, RpcError
from genclient.model.roles import Label
from genclient.model.signature import ModelInfo
from genclient.tasks.fake_detection import DETECT, FAKE_DETECTION, FILES_DETECTION

if TYPE_CHECKING:
    from genclient.images.value_ranges import ValueRanges

Files = Sequence[bytes | str | PathLike[str]]


@dataclass(frozen=True, eq=False)
class Detection:
    """What a detector or a discriminator says of pictures.

    Attributes:
        scores: float32 (N,), higher is more real.
        generated: bool (N,), the verdict; None of a discriminator, which has none.
        threshold: below which a picture is called generated, where that is known: servers say only the verdict.
        false_alarms: the share of real pictures that are called generated too, where that is known.
        false_alarms_interval: the lowest and the highest that it may be, with 95% confidence.
    """

    scores: NDArray[np.float32]
    generated: NDArray[np.bool_] | None = None
    threshold: float | None = None
    false_alarms: float | None = None
    false_alarms_interval: tuple[float, float] | None = field(default=None)

    @property
    def probabilities(self) -> NDArray[np.float32]:
        """float32 (N,): how probably each is generated, by a detector, whose scores are calibrated."""
        return np.float32(1) - self.scores

    @classmethod
    def of(cls, results: Mapping[str, Any]) -> Detection:
        """The answer of a server."""
        return cls(results["scores"], results.get("generated"))


def is_detector(info: ModelInfo) -> bool:
    """Whether a model tells generated pictures from real ones by itself."""
    return DETECT in info.signatures


def companion(model: str) -> str:
    """The model that judges, where `model` does not itself: its discriminator."""
    return f"{model}{DISCRIMINATOR_SUFFIX}"


def none_judges(model: str, is_there: bool, error: RpcError) -> ClientError:
    """The error where neither a model nor its discriminator judges pictures."""
    if error.code.name != "NOT_FOUND":
        return error
    what = "is no detector" if is_there else "is not there"
    text = f"model {model!r} {what}, and there is no discriminator {companion(model)!r}: {error}"
    return ClientError(text, exit_code=error.exit_code)


def detection_request(images: Pictures, ranges: ValueRanges | None, label: Label, signature: str) -> Request:
    """The request for what is said of `images`, arrays or files.

    Raises:
        ClientError: a picture cannot be read.
    """
    if not are_files(images):
        array = np.asarray(images)
        array = array[None] if array.ndim == 3 else array
        return Request({"images": array, "labels": label}, signature, FAKE_DETECTION)
    from genclient.images import pictures

    files: Any = images
    return Request({"image_bytes": pictures.read_all(files, ranges), "labels": label}, signature, FILES_DETECTION)
