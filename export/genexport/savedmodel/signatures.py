"""The signatures of contract 2: what a server offers. Each is a function of tensors and the specs it is traced with."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from genexport.generator.load import Generator
from genexport.roles.latents import latents_of_seeds

Signature = tuple[Callable[..., dict[str, tf.Tensor]], list[tf.TensorSpec]]

# Separate signatures, not one with an output filter: TensorFlow Serving never batches requests whose filters differ.


def signatures(generator: Generator) -> dict[str, Signature]:
    """Name → (function, specs). All inputs share dimension 0, any size from 0 on, so that a server can batch them."""

    def images(latents: tf.Tensor, *labels: tf.Tensor) -> tf.Tensor:
        return with_a_row(generator.images, latents, *labels)

    def serving_default(latents: tf.Tensor, *labels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"images": images(latents, *labels)}

    def uint8(latents: tf.Tensor, *labels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"images": to_pixels(images(latents, *labels))}

    def png(latents: tf.Tensor, *labels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"png_bytes": tf.io.encode_png(to_pixels(images(latents, *labels)))}

    def seeds(seeds: tf.Tensor, *labels: tf.Tensor) -> dict[str, tf.Tensor]:
        return uint8(latents_of_seeds(seeds, generator.latent_size), *labels)

    latents_spec = tf.TensorSpec((None, generator.latent_size), tf.float32, name="latents")
    seeds_spec = tf.TensorSpec((None,), tf.int64, name="seeds")
    labels_spec = [tf.TensorSpec((None,), tf.int32, name="labels")] if generator.conditional else []
    return {
        "serving_default": (serving_default, [latents_spec, *labels_spec]),
        "uint8": (uint8, [latents_spec, *labels_spec]),
        "png": (png, [latents_spec, *labels_spec]),
        "seeds": (seeds, [seeds_spec, *labels_spec]),
    }


def examples(generator: Generator, count: int) -> dict[str, tf.Tensor]:
    """Values for every input of the signatures: seeds 0 to count − 1, their latents, and labels where there are any."""
    latents, *labels = generator.examples(count)
    values = {"latents": latents, "seeds": tf.range(count, dtype=tf.int64)}
    return {**values, "labels": labels[0]} if labels else values


def on_device(generator: Generator) -> Signature:
    """The one signature of the TFLite files, `generate`: (1, Z) → (1, H, W, C), a static batch of one."""

    def generate(latents: tf.Tensor, *labels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"images": generator.images(latents, *labels)}

    labels_spec = [tf.TensorSpec((1,), tf.int32, name="labels")] if generator.conditional else []
    return generate, [tf.TensorSpec((1, generator.latent_size), tf.float32, name="latents"), *labels_spec]


def with_a_row(function: Callable[..., tf.Tensor], *inputs: tf.Tensor) -> tf.Tensor:
    """`function` of batches of any size, 0 too: it always gets a row, which is cut off again where there was none.

    TensorFlow's fused convolutions answer an empty batch with a wrong number of channels (2.21, in a session).
    """
    rows = tf.shape(inputs[0])[0]
    missing = tf.cast(rows == 0, tf.int32)
    padded = [tf.pad(values, [[0, missing]] + [[0, 0]] * (len(values.shape) - 1)) for values in inputs]
    return function(*padded)[:rows]


def to_pixels(images: tf.Tensor) -> tf.Tensor:
    """Float images in [0, 1] → uint8, rounded."""
    return tf.cast(tf.round(images * 255.0), tf.uint8)
