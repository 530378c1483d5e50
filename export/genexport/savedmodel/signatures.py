"""The signatures of contract 2: what a server offers. Each is a function of tensors and the specs it is traced with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from genexport.generator.load import Generator
from genexport.roles import ROLES
from genexport.roles.role import Feed

Output = Callable[[str, tf.Tensor], dict[str, tf.Tensor]]
"""Of a role and its values, images or clips in [0, 1]."""


class Signature(NamedTuple):
    """A function of tensors, the specs that it is traced with, and the tables that it looks things up in."""

    function: Callable[..., dict[str, tf.Tensor]]
    specs: Sequence[tf.TensorSpec]
    resources: Sequence[tf.Module] = ()


IN_PLACE = {"seeds": "seeds", "text": "texts"}
"""Signatures that are there only where an input can be taken in another form, and the name of that."""

# Separate signatures, not one with an output filter: TensorFlow Serving never batches requests whose filters differ.


def signatures(generator: Generator) -> dict[str, Signature]:
    """Name → (function, specs). All inputs share dimension 0, any size from 0 on, so that a server can batch them."""
    outputs: dict[str, Output] = {"serving_default": _floats, "uint8": _bytes, "png": _files}
    others = {name for tensor in generator.inputs for name in ROLES[tensor.role].others(tensor, 1, 0)}
    outputs |= {name: _bytes for name, other in IN_PLACE.items() if other in others}
    return {name: _signature(generator, name, output) for name, output in outputs.items()}


def _signature(generator: Generator, name: str, output: Output) -> Signature:
    feeds = feeds_of(generator, name)

    def endpoint(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        values = [feed.read(value) for feed, value in zip(feeds, inputs, strict=True)]
        return output(generator.output, with_one_example(generator.images, *values))

    return Signature(endpoint, [feed.spec() for feed in feeds], [feed.resource for feed in feeds if feed.resource])


def feeds_of(generator: Generator, signature: str) -> list[Feed]:
    """How a signature takes each input."""
    return [ROLES[tensor.role].feed(tensor, signature) for tensor in generator.inputs]


def _floats(role: str, images: tf.Tensor) -> dict[str, tf.Tensor]:
    return {role: images}


def _bytes(role: str, images: tf.Tensor) -> dict[str, tf.Tensor]:
    return {role: to_pixels(images)}


def _files(role: str, images: tf.Tensor) -> dict[str, tf.Tensor]:
    """A file an image; of clips one a frame, (N, T)."""
    return {"png_bytes": tf.ensure_shape(tf.io.encode_png(to_pixels(images)), images.shape[:-3])}


def examples(generator: Generator, count: int) -> dict[str, Any]:
    """Values by name, of which `roles.requests.fit` makes every signature's inputs, for the seeds 0 to count − 1."""
    values: dict[str, Any] = {}
    for tensor, example in zip(generator.inputs, generator.examples(count).items(), strict=True):
        values |= dict([example]) | ROLES[tensor.role].others(tensor, count, 0)
    return values


def on_device(generator: Generator) -> Signature:
    """The one signature of the TFLite files, `generate`: (1, Z) → (1, H, W, C), or a clip; a static batch of one."""

    def generate(*values: tf.Tensor) -> dict[str, tf.Tensor]:
        return {generator.output: generator.images(*values)}

    return Signature(generate, [feed.spec(1) for feed in feeds_of(generator, "generate")])


def with_one_example(function: Callable[..., Any], *inputs: tf.Tensor) -> Any:
    """`function` of batches of any size, 0 too: it always gets an example, which is cut off again if there was none.

    It gives a tensor, or several by name.

    TensorFlow's fused convolutions answer an empty batch with a wrong number of channels (2.21, in a session).
    """
    count = tf.shape(inputs[0])[0]
    missing = tf.cast(count == 0, tf.int32)
    padded = [tf.pad(values, [[0, missing]] + [[0, 0]] * (len(values.shape) - 1)) for values in inputs]
    return tf.nest.map_structure(lambda values: values[:count], function(*padded))


def to_pixels(images: tf.Tensor) -> tf.Tensor:
    """Float images in [0, 1] → uint8, rounded."""
    return tf.cast(tf.round(images * 255.0), tf.uint8)
