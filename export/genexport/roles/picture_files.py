"""In the graph: what is in a picture file, upright, as red, green, blue and opacity, as training reads it."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

RATIOS = (8, 4, 2)
"""JPEG can be decoded at these fractions of its size, which is faster; training does so."""

ORIENTATION = 0x0112  # the tag of EXIF that says how the camera was held

Range = tuple[float, float]

DEEP: Range = (0.0, 65535.0)
"""Black and white in pictures of 16 bits, unless training found that they hold fewer."""


def rgba(file: tf.Tensor, least: tuple[int, int], deep: tuple[Range, Range] = (DEEP, DEEP)) -> tf.Tensor:
    """A string () → float32 (h, w, 4), whole numbers in [0, 255]; large JPEG smaller, but not below `least` (h, w).

    `deep` are the values of grey PNG, and of those in colour, of 16 bits that become 0 and 255.
    """
    is_jpeg = tf.strings.substr(file, 0, 3) == b"\xff\xd8\xff"
    is_png = tf.strings.substr(file, 0, 8) == b"\x89PNG\r\n\x1a\n"
    pixels = tf.cond(
        is_jpeg, lambda: _jpeg(file, least), lambda: tf.cond(is_png, lambda: _png(file, deep), lambda: _other(file))
    )
    start = tf.strings.substr(file, 0, 2**17)
    exif = tf.cond(
        is_jpeg, lambda: _after(start, b"Exif\0\0"), lambda: _after(tf.strings.split(start, b"IDAT", 1)[0], b"eXIf")
    )
    return _upright(pixels, tf.cond(tf.strings.length(exif) > 8, lambda: _orientation(exif), lambda: tf.constant(1)))


def _jpeg(file: tf.Tensor, least: tuple[int, int]) -> tf.Tensor:
    size = tf.image.extract_jpeg_shape(file)
    times = tf.minimum(size[0] // least[0], size[1] // least[1])

    def at(ratio: int) -> Callable[[], tf.Tensor]:
        # As libjpeg, and so Pillow, decodes unless told otherwise.
        return lambda: tf.io.decode_jpeg(file, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")

    return _opaque(tf.case([(times >= ratio, at(ratio)) for ratio in RATIOS], default=at(1)))


def _png(file: tf.Tensor, deep_values: tuple[Range, Range]) -> tf.Tensor:
    depth_and_colour = tf.strings.substr(file, 24, 2)  # of the header, which comes first
    grey = depth_and_colour == b"\x10\0"
    deep = tf.strings.substr(depth_and_colour, 0, 1) == b"\x10"
    few_greys = tf.strings.regex_full_match(depth_and_colour, b"[\x01\x02\x04]\0")

    def narrowed() -> tf.Tensor:
        """16 bits a channel as 8. Pillow reads deep grey whole, which training rounds, and of colours the high byte."""
        values = tf.cast(tf.io.decode_png(file, channels=4, dtype=tf.uint16), tf.float32)
        return tf.cond(
            grey,
            lambda: _opaque(_scaled(values[..., :3], deep_values[0])),
            lambda: tf.concat([_colours(values, deep_values[1]), tf.floor(values[..., 3:] / 256.0)], axis=-1),
        )

    def plain() -> tf.Tensor:
        values = tf.cast(tf.io.decode_png(file, channels=4), tf.float32)
        # Grey of less than 8 bits comes with 1 for opaque.
        opacity = tf.cond(few_greys, lambda: tf.sign(values[..., 3:]) * 255.0, lambda: values[..., 3:])
        return tf.concat([values[..., :3], opacity], axis=-1)

    return tf.cond(deep, narrowed, plain)


def _colours(values: tf.Tensor, taken: Range) -> tf.Tensor:
    return tf.floor(values[..., :3] / 256.0) if taken == DEEP else _scaled(values[..., :3], taken)


def _scaled(values: tf.Tensor, taken: Range) -> tf.Tensor:
    low, high = taken
    return tf.round(tf.clip_by_value((values - low) * (255.0 / (high - low)), 0.0, 255.0))


def _other(file: tf.Tensor) -> tf.Tensor:
    """BMP or GIF."""
    pixels = tf.io.decode_image(file, expand_animations=False)
    # A BMP of 32 bits has opacity in the fourth byte only where its header says so.
    plain = tf.logical_or(tf.shape(pixels)[-1] < 4, tf.strings.substr(file, 30, 1) == b"\0")
    grey = tf.shape(pixels)[-1] < 3
    colours = tf.cond(grey, lambda: tf.repeat(pixels[..., :1], 3, axis=-1), lambda: pixels[..., :3])
    return tf.cond(plain, lambda: _opaque(colours), lambda: tf.cast(pixels[..., :4], tf.float32))


def _opaque(colours: tf.Tensor) -> tf.Tensor:
    colours = tf.cast(colours, tf.float32)
    return tf.concat([colours, tf.fill([*tf.unstack(tf.shape(colours)[:2]), 1], 255.0)], axis=-1)


def _after(content: tf.Tensor, mark: bytes) -> tf.Tensor:
    """What follows a mark, or nothing."""
    return tf.concat([tf.strings.split(content, mark, 1), [b""]], axis=0)[1]


def _orientation(exif: tf.Tensor) -> tf.Tensor:
    """1 to 8, of a TIFF header with its first directory; 1 where that says nothing."""
    content = tf.cast(tf.io.decode_raw(exif, tf.uint8), tf.int64)
    little, last = content[0] == ord("I"), tf.size(content, tf.int64) - 1

    def number(at: tf.Tensor, size: int) -> tf.Tensor:
        """The whole numbers of `size` bytes that stand at some places; beyond the end the last byte counts."""
        places = tf.clip_by_value(tf.expand_dims(at, -1) + tf.range(size, dtype=tf.int64), 0, last)
        digits = tf.gather(content, places)
        digits = tf.cond(little, lambda: tf.reverse(digits, [-1]), lambda: digits)
        powers = tf.constant([256**power for power in reversed(range(size))], tf.int64)
        return tf.reduce_sum(digits * powers, axis=-1)

    directory = number(tf.constant(4, tf.int64), 4)
    count = tf.minimum(number(directory, 2), last // 12)
    entries = directory + 2 + 12 * tf.range(count)
    values = tf.boolean_mask(number(entries + 8, 2), number(entries, 2) == ORIENTATION)
    orientation = tf.reduce_max(tf.concat([values, [1]], axis=0))
    return tf.cast(tf.where(orientation > 8, tf.constant(1, tf.int64), orientation), tf.int32)


def _upright(pixels: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turned as the number means: from 5 on on its side, and mirrored this way or that."""

    def mirrored(pixels: tf.Tensor, axis: int, orientations: tuple[int, ...]) -> tf.Tensor:
        is_one = tf.reduce_any(orientation == tf.constant(orientations))
        return tf.cond(is_one, lambda: tf.reverse(pixels, [axis]), lambda: pixels)

    pixels = tf.cond(orientation > 4, lambda: tf.transpose(pixels, (1, 0, 2)), lambda: pixels)
    return mirrored(mirrored(pixels, 1, (2, 3, 6, 7)), 0, (3, 4, 7, 8))
