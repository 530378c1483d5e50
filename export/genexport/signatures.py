"""The signatures of contract 2: what a server offers. Each is a function of tensors and the specs it is traced with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from genexport.generator import Generator
from genexport.latents import latents_of_seeds

Signature = tuple[Callable[..., dict[str, tf.Tensor]], list[tf.TensorSpec]]

# Separate signatures, not one with an output filter: TensorFlow Serving never batches requests whose filters differ.


def signatures(generator: Generator) -> dict[str, Signature]:
    """Name → (function, specs). All inputs share dimension 0, any size from 0 on, so that a server can batch them."""

    def images(latents: tf.Tensor, *labels: tf.Tensor) -> tf.Tensor:
        # TensorFlow's fused convolutions answer an empty batch with a wrong number of channels (2.21, in a session), so
        # the generator always gets a row.
        rows = tf.shape(latents)[0]
        missing = tf.cast(rows == 0, tf.int32)
        inputs = [tf.pad(values, [[0, missing]] + [[0, 0]] * (len(values.shape) - 1)) for values in (latents, *labels)]
        return generator.images(*inputs)[:rows]

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


def on_device(generator: Generator) -> Signature:
    """The one signature of the TFLite files, `generate`: (1, Z) → (1, H, W, C), a static batch of one."""

    def generate(latents: tf.Tensor, *labels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"images": generator.images(latents, *labels)}

    labels_spec = [tf.TensorSpec((1,), tf.int32, name="labels")] if generator.conditional else []
    return generate, [tf.TensorSpec((1, generator.latent_size), tf.float32, name="latents"), *labels_spec]


def to_pixels(images: tf.Tensor) -> tf.Tensor:
    """Float images in [0, 1] → uint8, rounded."""
    return tf.cast(tf.round(images * 255.0), tf.uint8)


def describe(generator: Generator) -> dict[str, Any]:
    """Signature → its inputs and outputs with dtypes and shapes, for the manifest."""
    described = {}
    for name, (function, specs) in signatures(generator).items():
        outputs = tf.function(function, input_signature=specs).get_concrete_function().structured_outputs
        described[name] = {
            "inputs": {spec.name: _spec(spec) for spec in specs},
            "outputs": {key: _spec(value) for key, value in outputs.items()},
        }
    return described


def _spec(spec: Any) -> dict[str, Any]:
    return {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
