"""The latents of pictures: which signature finds them, what is sent, and what its answer is. No network here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from genclient.client.base import Request
from genclient.client.translation import are_files, brought_to_size
from genclient.errors import ClientError
from genclient.model.binding import Binding
from genclient.model.signature import ModelInfo
from genclient.tasks.inversion import INVERSION, OF_FILES
from genclient.tasks.task import AUTO

if TYPE_CHECKING:
    from genclient.images.prepare import Preprocessing
    from genclient.images.value_ranges import ValueRanges


@dataclass(frozen=True, eq=False)
class Inversion:
    """What draws pictures again: `client.sample(latents=found.latents, label=found.labels)`.

    Attributes:
        latents: float32 (N, Z).
        labels: int64 (N,), the class that each picture shows; None of a generator without classes.
    """

    latents: NDArray[np.float32]
    labels: NDArray[np.int64] | None = None

    @classmethod
    def of(cls, results: Mapping[str, Any]) -> Inversion:
        """The answer of a model."""
        labels = results.get("labels")
        return cls(results["latents"], None if labels is None else labels.astype(np.int64))


def inversion_binding(info: ModelInfo, signature: str, names: Mapping[str, str], files: bool) -> Binding:
    """The signature that finds latents: of files the one that brings them to size as training did, if there is one.

    Raises:
        ClientError: there is none; the message says how one comes about.
    """
    if files and signature == AUTO and (binding := INVERSION.fitting(info, OF_FILES, names)) is not None:
        return binding
    if signature == AUTO and INVERSION.fitting(info, AUTO, names) is None:
        known = ", ".join(sorted(info.signatures)) or "none"
        raise ClientError(
            f"model {info.name!r} finds no latents of pictures: it has the signatures {known}, expected invert; "
            "gentrain encoder RUN makes it, and genexport publishes it with the generator"
        )
    return INVERSION.bind(info, signature, names)


def inversion_request(
    binding: Binding,
    images: Any,
    ranges: ValueRanges | None = None,
    *,
    read: bool = False,
    preprocessing: Preprocessing | None = None,
) -> Request:
    """The request for the latents of `images`, arrays or files.

    Args:
        binding: the signature to call.
        images: arrays (N, H, W, C) or (H, W, C), or files by path or content.
        ranges: what is black and white in pictures of 32 bits and of floats.
        read: whether files are contents that `pictures.load` gave.
        preprocessing: of files that are brought to size here.

    Raises:
        ClientError: a picture cannot be read.
    """
    if not are_files(images):
        array = np.asarray(images)
        return Request({"image": array[None] if array.ndim == 3 else array}, binding.signature, INVERSION)
    from genclient.images import pictures

    contents = list(images) if read else pictures.read_all(images, ranges)
    if "image_bytes" in binding.spec.inputs:
        return Request({"image_bytes": contents}, binding.signature, INVERSION)
    return Request({"image": brought_to_size(contents, binding, preprocessing)}, binding.signature, INVERSION)
