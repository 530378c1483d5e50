"""The critic of a run as a model of its own, NAME-critic: images in, scores in [0, 1] out.

A critic's logit has no zero and no unit of its own: under the relativistic, Wasserstein and hinge losses only
differences count. So the logits of the generator's own images set both. With the median m of 256 of them and their
quartiles' distance q, score = σ((logit − m) · 2 ln 3 / q): of generated images half score above 0.5, a quarter above
0.75, about a twentieth above 0.95, whatever the loss. An image that looks real to the critic scores higher than those.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from genexport.errors import ExportError
from genexport.generator.load import Generator
from genexport.roles import preprocess
from genexport.savedmodel.signatures import to_pixels

FILE = "discriminator.keras"
SUFFIX = "-critic"
SEEDS = 256


@dataclass(frozen=True, eq=False)
class Critic:
    """A Keras model that judges images, and what makes its logits scores.

    Attributes:
        model: images float32 (N, H, W, C) in `pixel_range`, and labels int32 (N,) where `conditional`, → logits.
        path: the .keras file.
        generator: the one that it was trained against.
        conditional: whether it takes labels.
        frame: how pictures of any size become its images.
        zero, scale: score = σ((logit − zero) / scale).
    """

    model: Any
    path: Path
    generator: Generator
    conditional: bool
    frame: preprocess.Frame
    zero: float
    scale: float

    def scores(self, images: tf.Tensor, labels: tf.Tensor | None = None) -> tf.Tensor:
        """Float32 (N, H, W, C) in [0, 1] [and int32 (N,)] → float32 (N,) in [0, 1]; may be traced."""
        low, high = self.generator.output_range
        logits = _call(self.model, images * (high - low) + low, labels if self.conditional else None)
        return tf.sigmoid((logits - self.zero) / self.scale)

    def examples(self, count: int) -> dict[str, tf.Tensor]:
        """Values for every input of the signatures: the generator's images of seeds 0 to count − 1, in whole pixels."""
        inputs = self.generator.examples(count)
        pixels = to_pixels(_in_pieces(self.generator.images, *inputs))
        values = {
            "images": tf.cast(pixels, tf.float32) / 255.0,
            "image_bytes": tf.map_fn(tf.io.encode_png, pixels, fn_output_signature=tf.string),
        }
        return {**values, "labels": inputs[1]} if self.conditional else values


def load(generator: Generator, run: Path) -> Critic | None:
    """The critic that lies beside the generator of a run, its scores set by the generator's images of 256 seeds.

    Args:
        generator: loaded from `run`.
        run: the run directory, whose config.json may say how its pictures were cropped.

    Returns:
        None where the run has no critic.

    Raises:
        ExportError: it cannot be loaded, or does not judge the generator's images.
    """
    path = generator.path.with_name(FILE)
    if not path.exists():
        return None
    model = _load(path)
    conditional = _check(path, model, generator)
    images = _in_pieces(generator.images, *generator.examples(SEEDS))
    low, high = generator.output_range
    labels = [generator.examples(SEEDS)[1]] if conditional else []
    logits = _in_pieces(lambda x, *y: _call(model, x * (high - low) + low, *y), images, *labels)
    if not np.isfinite(logits).all():
        raise ExportError(f"{path}: logits of the generator's images are not finite; --no-critic leaves it out")
    first, median, third = np.percentile(np.asarray(logits, np.float64), [25, 50, 75])
    scale = max((third - first) / (2 * np.log(3)), 1e-6 * max(1.0, abs(median)))
    frame = preprocess.Frame.of(generator.image_shape, run)
    return Critic(model, path, generator, conditional, frame, float(median), float(scale))


def keras_scores(critic: Critic, inputs: dict[str, Any]) -> np.ndarray[Any, Any]:
    """The scores (N,) that the model itself gives, for `images` and `labels` out of `examples`."""
    arguments = [inputs["images"], *([inputs["labels"]] if critic.conditional else [])]
    return np.asarray(_in_pieces(critic.scores, *(tf.constant(values) for values in arguments)))


def _load(path: Path) -> Any:
    if not zipfile.is_zipfile(path):
        raise ExportError(f"{path}: not a .keras file; --no-critic leaves it out")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises by whatever is wrong inside the archive
        reason = " ".join(str(error).split())[:300]
        raise ExportError(f"{path}: cannot be loaded: {reason}; --no-critic leaves it out") from error


def _check(path: Path, model: Any, generator: Generator) -> bool:
    """Whether it takes labels; raises ExportError where it does not judge the generator's images."""
    # A model of a class of its own has neither.
    inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
    shapes = [tuple(t.shape[1:]) for t in inputs if len(t.shape) == 4]
    labels = [t for t in inputs if len(t.shape) == 1 and tf.as_dtype(t.dtype).is_integer]
    known = len(inputs) == 1 + len(labels) and len(labels) <= int(generator.conditional)
    one_logit = [tuple(t.shape) for t in outputs] in ([(None, 1)], [(None,)])
    if shapes != [generator.image_shape] or not known or not one_logit:
        found = ", ".join(f"{t.name} {tuple(t.shape)}" for t in (*inputs, *outputs)) or "neither inputs nor outputs"
        raise ExportError(
            f"{path}: expected images {generator.image_shape}, and labels where the generator has them, and one logit "
            f"an image; found {found}; --no-critic leaves it out"
        )
    return bool(labels)


def _call(model: Any, images: tf.Tensor, labels: tf.Tensor | None = None) -> tf.Tensor:
    """Float32 logits (N,)."""
    values = [images if len(t.shape) == 4 else labels for t in model.inputs]
    logits = model(values if len(values) > 1 else values[0], training=False)
    return tf.reshape(tf.cast(logits, tf.float32), [-1])


def _in_pieces(function: Callable[..., tf.Tensor], *inputs: tf.Tensor, rows: int = 64) -> tf.Tensor:
    pieces = range(0, len(inputs[0]), rows)
    return tf.concat([function(*(values[i : i + rows] for values in inputs)) for i in pieces], axis=0)
