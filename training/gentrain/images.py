"""Many images in one picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gentrain.files import marked, replacing


def to_pixels(images: np.ndarray[Any, np.dtype[np.float32]]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Float images in [-1, 1] → uint8, rounded.

    >>> to_pixels(np.float32([-1, 0, 1])).tolist()
    [0, 128, 255]
    """
    return np.rint((np.clip(images, -1, 1) + 1) * 127.5).astype(np.uint8)


def image_grid(
    images: np.ndarray[Any, np.dtype[np.uint8]], columns: int, gap: int = 2
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Lay uint8 (N, H, W, C) in rows of `columns`, `gap` white pixels between them; uint8 (height, width, C).

    >>> image_grid(np.zeros((16, 28, 28, 1), np.uint8), columns=8).shape
    (58, 238, 1)
    """
    count, height, width, channels = images.shape
    rows = -(-count // columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        canvas[top : top + height, left : left + width] = image
    return canvas


def clip_rows(
    clips: np.ndarray[Any, np.dtype[np.uint8]], most: int = 16, frames: int = 9
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Some frames of the first clips uint8 (N, T, H, W, C), a clip a row; uint8 (height, width, C)."""
    numbers = np.linspace(0, clips.shape[1] - 1, min(frames, clips.shape[1])).round().astype(int)
    shown = clips[:most, numbers]
    return image_grid(shown.reshape(-1, *shown.shape[2:]), len(numbers))


def save_webp(clips: np.ndarray[Any, np.dtype[np.uint8]], path: Path, columns: int, fps: float) -> None:
    """Write clips uint8 (N, T, H, W, C) beside each other as one animated WebP that loops; whole or not at all."""
    frames = [image_grid(clips[:, number], columns) for number in range(clips.shape[1])]
    first, *others = (Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels) for pixels in frames)
    with replacing(path) as temporary:
        first.save(
            temporary, "WEBP", save_all=True, append_images=others, duration=round(1000 / fps), loop=0, quality=80
        )


def save_png(pixels: np.ndarray[Any, np.dtype[np.uint8]], path: Path) -> None:
    """Write uint8 (H, W, C) as PNG, enlarged where it would be small on a screen; whole or not at all."""
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    scale = max(1, 512 // max(image.size))
    with replacing(path) as temporary:
        image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST).save(
            temporary, "PNG", pnginfo=marked("an image grid of samples")
        )
