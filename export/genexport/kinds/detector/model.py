"""The detector of a run: pictures → scores in [0, 1], higher is more real; those below a threshold are generated."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from genexport.errors import ExportError
from genexport.generator import keras_file, real_examples
from genexport.generator.real_examples import RealExamples
from genexport.generator.source import provenance
from genexport.kinds.kind import Source
from genexport.roles import ROLES
from genexport.roles.image import Image
from genexport.roles.tensor import Description, Tensor, at_once, read, shape

FILE = "detector.keras"
TASK = "fake-detection"
DECIDED = 0.5
"""The threshold where interface.json names none: what is as likely generated as not."""

IMAGES = Image()
"""What is judged is taken as any picture is: floats in [0, 1], or files."""


class OperatingPoint(NamedTuple):
    """Below `threshold` a picture is called generated; a share `false_alarms` of real ones is, where that is known."""

    threshold: float
    false_alarms: float | None = None
    interval: tuple[float, float] | None = None

    @classmethod
    def of(cls, described: Mapping[str, Any]) -> OperatingPoint:
        """Of the output in an interface.json, or of a manifest.

        Raises:
            ValueError: a threshold or a share that is none.
        """
        threshold, alarms = described.get("threshold"), described.get("false_alarms")
        interval = described.get("false_alarms_interval") if alarms is not None else None
        for value in (threshold, alarms, *(interval or ())):
            if value is not None and not (isinstance(value, int | float) and 0 <= value <= 1):
                raise ValueError(f"threshold and false_alarms have to be from 0 to 1, found {value!r}")
        if interval is not None and len(interval) != 2:
            raise ValueError(f"false_alarms_interval has to be two shares, found {interval!r}")
        return cls(DECIDED if threshold is None else threshold, alarms, interval and (interval[0], interval[1]))

    def as_json(self) -> dict[str, Any]:
        """As interface.json has it: `threshold`, and what is known of false alarms."""
        known = {"false_alarms": self.false_alarms, "false_alarms_interval": self.interval and list(self.interval)}
        return {"threshold": self.threshold, **{key: value for key, value in known.items() if value is not None}}

    def text(self) -> str:
        """`threshold 0.31, 5% false alarms (3% to 8%)`."""
        alarms = "" if self.false_alarms is None else f", {percent(self.false_alarms)} false alarms"
        within = f" ({percent(self.interval[0])} to {percent(self.interval[1])})" if self.interval else ""
        return f"threshold {self.threshold:.3g}{alarms}{within}"


def percent(share: float) -> str:
    """0.0512 → `5.1%`."""
    return f"{float(f'{100 * share:.2g}'):g}%"


@dataclass(frozen=True, eq=False)
class Detector:
    """A Keras model that tells generated pictures from real ones.

    Attributes:
        model: the Keras model, one input in the range of `images` → (N,) or (N, 1).
        path: the .keras file.
        description: the run's interface.json.
        images: what is judged.
        operating_point: where the verdict turns.
        real_examples: held-out pictures, real and generated, where there are any.
        provenance: where it comes from, for the manifest.
        notes: for the user.
    """

    model: Any
    path: Path
    description: Description
    images: Tensor
    operating_point: OperatingPoint
    real_examples: RealExamples | None
    provenance: dict[str, Any]
    notes: tuple[str, ...] = ()

    task = TASK

    @property
    def facts(self) -> dict[str, Any]:
        """What the manifest says of latents and classes: there are none."""
        return {key: value for role in ROLES.values() for key, value in role.facts.items()}

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        return IMAGES.feed(self.images, "serving_default").shape  # type: ignore[return-value]

    @property
    def compared(self) -> int:
        """On how many examples its files are compared with Keras: all that there are."""
        return len(self.real_examples) if self.real_examples else IMAGES.compared

    def scores(self, images: tf.Tensor) -> tf.Tensor:
        """Float32 (N, H, W, C) in [0, 1] → float32 (N,) in [0, 1]; may be traced."""
        raw = self.model(IMAGES.inside(self.images, images), training=False)
        return tf.reshape(tf.cast(raw, tf.float32), [-1])

    def examples(self, count: int) -> dict[str, tf.Tensor]:
        """`images` float32 (count, H, W, C) in [0, 1], in whole pixels: the held-out ones, else made-up ones."""
        if self.real_examples:
            return {"images": tf.constant(self.real_examples.first("images", count))}
        return {"images": IMAGES.examples(self.images, count, 0)}

    def many(self, inputs: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        """Scores (N,) of any number of `images`."""
        images, batch = inputs["images"], at_once([self.image_shape])
        pieces = [self._traced(tf.constant(images[i : i + batch])) for i in range(0, len(images), batch)]
        return np.concatenate([np.asarray(piece) for piece in pieces])

    @cached_property
    def _traced(self) -> Any:
        return tf.function(self.scores, input_signature=[tf.TensorSpec((None, *self.image_shape))])


def load(source: Source) -> Detector:
    """The detector of a run directory.

    Raises:
        ExportError: there is none, it cannot be loaded, or is not what interface.json says.
    """
    run, path = source.path, source.path / FILE
    description = read(run)
    assert description is not None  # by which its kind was found
    if not path.exists():
        raise ExportError(f"{run}: no {FILE}; gentrain detector … --run {run} makes one")
    images, point = _described(description)
    model = keras_file.read(path, dict(source.imports) if isinstance(source.imports, Mapping) else {})
    _check(path, model, images)
    examples, note = _examples(source, images)
    detector = Detector(model, path, description, images, point, examples, _provenance(run, path), (note,))
    _check_scores(path, np.asarray(detector.many(detector.examples(2))))
    return detector


def _described(description: Description) -> tuple[Tensor, OperatingPoint]:
    """What it takes, and its operating point."""
    inputs, outputs = description.inputs, description.outputs
    if [tensor.role for tensor in inputs] not in (["image"], ["images"]) or outputs[0].role != "scores":
        found = f"{', '.join(t.role for t in inputs)} → {', '.join(t.role for t in outputs)}"
        raise ExportError(f"{description.path}: expected a detector, image → scores; found {found}")
    try:
        point = OperatingPoint.of(description.json["outputs"][0])
    except (TypeError, ValueError) as error:
        raise ExportError(f"{description.path}: does not follow docs/contracts.md: {error}") from None
    return replace(inputs[0], role="images"), point


def _check(path: Path, model: Any, images: Tensor) -> None:
    inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
    takes = [tuple(tensor.shape[1:]) for tensor in inputs]
    one = len(outputs) == 1 and math.prod(size or 0 for size in outputs[0].shape[1:]) == 1
    if takes != [tuple(images.shape[1:])] or not one:
        found = ", ".join(f"{t.name} {shape(t.shape)}" for t in (*inputs, *outputs)) or "neither inputs nor outputs"
        raise ExportError(f"{path}: expected images {shape(images.shape)} and one score each; found {found}")


def _check_scores(path: Path, scores: np.ndarray[Any, Any]) -> None:
    if not np.isfinite(scores).all() or scores.min() < 0 or scores.max() > 1:
        raise ExportError(f"{path}: expected scores from 0 to 1, found {scores.min():g} to {scores.max():g}")


def _examples(source: Source, images: Tensor) -> tuple[RealExamples | None, str]:
    """Held-out pictures, and a sentence on where they come from."""
    if source.examples:
        # A folder's pictures are of the role `image` to whoever reads them.
        found = real_examples.of_folder(source.examples, [replace(images, role="image")])
        examples: RealExamples | None = replace(found, values={"images": found.values["image"]})
    else:
        examples = real_examples.of_run(source.path, [images])
    if examples is None:
        return None, "warning: without examples.npz files are compared on made-up pictures, smooth fields of colour"
    return examples, f"{len(examples)} real examples from {examples.source}"


def _provenance(run: Path, path: Path) -> dict[str, Any]:
    """As of a generator, under the detector's own name."""
    found = provenance(run, path)
    sha256 = found.pop("generator_sha256")
    return {"detector_sha256": sha256, **found}
