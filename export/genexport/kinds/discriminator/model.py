"""The discriminator of a run as a model of its own, NAME-critic: images in, scores in [0, 1] out.

A discriminator's logit has no zero and no unit of its own: under the relativistic, Wasserstein and hinge losses only
differences count. So the logits of the generator's own images set both. With the median m of 256 of them and their
quartiles' distance q, score = σ((logit − m) · 2 ln 3 / q): of generated images half score above 0.5, a quarter above
0.75, about a twentieth above 0.95, whatever the loss. An image that looks real to it scores higher than those.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from genexport.errors import ExportError
from genexport.generator.load import Generator
from genexport.roles import ROLES, preprocess
from genexport.roles.image import Image
from genexport.roles.tensor import Tensor
from genexport.savedmodel.signatures import to_pixels

FILE = "discriminator.keras"
SUFFIX = "-critic"
SEEDS = 256

IMAGES = Image()
"""What is judged is taken as any picture is: floats in [0, 1], or files."""


@dataclass(frozen=True, eq=False)
class Discriminator:
    """A Keras model that judges images, and what makes its logits scores.

    Attributes:
        model: the Keras model: images in the generator's range, and `conditions` → logits.
        path: the .keras file.
        generator: the one that it was trained against.
        images: what is judged, a tensor of the role `images`.
        conditions: the generator's inputs that it takes too.
        order: its inputs by role, as the model has them.
        zero, scale: score = σ((logit − zero) / scale).
    """

    model: Any
    path: Path
    generator: Generator
    images: Tensor
    conditions: tuple[Tensor, ...]
    order: tuple[str, ...]
    zero: float = 0.0
    scale: float = 1.0

    def logits(self, images: tf.Tensor, *conditions: tf.Tensor) -> tf.Tensor:
        """Float32 (N, H, W, C) in [0, 1], and a batch for each condition → float32 (N,), the mean of patches."""
        values = {"images": IMAGES.inside(self.images, images)}
        for tensor, value in zip(self.conditions, conditions, strict=True):
            values[tensor.role] = ROLES[tensor.role].inside(tensor, value)
        inputs = [values[role] for role in self.order]
        logits = tf.cast(self.model(inputs if len(inputs) > 1 else inputs[0], training=False), tf.float32)
        return tf.reduce_mean(tf.reshape(logits, [tf.shape(logits)[0], -1]), axis=1)

    def scores(self, images: tf.Tensor, *conditions: tf.Tensor) -> tf.Tensor:
        """As `logits`, but scores in [0, 1]."""
        return tf.sigmoid((self.logits(images, *conditions) - self.zero) / self.scale)

    def examples(self, count: int) -> dict[str, tf.Tensor]:
        """Values for its inputs by role: the generator's images of seeds 0 to count − 1, in whole pixels."""
        inputs = self.generator.examples(count)
        pixels = to_pixels(_in_batches(self.generator.images, *inputs.values()))
        return {"images": tf.cast(pixels, tf.float32) / 255.0, **self._conditions(inputs)}

    def blank(self, count: int) -> dict[str, Any]:
        """The same, but with black pictures, which nobody has to generate."""
        inputs = {
            role: tf.zeros_like(value) for role, value in self._conditions(self.generator.examples(count)).items()
        }
        return {"images": tf.zeros((count, *self.generator.image_shape)), **inputs}

    def _conditions(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {tensor.role: values[tensor.role] for tensor in self.conditions}

    def keras_scores(self, inputs: Mapping[str, Any]) -> np.ndarray[Any, Any]:
        """The scores (N,) that the model itself gives, for values by role."""
        values = (inputs["images"], *self._conditions(inputs).values())
        return np.asarray(_in_batches(self.scores, *(tf.constant(each) for each in values)))

    def scaled(self) -> Discriminator:
        """With the zero and the unit that the generator's images of 256 seeds set.

        Raises:
            ExportError: its logits are not finite.
        """
        inputs = self.generator.examples(SEEDS)
        images = _in_batches(self.generator.images, *inputs.values())
        logits = _in_batches(self.logits, images, *self._conditions(inputs).values())
        if not np.isfinite(logits).all():
            raise ExportError(
                f"{self.path}: logits of the generator's images are not finite; --no-discriminator leaves it out"
            )
        first, median, third = np.percentile(np.asarray(logits, np.float64), [25, 50, 75])
        scale = max((third - first) / (2 * np.log(3)), 1e-6 * max(1.0, abs(median)))
        return Discriminator(
            self.model, self.path, self.generator, self.images, self.conditions, self.order, float(median), float(scale)
        )


def load(generator: Generator, run: Path) -> Discriminator | None:
    """The discriminator that lies beside the generator of a run, its scores set by the generator's images of 256 seeds.

    Args:
        generator: loaded from `run`.
        run: the run directory, whose interface.json or config.json says how its pictures were cropped.

    Returns:
        None where the run has no discriminator.

    Raises:
        ExportError: it cannot be loaded, or does not judge the generator's images.
    """
    path = generator.path.with_name(FILE)
    if not path.exists():
        return None
    model = _load(path)
    order = _roles(path, model, generator)
    described = generator.description.outputs[0].preprocessing if generator.description else preprocess.of_run(run)
    shape = (None, *generator.image_shape)
    images = Tensor("images", "images", "float32", shape, generator.output_range, preprocessing=described)
    conditions = tuple(tensor for tensor in generator.inputs if tensor.role in order)
    return Discriminator(model, path, generator, images, conditions, order).scaled()


def _load(path: Path) -> Any:
    if not zipfile.is_zipfile(path):
        raise ExportError(f"{path}: not a .keras file; --no-discriminator leaves it out")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # Keras raises by whatever is wrong inside the archive
        reason = " ".join(str(error).split())[:300]
        raise ExportError(f"{path}: cannot be loaded: {reason}; --no-discriminator leaves it out") from error


def _roles(path: Path, model: Any, generator: Generator) -> tuple[str, ...]:
    """The role of each of its inputs; raises ExportError where it does not judge the generator's images."""
    # A model of a class of its own has neither.
    inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
    roles = tuple(_role(tensor, generator) for tensor in inputs)
    known = roles.count("images") == 1 and "" not in roles and len(set(roles)) == len(roles)
    one_logit = len(outputs) == 1 and (len(outputs[0].shape) == 1 or outputs[0].shape[-1] == 1)  # or one a patch
    if not known or not one_logit:
        found = ", ".join(f"{t.name} {tuple(t.shape)}" for t in (*inputs, *outputs)) or "neither inputs nor outputs"
        takes = "".join(f", perhaps {tensor.role}" for tensor in generator.inputs if tensor.role != "latents")
        raise ExportError(
            f"{path}: expected images {generator.image_shape}{takes}, and one logit an image or patch; found {found}; "
            "--no-discriminator leaves it out"
        )
    return roles


def _role(tensor: Any, generator: Generator) -> str:
    """By name where it is an input of the generator's; else the images by their shape; nothing for what is unknown."""
    form = (len(tensor.shape), tf.as_dtype(tensor.dtype).is_integer)
    fits = {t.role: (len(t.shape), tf.as_dtype(t.dtype).is_integer) for t in generator.inputs if t.role != "latents"}
    for condition in generator.inputs:
        if tensor.name in (condition.name, condition.role) and fits.get(condition.role) == form:
            return condition.role
    if tuple(tensor.shape[1:]) == generator.image_shape:
        return "images"
    return next((role for role, known in fits.items() if known == form and len(tensor.shape) == 1), "")


def _in_batches(function: Callable[..., tf.Tensor], *inputs: tf.Tensor, batch: int = 64) -> tf.Tensor:
    starts = range(0, len(inputs[0]), batch)
    return tf.concat([function(*(values[i : i + batch] for values in inputs)) for i in starts], axis=0)
