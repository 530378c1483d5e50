"""What a discriminator's version holds: a SavedModel with warm-up requests, compared with Keras, and its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from genexport.compare import parity
from genexport.compare.parity import Difference
from genexport.describe import manifest_entries
from genexport.errors import ExportError
from genexport.kinds.discriminator.model import IMAGES, SEEDS, SUFFIX, Discriminator
from genexport.kinds.kind import Kind, Version
from genexport.repository import manifest
from genexport.roles import ROLES, requests
from genexport.savedmodel.saved_model import ServingSession
from genexport.savedmodel.signatures import Signature, with_one_example

REFERENCE = "reference.npz"

KEPT = 64
"""Images of the reference, for `genexport verify`."""

LARGEST_LIMIT = 0.01

SIGNATURES = ("serving_default", "discriminate", "encoded")
"""The first two are the same; `encoded` takes pictures as files. Any batch from 0 on."""


def compare(kind: Kind, discriminator: Discriminator, version: Version) -> dict[str, Any]:
    """Every signature run and compared with Keras, and what the manifest says."""
    folder, options, generator = version.folder, version.options, discriminator.generator
    inputs = {role: np.asarray(values) for role, values in discriminator.examples(generator.compared).items()}
    expected = discriminator.keras_scores(inputs)
    limit = _limit_of_scores(discriminator, options.limits.over(0.0).savedmodel or 0.0)
    differences = prove(folder, inputs, expected, limit)
    stored = requests.keep(inputs)
    kept = {"pixels": stored.pop("images"), "scores": expected, **stored}
    np.savez_compressed(folder / REFERENCE, **{key: values[:KEPT] for key, values in kept.items()})
    described = manifest_entries.described(generator, version.name, kind.name, folder, differences, options)
    name = version.name.removesuffix(SUFFIX)
    return {**described, "generator": name, "limit": limit, "scores": _describe(discriminator)}


def signatures(discriminator: Discriminator) -> dict[str, Signature]:
    """Name → (function, specs), of `SIGNATURES`."""
    return {name: _signature(discriminator, name) for name in SIGNATURES}


def _signature(discriminator: Discriminator, name: str) -> Signature:
    feeds = [IMAGES.feed(discriminator.images, name)]
    feeds += [ROLES[tensor.role].feed(tensor, "serving_default") for tensor in discriminator.conditions]

    def scores(*tensors: tf.Tensor) -> dict[str, tf.Tensor]:
        values = [feed.read(value) for feed, value in zip(feeds, tensors, strict=True)]
        return {"scores": with_one_example(discriminator.scores, *values)}

    return Signature(scores, [feed.spec() for feed in feeds])


def prove(folder: Path, inputs: Mapping[str, Any], expected: Any, limit: float) -> dict[str, Difference]:
    """Compare the scores of every signature with Keras' (N,), by the v1 loader and a session.

    Raises:
        ExportError: a signature's scores differ by more than `limit`.
    """
    differences = {}
    with ServingSession(folder) as served:
        for signature in sorted(served.signatures, key=lambda name: (name != "serving_default", name)):
            what = "savedmodel" if signature == "serving_default" else f"savedmodel/{signature}"
            difference = differences[what] = parity.compare(served.run_all(signature, inputs), expected)
            if not difference.max_error <= limit:
                raise ExportError(
                    f"the discriminator's {what}: scores differ from Keras by {difference.max_error:.2g}, "
                    f"limit {limit:.2g}; --no-discriminator leaves it out"
                )
    return differences


def verify(folder: Path, entries: Mapping[str, Any], reference: dict[str, Any]) -> dict[str, Difference]:
    """Compare every signature with Keras' scores of the 64 images that the version keeps."""
    expected = reference.pop("scores")
    reference["images"] = reference.pop("pixels")
    return prove(folder, requests.restore(reference), expected, entries["limit"])


def _limit_of_scores(discriminator: Discriminator, limit: float) -> float:
    """What scores may differ by, if logits may differ by `limit` of their size: the sigmoid's steepest slope is ¼."""
    return min(limit * max(1.0, abs(discriminator.zero)) * max(1.0, 0.25 / discriminator.scale), LARGEST_LIMIT)


def _describe(discriminator: Discriminator) -> dict[str, Any]:
    """For the manifest."""
    return {
        "loss": discriminator.generator.provenance.get("run", {}).get("settings", {}).get("loss"),
        "seeds": SEEDS,
        "zero": discriminator.zero,
        "scale": discriminator.scale,
        "meaning": "sigmoid((logit - zero) / scale); of generated images half score above 0.5, a quarter above 0.75",
        "discriminator_sha256": manifest.sha256(discriminator.path),
    }
