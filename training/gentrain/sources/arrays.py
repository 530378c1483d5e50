"""Images that are arrays already: brought to the frame piece by piece, so that files larger than memory work."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from PIL import Image

from gentrain.data import sizes
from gentrain.data.dataset import Append, Frame, Pixels, Show
from gentrain.sources.pictures import to_size

# Rows in a piece: at most 128 × 128 × 4 bytes each where the arrays are of a size that is used.
PIECE = 1024


def decode(
    pieces: Iterable[Pixels], size: tuple[int, int], channels: int, total: int, frame: Frame, append: Append, show: Show
) -> None:
    """Give images to `append`, resized only where the frame requires it.

    Args:
        pieces: uint8 (n, H, W, C) each, C = 1, 3 or 4 (with transparency).
        size: (width, height) of all of them.
        channels: C.
        total: how many images there are.
        frame: how they are to be decoded.
        append: takes the images.
        show: called with how many are done.
    """
    (height, width), target_channels = sizes.fitting(frame.resolution, {size}), frame.channels or min(channels, 3)
    done = 0
    for piece in pieces:
        opaque = _on_background(piece, frame.background_rgb) if channels == 4 else piece
        if size == (width, height) and opaque.shape[-1] == target_channels:
            append(opaque)
        else:
            append(np.stack([to_size(_image(pixels), (height, width), target_channels, frame) for pixels in opaque]))
        done += len(piece)
        show(done, total)


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _on_background(pixels: Pixels, background: tuple[int, int, int]) -> Pixels:
    """Uint8 (n, H, W, 4) → (n, H, W, 3), laid on a colour."""
    alpha = pixels[..., 3:].astype(np.float32) / 255.0
    laid = pixels[..., :3] * alpha + np.array(background, np.float32) * (1.0 - alpha)
    return np.rint(laid).astype(np.uint8)
