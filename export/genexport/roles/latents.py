"""`latents` float32 (N, Z), N(0, 1): drawn from seeds, in the graph too, as every room of genline draws them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from genexport.roles.role import Feed, Role, Steps
from genexport.roles.tensor import Tensor, shape

SEED_RULE = (
    "StatelessRandomNormalV2(shape=[latent_size], key=[seed], counter=[0, 0], alg=1) of TensorFlow: Philox 4x32-10 and "
    "Box-Muller, float32; the seed in 64 bits, two's complement; truncation multiplies the latents"
)


class Latents(Role):
    """What makes one image differ from another. The signature `seeds` takes int64 seeds in their place."""

    name = "latents"
    facts = {"latent_size": 0}  # noqa: RUF012
    # Steps of 1/32, zero point 0; normal draws of a few hundred seeds stay below 5, what is greater is something else.
    steps = Steps((-4.0, 127 / 32), 5.0)

    def feed(self, tensor: Tensor, signature: str) -> Feed:
        size = latent_size(tensor)
        if signature in ("seeds", "text"):
            return Feed("seeds", tf.int64, (), lambda seeds: latents_of_seeds(seeds, size))
        return Feed("latents", tf.float32, (size,))

    def examples(self, tensor: Tensor, count: int, first: int) -> tf.Tensor:
        return latents_of_seeds(tf.range(first, first + count, dtype=tf.int64), latent_size(tensor))

    def others(self, tensor: Tensor, count: int, first: int) -> dict[str, Any]:
        return {"seeds": tf.range(first, first + count, dtype=tf.int64)}

    def facts_of(self, tensor: Tensor) -> dict[str, Any]:
        return {"latent_size": latent_size(tensor)}

    def metadata(self, tensor: Tensor) -> dict[str, Any]:
        return {"latents": {"distribution": "normal", "mean": 0.0, "deviation": 1.0, "of_a_seed": SEED_RULE}}

    def onnx(self, tensor: Tensor) -> dict[str, str]:
        rule = "StatelessRandomNormalV2(shape=[Z], key=[seed], counter=[0, 0], alg=1): Philox 4x32-10, Box-Muller"
        return {"latents": "N(0, 1), float32 (N, Z)", "seed": rule}

    def note(self, tensor: Tensor) -> str:
        size = f"latents (N, {latent_size(tensor)})"
        return f"{size} are reshaped to the model's {shape(tensor.shape)}" if len(tensor.shape) > 2 else ""

    def words(self, shape: tuple[int | None, ...], manifest: Mapping[str, Any]) -> str:
        return f"{manifest['latent_size']} latents"


def latent_size(tensor: Tensor) -> int:
    """Z: (N, 1, 1, Z) and the like count as (N, Z)."""
    size = 1
    for each in tensor.shape[1:]:
        size *= each or 1
    return size


def latents_of_seeds(seeds: tf.Tensor, latent_size: int) -> tf.Tensor:
    """int64 (N,) → float32 (N, latent_size): Philox 4x32-10 and Box–Muller, by TensorFlow's own op. N may be 0."""
    return (_in_a_graph if tf.executing_eagerly() else _latents)(seeds, latent_size)


def _latents(seeds: tf.Tensor, latent_size: int) -> tf.Tensor:
    def draw(seed: tf.Tensor) -> tf.Tensor:
        return tf.raw_ops.StatelessRandomNormalV2(
            shape=[latent_size], key=tf.bitcast(seed[None], tf.uint64), counter=tf.zeros([2], tf.uint64), alg=1
        )

    return tf.map_fn(draw, seeds, fn_output_signature=tf.TensorSpec([latent_size], tf.float32))


# In a graph the op is called some thirty times as often in a second.
_in_a_graph = tf.function(_latents, reduce_retracing=True, autograph=False)
