"""Images that a model starts from, as arrays: of a picture file, a folder of them, or a .npy file."""

from __future__ import annotations

import contextlib
import hashlib
import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray
from PIL import Image, ImageOps

from genclient.errors import ClientError, UsageError
from genclient.images import pictures
from genclient.images.value_ranges import ValueRanges, to_uint8

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}


@dataclass(frozen=True)
class GivenImages:
    """An input of a model.

    Attributes:
        name: of the input.
        array: (H, W, C), one for all examples, or (N, H, W, C), one for each.
        sha256: of its bytes.
    """

    name: str
    array: NDArray[Any]
    sha256: str

    @property
    def count(self) -> int | None:
        """How many there are; None: one for all."""
        return None if self.array.ndim == 3 else len(self.array)

    def only(self) -> GivenImages:
        """The first one, for all examples."""
        return replace(self, array=self.array[0])

    def of(self, places: NDArray[np.int64]) -> NDArray[Any]:
        """Those of some examples; one for all as it is."""
        return self.array if self.count is None else self.array[places]


def read_images(name: str, place: str, channels: int | None, ranges: ValueRanges | None = None) -> GivenImages:
    """The images at a path: a picture file, a folder of them in the order of their names, or a .npy of such arrays.

    Args:
        name: of the input, for errors.
        place: the path.
        channels: that the model takes; None: 3.
        ranges: what is black and white in pictures of 32 bits and of floats.

    Raises:
        UsageError: pictures have different sizes, or a .npy is no such array.
        ClientError: a file cannot be read.
    """
    array = _array(name, place) if place.endswith(".npy") else _pixels(name, place, channels, ranges)
    return GivenImages(name, array, hashlib.sha256(np.ascontiguousarray(array).data).hexdigest())


def _array(name: str, place: str) -> NDArray[Any]:
    try:
        with open(place, "rb") as file:
            array = npy.read_array(file, allow_pickle=False)
    except OSError as error:
        raise ClientError(f"--input: cannot read {place}: {error.strerror or error}") from None
    except (ValueError, EOFError, SyntaxError) as error:  # of a damaged header
        raise UsageError(f"--input: found {place}, which is no .npy file of numbers: {error}") from None
    if array.ndim not in (3, 4) or not array.size:
        raise UsageError(f"--input: found {array.shape} in {place}, expected {name} (N, H, W, C)")
    return np.asarray(array)


def _pixels(name: str, place: str, channels: int | None, ranges: ValueRanges | None) -> NDArray[np.uint8]:
    paths = list(pictures.find([place]))
    images = []
    for path, content in zip(paths, pictures.load(paths, ranges), strict=True):
        if isinstance(content, str):
            raise ClientError(f"{path}: {content}")
        images.append(flat(content, channels or 3))
    sizes = {image.shape for image in images}
    if len(sizes) > 1:
        raise UsageError(f"--input: found pictures of {len(sizes)} sizes in {place}, expected {name} of one")
    return np.stack(images) if Path(place).is_dir() else images[0]


def flat(content: bytes, channels: int, background: str = "white") -> NDArray[np.uint8]:
    """Pixels (H, W, C) of a file that `pictures.load` gave: upright, of 8 bits, over a colour but for 4 channels."""
    with Image.open(io.BytesIO(content)) as opened:
        picture: Image.Image = opened
        with contextlib.suppress(Exception):  # a broken note on how the camera was held spoils no pixels
            picture = ImageOps.exif_transpose(opened)
        if picture.mode.startswith("I"):
            picture = Image.fromarray(to_uint8(np.asarray(picture), 0, 65535))
        if picture.has_transparency_data and channels != 4:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, background), picture)
        image = np.asarray(picture.convert(_MODES.get(channels, "RGB")))
    return image[..., None] if image.ndim == 2 else image
