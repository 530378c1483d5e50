"""Pictures of any size as a model wants them, where the model does not do it itself: as training does by default."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from genclient.errors import UsageError
from genclient.images.arrays import flat

_REDUCING_GAP = 3.0  # as in training: pictures are averaged first, but not below this many times the size


def prepared(content: bytes, shape: tuple[int | None, ...]) -> NDArray[np.uint8]:
    """Pixels (H, W, C) of a file that `pictures.load` gave: upright, over white, its middle, resized with Lanczos.

    Args:
        content: of the file.
        shape: (H, W, C) of the model; where H or W is not known, the picture keeps its size.
    """
    height, width, channels = shape
    return fitted(flat(content, channels or 3), height, width)


def fitted(image: NDArray[np.uint8], height: int | None, width: int | None) -> NDArray[np.uint8]:
    """The largest part in the middle of an image (h, w, C) that has the proportions, resized to (height, width, C)."""
    if height is None or width is None or image.shape[:2] == (height, width):
        return image
    high, wide = image.shape[:2]
    kept_high, kept_wide = min(high, max(1, wide * height // width)), min(wide, max(1, high * width // height))
    top, left = (high - kept_high) // 2, (wide - kept_wide) // 2
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    box = (left, top, left + kept_wide, top + kept_high)
    resized = picture.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=_REDUCING_GAP)
    return np.asarray(resized, np.uint8).reshape(height, width, -1)


def hint_pixels(content: bytes, size: tuple[int | None, ...]) -> NDArray[np.uint8]:
    """Hints (H, W, 4), colours and a mask, of a picture file whose opaque pixels they are; none are lost or blurred.

    Raises:
        UsageError: it is no picture.
    """
    try:
        with Image.open(io.BytesIO(content)) as opened:
            picture = opened.convert("RGBA")
    except (OSError, ValueError, SyntaxError) as error:
        raise UsageError(f"hints: found what is no picture: {error}") from None
    height, width = (given or own for given, own in zip(size, (picture.height, picture.width), strict=True))
    if picture.size != (width, height):
        picture = picture.resize((width, height), Image.Resampling.NEAREST)
    pixels = np.array(picture)
    pixels[..., 3] = np.where(pixels[..., 3] >= 128, 255, 0)
    pixels[..., :3][pixels[..., 3] == 0] = 0
    return pixels
