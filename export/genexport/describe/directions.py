"""The directions of the latent space along which the images change most, and those that lead to a class, for sliders.

Eigenvectors of the mean over seeds of JᵀJ, J being the derivative of the pixels by the latents (Wang & Ponce, "The
Geometry of Deep Generative Image Models and its Applications", ICLR 2021, arXiv 2101.06006: few directions change
nearly everything, and about the same ones everywhere). The mean is estimated from Jᵀr for random signs r of the pixels,
one r for each seed (Hutchinson): that costs one backward pass a seed, whatever Z is.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from genexport.describe import class_directions, image_grid
from genexport.generator import layer_names
from genexport.generator.keras_file import one_line
from genexport.generator.load import Generator
from genexport.roles.tensor import at_once

FILE = "directions.png"

COUNT = 10
SHOWN = 8
CLASSES_SHOWN = 16
Array = np.ndarray[Any, np.dtype[np.float64]]

STEPS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)

BATCH = 64

# Seeds for small images, and fewer the larger they are, so that it takes seconds. Against 512 exact Jacobians of the
# digits' generator, 1024 seeds give ten directions that hold 0.96 or more of the best ones' strength.
MOST_SEEDS = 1024
FEWEST_SEEDS = 256
PIXELS = 1 << 22


def write(
    generator: Generator, folder: Path, classifier: class_directions.Classifier | None = None
) -> tuple[list[dict[str, Any]], str]:
    """The strongest directions, and those of classes, drawn into a version's folder; or none, and why."""
    if not generator.latent_size:
        return [], "it takes no latents"
    try:
        gradients = _gradients(generator)
    except (tf.errors.OpError, LookupError) as error:  # some ops have no gradient, or none on this processor
        node = re.search(r"gradient_tape/([^\s,;]+)", str(error))
        layer = layer_names.find(generator.model, node[1]) if node else None
        return [], f"layer {layer} has no gradient" if layer else f"no gradient: {one_line(error, 200)}"
    pixels = int(np.prod(generator.output_shape))
    change = gradients.T @ gradients / (len(gradients) * pixels)
    directions = strongest(change)
    if classifier:
        of_classes = class_directions.find(generator, classifier)
        directions += [{"class": name, **_entry(change, axis)} for name, axis in of_classes.items()]
    draw(generator, directions, folder / FILE)
    return directions, ""


def strongest(change: Array) -> list[dict[str, Any]]:
    """The ten strongest directions (Z where that is less), strongest first, for the manifest.

    Args:
        change: the mean of JᵀJ over seeds and pixels, (Z, Z).

    Returns:
        For each `latents`, Z floats of length 1, at right angles to those of the others, the largest of them positive;
        and `strength`: the root mean square by which a pixel in [0, 1] changes for a step of length 1, by the slope.
    """
    vectors = np.linalg.eigh(change)[1].T[::-1][:COUNT]
    return [_entry(change, vector * np.sign(vector[np.argmax(np.abs(vector))])) for vector in vectors]


def _entry(change: Array, vector: Array) -> dict[str, Any]:
    axis = vector / np.linalg.norm(vector)
    strength = float(np.sqrt(max(axis @ change @ axis, 0.0)))
    return {"strength": strength, "latents": [round(float(x), 7) for x in axis]}


def draw(generator: Generator, directions: list[dict[str, Any]], file: Path) -> None:
    """Write an image grid: a row for each of the eight strongest directions, and of the first classes.

    Each shows seed 0 from −3 to +3 along it.

    Of a clip the frame in its middle is shown.
    """
    first = generator.examples(1)
    rows = {}
    of_classes = {f"class:{each['class']}": each for each in directions if "class" in each}
    numbered = {str(number): each for number, each in enumerate(directions, start=1) if "class" not in each}
    for name, direction in [*list(numbered.items())[:SHOWN], *list(of_classes.items())[:CLASSES_SHOWN]]:
        line = tf.constant(STEPS)[:, None] * tf.constant(direction["latents"])[None, :]
        inputs = {role: tf.repeat(values, len(STEPS), axis=0) for role, values in first.items()}
        images = np.asarray(generator.images(*{**inputs, "latents": inputs["latents"] + line}.values()))
        caption = f"{name}   {STEPS[0]:+g} … {STEPS[-1]:+g}   strength {direction['strength']:.3f}"
        rows[caption] = images[:, generator.frame_count // 2] if generator.frame_count else images
    image_grid.write(rows, file)


def _gradients(generator: Generator) -> Array:
    """Jᵀr (seeds, Z): for every seed its own random signs."""
    seeds = int(np.clip(PIXELS // np.prod(generator.output_shape), FEWEST_SEEDS, MOST_SEEDS)) // BATCH * BATCH
    batch = min(BATCH, at_once([generator.output_shape]))
    examples = generator.examples(seeds)
    signs = np.random.default_rng(0)

    def pulled_back(inputs: dict[str, tf.Tensor], signs: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(inputs["latents"])
            projected = tf.reduce_sum(generator.images(*(inputs[role] for role in examples)) * signs)
        return tape.gradient(projected, inputs["latents"], unconnected_gradients=tf.UnconnectedGradients.ZERO)

    call = tf.function(pulled_back)
    gradients = []
    for start in range(0, seeds, batch):
        inputs = {role: values[start : start + batch] for role, values in examples.items()}
        r = tf.constant(signs.choice([-1.0, 1.0], (len(inputs["latents"]), *generator.output_shape)).astype(np.float32))
        gradients.append(np.asarray(call(inputs, r), np.float64))
    return np.concatenate(gradients)
