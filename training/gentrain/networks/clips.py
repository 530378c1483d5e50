"""Clips as layers see them: frames behind each other as channels, (N, H, W, T C), as 2-D convolutions take them.

All are stock layers, and none transposes more than four dimensions, which is what TFLite has on XNNPACK.
"""

from __future__ import annotations

from typing import Any

from keras import layers


def as_clips(x: Any, frames: int, name: str) -> Any:
    """(N, H, W, T C) → float32 (N, T, H, W, C); the last layer has this name."""
    _, height, width, channels = x.shape
    x = layers.Reshape((height * width, frames, channels // frames), dtype="float32")(x)
    x = layers.Permute((2, 1, 3), dtype="float32")(x)
    return layers.Reshape((frames, height, width, channels // frames), dtype="float32", name=name)(x)


def as_channels(clips: Any) -> Any:
    """(N, T, H, W, C) → (N, H, W, T C)."""
    _, frames, height, width, channels = clips.shape
    x = layers.Reshape((frames, height * width, channels))(clips)
    x = layers.Permute((2, 1, 3))(x)
    return layers.Reshape((height, width, frames * channels))(x)


def with_differences(clips: Any) -> Any:
    """(N, T, H, W, C) → (N, H, W, (2 T - 1) C): the frames, and what each differs by from the one before."""
    later, earlier = (layers.Cropping3D((cut, (0, 0), (0, 0)))(clips) for cut in ((1, 0), (0, 1)))
    return layers.Concatenate()([as_channels(clips), as_channels(layers.Subtract()([later, earlier]))])
