"""`image` (N, H, W, C): a picture that the images are made of. Floats in [0, 1], bytes, or picture files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from genexport.roles.latents import latents_of_seeds
from genexport.roles.preprocess import Frame, decoded
from genexport.roles.role import Feed, Role, Steps
from genexport.roles.tensor import Tensor, shape

BYTES = ("uint8", "seeds")
FILES = ("png", "encoded", "invert_encoded")
"""Signatures that take pictures as bytes, and as files, since they give pixels or files as well."""

PATCHES = 4
"""Example pictures are smooth fields of colour through so many points a side."""


class Image(Role):
    """A picture. Of files become the pixels that training saw of them: cropped, laid on a background, resized."""

    name = "image"
    files = "image_bytes"
    """What signatures that take picture files call the input."""

    steps = Steps((0.0, 1.0), 1.0 + 1e-6)
    compared = calibrated = 64
    option = " --input image=picture.png"

    def feed(self, tensor: Tensor, signature: str) -> Feed:
        frame = Frame.of_tensor(tensor)
        if signature in BYTES:
            return Feed(tensor.role, tf.uint8, frame.shape, lambda pixels: tf.cast(pixels, tf.float32) / 255.0)
        if signature in FILES:
            return Feed(self.files, tf.string, (), lambda files: decoded(files, frame))
        return Feed(tensor.role, tf.float32, frame.shape)

    def examples(self, tensor: Tensor, count: int, first: int) -> tf.Tensor:
        """Whole pixels, so that bytes and files can hold them."""
        height, width, channels = Frame.of_tensor(tensor).shape
        seeds = tf.range(first, first + count, dtype=tf.int64)
        points = tf.reshape(latents_of_seeds(seeds, PATCHES * PATCHES * channels), (count, PATCHES, PATCHES, channels))
        fields = tf.image.resize(points, (height, width), "bicubic")
        return tf.round(tf.sigmoid(1.5 * fields) * 255.0) / 255.0

    def inside(self, tensor: Tensor, values: tf.Tensor) -> tf.Tensor:
        low, high = tensor.range or (0.0, 1.0)
        return values if (low, high) == (0.0, 1.0) else values * (high - low) + low

    def metadata(self, tensor: Tensor) -> dict[str, Any]:
        return {tensor.role: {"range": [0.0, 1.0], "layout": "NHWC", "shape": list(tensor.shape[1:])}}

    def onnx(self, tensor: Tensor) -> dict[str, str]:
        return {tensor.role: f"float32 {shape(tensor.shape)} in [0, 1]"}

    def words(self, shape: tuple[int | None, ...], manifest: Mapping[str, Any]) -> str:
        _, height, width, channels = shape
        return f"an image of {width}×{height}×{channels}"
