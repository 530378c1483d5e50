"""What a critic's version holds: a SavedModel with warm-up requests, compared with Keras, and its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from genexport.compare import parity
from genexport.compare.parity import Difference
from genexport.describe import manifest_entries
from genexport.errors import ExportError
from genexport.kinds.discriminator import SEEDS, SUFFIX, Critic, keras_scores
from genexport.kinds.generator_version import REFERENCE
from genexport.options import Options
from genexport.repository import manifest
from genexport.roles import preprocess
from genexport.savedmodel import saved_model, warmup
from genexport.savedmodel.saved_model import ServingSession
from genexport.savedmodel.signatures import Signature, with_a_row

KEPT = 64
"""Images of the reference, for `genexport verify`."""

LARGEST_LIMIT = 0.01


def build(judge: Critic, name: str, options: Options, folder: Path) -> None:
    """Everything of a version of the critic of the model `name`, run and compared, with its manifest last."""
    endpoints = signatures(judge)
    saved_model.write(endpoints, folder)
    warmup.write(endpoints, lambda rows: _grey(judge, rows), f"{name}{SUFFIX}", folder)
    inputs = {key: np.asarray(values) for key, values in judge.examples(parity.EXAMPLES).items()}
    expected = keras_scores(judge, inputs)
    limit = _limit_of_scores(judge, options.limits.over(0.0).savedmodel or 0.0)
    differences = prove(folder, inputs, expected, limit)
    kept = {"pixels": np.rint(inputs["images"] * 255).astype(np.uint8), "scores": expected}
    kept |= {"labels": inputs["labels"]} if judge.conditional else {}
    np.savez_compressed(folder / REFERENCE, **{key: values[:KEPT] for key, values in kept.items()})
    described = manifest_entries.described(judge.generator, f"{name}{SUFFIX}", "critic", folder, differences, options)
    manifest.write(folder, {**described, "generator": name, "limit": limit, "scores": _describe(judge)})


def _grey(critic: Critic, rows: int) -> dict[str, Any]:
    """Grey images for every input, in few bytes: the one value that is sent fills its tensor, as in any TensorProto."""
    shape = tf.TensorShape((rows, *critic.generator.image_shape))
    images = tensor_pb2.TensorProto(dtype=tf.float32.as_datatype_enum, tensor_shape=shape.as_proto(), float_val=[0.5])
    picture = tf.io.encode_png(tf.fill(critic.generator.image_shape, tf.constant(128, tf.uint8)))
    values = {"images": images, "image_bytes": tf.repeat(picture, rows)}
    return {**values, "labels": tf.zeros(rows, tf.int32)} if critic.conditional else values


def signatures(critic: Critic) -> dict[str, Signature]:
    """`discriminate`, and the same as `serving_default`; `encoded` takes pictures as files. Any batch from 0 on."""

    def scores(images: tf.Tensor, *labels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"scores": with_a_row(critic.scores, images, *labels)}

    def encoded(image_bytes: tf.Tensor, *labels: tf.Tensor) -> dict[str, tf.Tensor]:
        return scores(preprocess.decoded(image_bytes, critic.frame), *labels)

    images_spec = tf.TensorSpec((None, *critic.generator.image_shape), tf.float32, name="images")
    bytes_spec = tf.TensorSpec((None,), tf.string, name="image_bytes")
    labels_spec = [tf.TensorSpec((None,), tf.int32, name="labels")] if critic.conditional else []
    return {
        "serving_default": (scores, [images_spec, *labels_spec]),
        "discriminate": (scores, [images_spec, *labels_spec]),
        "encoded": (encoded, [bytes_spec, *labels_spec]),
    }


def prove(folder: Path, inputs: Mapping[str, Any], expected: Any, limit: float) -> dict[str, Difference]:
    """Compare the scores of every signature with Keras' (N,), by the v1 loader and a session.

    Raises:
        ExportError: a signature's scores differ by more than `limit`.
    """
    differences = {}
    with ServingSession(folder) as served:
        for signature in sorted(served.signatures, key=lambda name: (name != "serving_default", name)):
            what = "savedmodel" if signature == "serving_default" else f"savedmodel/{signature}"
            found = differences[what] = parity.compare(served.run_all(signature, inputs), expected)
            if not found.max_error <= limit:
                raise ExportError(
                    f"the critic's {what}: scores differ from Keras by {found.max_error:.2g}, limit {limit:.2g}; "
                    "--no-critic leaves it out"
                )
    return differences


def _limit_of_scores(critic: Critic, limit: float) -> float:
    """What scores may differ by, if logits may differ by `limit` of their size: the sigmoid's steepest slope is ¼."""
    return min(limit * max(1.0, abs(critic.zero)) * max(1.0, 0.25 / critic.scale), LARGEST_LIMIT)


def _describe(critic: Critic) -> dict[str, Any]:
    """For the manifest."""
    return {
        "loss": critic.generator.provenance.get("run", {}).get("settings", {}).get("loss"),
        "seeds": SEEDS,
        "zero": critic.zero,
        "scale": critic.scale,
        "meaning": "sigmoid((logit - zero) / scale); of generated images half score above 0.5, a quarter above 0.75",
        "discriminator_sha256": manifest.sha256(critic.path),
    }
