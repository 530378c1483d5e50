"""Clips of latents, and labels where the generator is conditional; or of a picture, which begins to move."""

from __future__ import annotations

from genclient.errors import UsageError
from genclient.model.binding import Binding
from genclient.model.clip_roles import CLIP_FILES, CLIPS
from genclient.model.inputs import Examples
from genclient.model.picture_roles import PICTURE
from genclient.model.role import Given
from genclient.model.roles import FILES, LABELS, LATENTS, SEEDS
from genclient.tasks.task import Task

VIDEO_GENERATION = Task(
    "video-generation",
    inputs=[LATENTS, SEEDS, LABELS],
    outputs=[CLIPS, CLIP_FILES],
    noun="a generator of clips",
    expected=("inputs latents or seeds, and labels where conditional", "an output clips or png_bytes"),
)


class _Animation(Task):
    def examples(self, binding: Binding, given: Given) -> Examples:
        """As `Task.examples`; whoever requests clips of seeds from such a model is told what to run."""
        if given.get("image") is None and given.get("image_bytes") is None:
            raise UsageError(
                "image: found none, expected pictures, which this model makes clips of; "
                "run genclient animate PICTURE, or Client.animate(pictures)"
            )
        return super().examples(binding, {name: value for name, value in given.items() if name != "seeds"})


ANIMATION = _Animation(
    "video-generation",
    inputs=[PICTURE, FILES],
    outputs=[CLIPS, CLIP_FILES],
    noun="a model of clips made of pictures",
    expected=("an input image or image_bytes", "an output clips or png_bytes"),
)
