"""In the graph: picture files of any size and kind → images of one size, the very pixels that training saw of them.

Training reads pictures with Pillow: laid on a background where they are transparent, cropped to the middle, resized
with Lanczos in whole numbers. Each step is done here as there; what is in the files is for picture_files.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import tensorflow as tf
from PIL import ImageColor

from genexport import run_files
from genexport.roles import picture_files
from genexport.roles.tensor import Tensor

WHITE = (255, 255, 255)

# Of the three colours' sum exactly 65536, as in Pillow: a grey picture stays what it is.
LUMA = (19595, 38470, 7471)

GAP = 3
"""Pictures are made smaller by averaging whole pixels first, as long as they stay this many times the target size."""

SUPPORT = 2.5
"""What Lanczos looks at beside a region, in pixels of the result."""


@dataclass(frozen=True)
class Frame:
    """What a picture becomes: `shape` (H, W, C), cropped or squeezed, over `background`: three colours in [0, 255].

    With `pad` all of it, in the middle of the background; with `nearest` no pixels are mixed. `deep` are the values
    that are black and white in pictures of 16 bits, grey ones and those in colour.
    """

    shape: tuple[int, int, int]
    crop: bool = True
    background: tuple[int, ...] = WHITE
    pad: bool = False
    nearest: bool = False
    deep: tuple[picture_files.Range, picture_files.Range] = (picture_files.DEEP, picture_files.DEEP)

    @classmethod
    def of(cls, shape: tuple[int, int, int], preprocessing: Mapping[str, Any]) -> Frame:
        """As `preprocessing` in interface.json says; cropped and over white where it does not."""
        try:
            crop = str(preprocessing.get("crop", "center"))
            background = ImageColor.getrgb(str(preprocessing.get("background", "white")))[:3]
        except ValueError:
            return cls(shape)
        ranges = preprocessing.get("value_ranges")
        deep = _taken(ranges, "16-bit images"), _taken(ranges, "16-bit colour images")
        return cls(shape, crop == "center", background, crop == "pad", preprocessing.get("resize") == "nearest", deep)

    @classmethod
    def of_tensor(cls, tensor: Tensor) -> Frame:
        """What pictures become for a tensor (N, H, W, C)."""
        height, width, channels = (int(size or 0) for size in tensor.shape[1:])
        return cls.of((height, width, channels), tensor.preprocessing)


def of_run(run: Path) -> dict[str, Any]:
    """The `preprocessing` of a run that has no interface.json, by its config.json and dataset.json."""
    settings, dataset = run_files.read(run / run_files.CONFIG).get("settings"), run_files.read(run / run_files.DATASET)
    settings = settings if isinstance(settings, dict) else {}
    if not {"crop", "background"} <= settings.keys():
        return {}
    return {"crop": settings["crop"], "background": settings["background"], "value_ranges": dataset.get("value_ranges")}


def _taken(ranges: Any, kind: str) -> picture_files.Range:
    try:
        low, high = map(float, ranges[kind]["taken"])
        return low, high
    except (ValueError, KeyError, TypeError):
        return picture_files.DEEP


def decoded(files: tf.Tensor, frame: Frame) -> tf.Tensor:
    """Strings (N,) of PNG, JPEG, BMP or GIF (the first picture) → float32 (N, H, W, C) in [0, 1], of whole pixels."""
    return tf.map_fn(
        lambda file: _decoded(file, frame), files, fn_output_signature=tf.TensorSpec(frame.shape, tf.float32)
    )


def _decoded(file: tf.Tensor, frame: Frame) -> tf.Tensor:
    height, width, channels = frame.shape
    pixels = picture_files.rgba(file, (GAP * height, GAP * width), frame.deep)
    pixels = _coloured(_padded(pixels, height, width) if frame.pad else pixels, channels, frame.background)
    high, wide = tf.unstack(tf.shape(pixels)[:2])
    kept_high, kept_wide = (high, wide) if not frame.crop else _largest(high, wide, height, width)
    rows = Side((high - kept_high) // 2, kept_high, high, height)
    columns = Side((wide - kept_wide) // 2, kept_wide, wide, width)
    if frame.nearest:
        return tf.ensure_shape(_picked(_picked(pixels, rows, 0), columns, 1) / 255.0, frame.shape)
    pixels, rows, columns = _averaged(pixels, rows, columns)
    pixels = tf.cond(
        _rows_first(rows, columns),
        lambda: _lanczos(_lanczos(pixels, rows, axis=0), columns, axis=1),
        lambda: _lanczos(_lanczos(pixels, columns, axis=1), rows, axis=0),
    )
    return tf.ensure_shape(pixels / 255.0, frame.shape)


def _picked(pixels: tf.Tensor, side: Side, axis: int) -> tf.Tensor:
    """The part of one side by its nearest pixels, none of them mixed; the other side stays."""
    return tf.gather(pixels, side.start + (2 * tf.range(side.target) + 1) * side.kept // (2 * side.target), axis=axis)


def _padded(pixels: tf.Tensor, height: int, width: int) -> tf.Tensor:
    """(h, w, 4) in the middle of the smallest transparent picture of the target proportions that holds it."""
    high, wide = tf.unstack(tf.shape(pixels)[:2])
    more_high, more_wide = tf.maximum(0, wide * height // width - high), tf.maximum(0, high * width // height - wide)
    top, left = more_high // 2, more_wide // 2
    return tf.pad(pixels, [[top, more_high - top], [left, more_wide - left], [0, 0]])


def _coloured(pixels: tf.Tensor, channels: int, background: tuple[int, ...]) -> tf.Tensor:
    """Float32 (h, w, 4) of whole numbers: red, green, blue and opacity → (h, w, channels)."""
    if channels == 4:
        return pixels
    opacity = pixels[..., 3:] / 255.0
    flat = tf.round(pixels[..., :3] * opacity + tf.constant(background, tf.float32) * (1.0 - opacity))
    if channels == 3:
        return flat
    grey = tf.reduce_sum(tf.cast(flat, tf.int32) * tf.constant(LUMA), axis=-1, keepdims=True)
    return tf.cast((grey + 2**15) // 2**16, tf.float32)


class Side(NamedTuple):
    """Along one side of a picture: the part that is kept, of how many pixels, and what it is to become."""

    start: tf.Tensor
    kept: tf.Tensor
    length: tf.Tensor
    target: int


def _largest(high: tf.Tensor, wide: tf.Tensor, height: int, width: int) -> tuple[tf.Tensor, tf.Tensor]:
    """The largest part of the target proportions."""
    return (
        tf.minimum(high, tf.maximum(1, wide * height // width)),
        tf.minimum(wide, tf.maximum(1, high * width // height)),
    )


def _averaged(pixels: tf.Tensor, rows: Side, columns: Side) -> tuple[tf.Tensor, Side, Side]:
    """Much smaller pictures by averaging blocks of pixels, which leaves less to the slower filter (`reducing_gap`)."""
    high, wide = _factor(rows), _factor(columns)

    def smaller() -> tuple[tf.Tensor, Side, Side]:
        (top, bottom), (left, right) = _looked_at(rows), _looked_at(columns)
        blocks = _blocks(_blocks(pixels[top:bottom, left:right], high, 0), wide, 1)
        area = tf.cast(_sizes(bottom - top, high)[:, None, None] * _sizes(right - left, wide)[:, None], tf.float32)
        made = tf.floor(blocks / area + 0.5)
        return made, _scaled(rows, top, bottom, high), _scaled(columns, left, right, wide)

    def same() -> tuple[tf.Tensor, Side, Side]:
        return pixels, _scaled(rows, 0, rows.length, 1), _scaled(columns, 0, columns.length, 1)

    return tf.cond(tf.maximum(high, wide) > 1, smaller, same)


def _factor(side: Side) -> tf.Tensor:
    return tf.maximum(1, side.kept // (side.target * GAP))


def _looked_at(side: Side) -> tuple[tf.Tensor, tf.Tensor]:
    """What is kept, and what the filter looks at beside it."""
    beside = SUPPORT / side.target * tf.cast(side.kept, tf.float64)
    first = tf.cast(tf.cast(side.start, tf.float64) - beside, tf.int32)
    last = tf.cast(tf.math.ceil(tf.cast(side.start + side.kept, tf.float64) + beside), tf.int32)
    return tf.maximum(0, first), tf.minimum(side.length, last)


def _blocks(pixels: tf.Tensor, factor: tf.Tensor, axis: int) -> tf.Tensor:
    """Sums of `factor` neighbours along an axis; the last ones may be fewer."""
    pixels = tf.pad(pixels, [[0, -tf.shape(pixels)[i] % factor if i == axis else 0] for i in range(3)])
    shape = tf.unstack(tf.shape(pixels))
    return tf.reduce_sum(
        tf.reshape(pixels, [*shape[:axis], shape[axis] // factor, factor, *shape[axis + 1 :]]), axis + 1
    )


def _sizes(length: tf.Tensor, factor: tf.Tensor) -> tf.Tensor:
    """How many neighbours are in each block: int32 (blocks,)."""
    return tf.minimum(factor, length - tf.range(0, length, factor))


def _scaled(side: Side, first: tf.Tensor, last: tf.Tensor, factor: tf.Tensor) -> Side:
    """The same part in pixels of the smaller picture: start and kept as float32."""
    start, kept = tf.cast(side.start - first, tf.float64), tf.cast(side.kept, tf.float64)
    times = tf.cast(factor, tf.float64)
    smaller = -(-(last - first) // factor)
    return Side(tf.cast(start / times, tf.float32), tf.cast(kept / times, tf.float32), smaller, side.target)


def _rows_first(rows: Side, columns: Side) -> tf.Tensor:
    """The order in which Pillow 13 goes, which shows since there is rounding in between; measured."""
    return rows.length - rows.target > tf.maximum(0, 2 * (columns.length - columns.target))


def _lanczos(pixels: tf.Tensor, side: Side, axis: int) -> tf.Tensor:
    """The part of one side resized with antialiasing, to whole numbers in [0, 255]; the other side stays."""
    scale = tf.cast(side.target, tf.float32) / side.kept
    one, none = tf.ones_like(scale), tf.zeros_like(scale)
    size = tf.tensor_scatter_nd_update(tf.shape(pixels)[:2], [[axis]], [side.target])
    made = tf.raw_ops.ScaleAndTranslate(
        images=pixels[None],
        size=size,
        scale=tf.stack([scale, one] if axis == 0 else [one, scale]),
        translation=tf.stack([-side.start * scale, none] if axis == 0 else [none, -side.start * scale]),
        kernel_type="lanczos3",
        antialias=True,
    )
    return tf.clip_by_value(tf.round(made[0]), 0.0, 255.0)
