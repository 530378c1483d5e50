"""In the graph: picture files of any size and kind → images of one size, as they were before training.

Cropped to the middle, laid on a background where they are transparent, resized with antialiasing (Lanczos).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import tensorflow as tf
from PIL import ImageColor

WHITE = (1.0, 1.0, 1.0)

# Of the three colours' sum exactly 1, as in Pillow: a grey picture stays what it is.
LUMA = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Frame:
    """What a picture becomes: `shape` (H, W, C), cropped or squeezed, over `background`: three colours in [0, 1]."""

    shape: tuple[int, int, int]
    crop: bool = True
    background: tuple[float, ...] = WHITE

    @classmethod
    def of(cls, shape: tuple[int, int, int], run: Path) -> Frame:
        """As the settings in a run's config.json say; cropped and over white where there are none."""
        try:
            settings = json.loads((run / "config.json").read_text(encoding="utf-8"))["settings"]
            red, green, blue, *_ = ImageColor.getrgb(settings["background"])
            return cls(shape, settings["crop"] != "none", (red / 255, green / 255, blue / 255))
        except (OSError, ValueError, KeyError, TypeError):
            return cls(shape)


def decoded(files: tf.Tensor, frame: Frame) -> tf.Tensor:
    """Strings (N,) of PNG, JPEG, BMP or GIF (the first picture) → float32 (N, H, W, C) in [0, 1]."""
    return tf.map_fn(
        lambda file: _decoded(file, frame), files, fn_output_signature=tf.TensorSpec(frame.shape, tf.float32)
    )


def _decoded(file: tf.Tensor, frame: Frame) -> tf.Tensor:
    height, width, channels = frame.shape
    pixels = tf.cast(tf.io.decode_image(file, expand_animations=False), tf.float32) / 255.0
    pixels = _coloured(pixels, channels, frame.background)
    if frame.crop:
        pixels = _cropped(pixels, height, width)
    resized = tf.image.resize(pixels, (height, width), method="lanczos3", antialias=True)
    return tf.ensure_shape(tf.clip_by_value(resized, 0.0, 1.0), frame.shape)


def _coloured(pixels: tf.Tensor, channels: int, background: tuple[float, ...]) -> tf.Tensor:
    """(h, w, 1 to 4: grey or colours, with or without opacity) → (h, w, channels)."""
    found = tf.shape(pixels)[-1]
    colours = tf.cond(found < 3, lambda: tf.repeat(pixels[..., :1], 3, axis=-1), lambda: pixels[..., :3])
    opacity = tf.cond(found % 2 == 0, lambda: pixels[..., -1:], lambda: tf.ones_like(pixels[..., :1]))
    if channels == 4:
        return tf.concat([colours, opacity], axis=-1)
    flat = colours * opacity + tf.constant(background) * (1.0 - opacity)
    return tf.reduce_sum(flat * tf.constant(LUMA), axis=-1, keepdims=True) if channels == 1 else flat


def _cropped(pixels: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """The largest middle part of the wanted proportions."""
    size = tf.shape(pixels)
    high = tf.minimum(size[0], tf.maximum(1, size[1] * height // width))
    wide = tf.minimum(size[1], tf.maximum(1, size[0] * width // height))
    top, left = (size[0] - high) // 2, (size[1] - wide) // 2
    return pixels[top : top + high, left : left + wide]
