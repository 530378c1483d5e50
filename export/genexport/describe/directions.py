"""The directions of the latent space along which the images change most, for sliders.

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

from genexport.describe import image_grid
from genexport.generator import layer_names
from genexport.generator.keras_file import one_line
from genexport.generator.load import Generator
from genexport.roles.tensor import at_once

FILE = "directions.png"

COUNT = 10
SHOWN = 8
STEPS = (-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0)

BATCH = 64

# Seeds for small images, and fewer the larger they are, so that it takes seconds. Against 512 exact Jacobians of the
# digits' generator, 1024 seeds give ten directions that hold 0.96 or more of the best ones' strength.
MOST_SEEDS = 1024
FEWEST_SEEDS = 256
PIXELS = 1 << 22


def write(generator: Generator, folder: Path) -> tuple[list[dict[str, Any]], str]:
    """The strongest directions, drawn into a version's folder; or none, and why."""
    if not generator.latent_size:
        return [], "it takes no latents"
    try:
        directions = strongest(generator)
    except (tf.errors.OpError, LookupError) as error:  # some ops have no gradient, or none on this processor
        node = re.search(r"gradient_tape/([^\s,;]+)", str(error))
        layer = layer_names.find(generator.model, node[1]) if node else None
        return [], f"layer {layer} has no gradient" if layer else f"no gradient: {one_line(error, 200)}"
    draw(generator, directions, folder / FILE)
    return directions, ""


def strongest(generator: Generator) -> list[dict[str, Any]]:
    """The ten strongest directions (Z where that is less), strongest first, for the manifest.

    Returns:
        For each `latents`, Z floats of length 1, at right angles to those of the others, the largest of them positive;
        and `strength`: the root mean square by which a pixel in [0, 1] changes for a step of length 1, by the slope.
    """
    gradients = _gradients(generator)
    pixels = int(np.prod(generator.output_shape))
    values, vectors = np.linalg.eigh(gradients.T @ gradients / (len(gradients) * pixels))
    directions = []
    for value, vector in list(zip(values, vectors.T, strict=True))[::-1][:COUNT]:
        largest = vector[np.argmax(np.abs(vector))]
        latents = vector * np.sign(largest) / np.linalg.norm(vector)
        directions.append(
            {"strength": float(np.sqrt(max(value, 0.0))), "latents": [round(float(x), 7) for x in latents]}
        )
    return directions


def draw(generator: Generator, directions: list[dict[str, Any]], file: Path) -> None:
    """Write an image grid: a row for each of the eight strongest directions, seed 0 from −3 to +3 along it.

    Of a clip the frame in its middle is shown.
    """
    first = generator.examples(1)
    rows = {}
    for number, direction in enumerate(directions[:SHOWN], start=1):
        line = tf.constant(STEPS)[:, None] * tf.constant(direction["latents"])[None, :]
        inputs = {role: tf.repeat(values, len(STEPS), axis=0) for role, values in first.items()}
        images = np.asarray(generator.images(*{**inputs, "latents": inputs["latents"] + line}.values()))
        caption = f"{number}   {STEPS[0]:+g} … {STEPS[-1]:+g}   strength {direction['strength']:.3f}"
        rows[caption] = images[:, generator.frame_count // 2] if generator.frame_count else images
    image_grid.write(rows, file)


def _gradients(generator: Generator) -> np.ndarray[Any, np.dtype[np.float64]]:
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
