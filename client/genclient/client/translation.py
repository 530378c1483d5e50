"""Pictures to be made of pictures: which signature takes them, and what is sent. No network here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genclient.client.base import Question
from genclient.errors import UsageError
from genclient.model import describe
from genclient.model.binding import Binding
from genclient.model.signature import ModelInfo
from genclient.tasks.image_to_image import IMAGE_TO_IMAGE
from genclient.tasks.task import AUTO

if TYPE_CHECKING:
    from genclient.images.value_ranges import ValueRanges

Pictures = ArrayLike | Sequence[bytes | str | PathLike[str]]
"""Arrays (N, H, W, C), or files by path or content."""


def are_files(images: Any) -> bool:
    """Whether pictures are files, by path or content, and not an array."""
    many = isinstance(images, (list, tuple)) and len(images) > 0
    return many and all(isinstance(image, (bytes, str, PathLike)) for image in images)


def binding_for(info: ModelInfo, signature: str, names: Mapping[str, str], files: bool) -> Binding:
    """The signature to call: of files the one that brings them to size as training did, where there is one.

    Raises:
        ClientError: the model makes no pictures of pictures.
    """
    if files and signature == AUTO:
        for name in ("png", *IMAGE_TO_IMAGE.order(info)):
            found = IMAGE_TO_IMAGE.fitting(info, name, names) if name in info.signatures else None
            if found is not None and "image_bytes" in found.spec.inputs:
                return found
    return IMAGE_TO_IMAGE.bind(info, signature, names)


def picture_shape(info: ModelInfo) -> tuple[int | None, ...] | None:
    """(H, W, C) of the pictures that a model takes, by any of its signatures; None where none says so."""
    return describe.picture_shape(info.signatures.values())


def question(
    binding: Binding, images: Any, hints: Any = None, ranges: ValueRanges | None = None, *, read: bool = False
) -> Question:
    """The request for the pictures made of `images`.

    Args:
        binding: the signature to call.
        images: see `Pictures`.
        hints: (N, H, W, 4), or the content of a PNG file.
        ranges: what is black and white in pictures of 32 bits and of floats.
        read: whether files are contents that `pictures.load` gave.

    Raises:
        ClientError: a picture cannot be read.
    """
    takes_files = "image_bytes" in binding.spec.inputs
    if isinstance(hints, bytes) and not takes_files:
        from genclient.images.prepare import hint_pixels

        hints = hint_pixels(hints, (binding.spec.inputs["image"].shape or (None,) * 4)[1:3])
    given: dict[str, Any] = {"hints_bytes" if takes_files else "hints": hints}
    if not are_files(images):
        given["image"] = _array(images)
    else:
        from genclient.images import pictures

        contents = list(images) if read else pictures.read_all(images, ranges)
        if "image_bytes" in binding.spec.inputs:
            given["image_bytes"] = contents
        else:
            given["image"] = brought_to_size(contents, binding)
    return Question(given, binding.signature, IMAGE_TO_IMAGE)


def brought_to_size(contents: Sequence[bytes], binding: Binding) -> NDArray[np.uint8]:
    """Files that `pictures.load` gave as uint8 (N, H, W, C) of the model's size.

    Raises:
        UsageError: the model takes any size, and they have several.
    """
    from genclient.images.prepare import prepared

    shape = (binding.spec.inputs["image"].shape or (None,) * 4)[1:]
    images = [prepared(content, shape) for content in contents]
    sizes = {image.shape[:2] for image in images}
    if len(sizes) > 1:
        raise UsageError(
            f"image: found pictures of {len(sizes)} sizes, expected one, since this model takes any; "
            "translate those of one size at a time"
        )
    return np.stack(images)


def _array(images: Any) -> NDArray[Any]:
    array = np.asarray(images)
    return array[None] if array.ndim == 3 else array
