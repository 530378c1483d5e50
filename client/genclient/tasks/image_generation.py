"""Images of latents, and labels where the generator is conditional."""

from __future__ import annotations

from genclient.model.roles import IMAGES, LABELS, LATENTS, PNG, SEEDS
from genclient.tasks.task import Task

IMAGE_GENERATION = Task(
    "image-generation",
    inputs=[LATENTS, SEEDS, LABELS],
    outputs=[IMAGES, PNG],
    noun="a generator",
    expected=("inputs latents or seeds, and labels where conditional", "an output images or png_bytes"),
)
