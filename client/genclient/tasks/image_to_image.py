"""Pictures made of pictures: a sketch becomes a picture, day becomes night."""

from __future__ import annotations

from genclient.errors import UsageError
from genclient.model.binding import Binding
from genclient.model.inputs import Examples
from genclient.model.picture_roles import HINT_FILES, HINTS, PICTURE
from genclient.model.role import Given
from genclient.model.roles import FILES, IMAGES, LATENTS, PNG, SEEDS
from genclient.tasks.task import Task


class _ImageToImage(Task):
    def examples(self, binding: Binding, given: Given) -> Examples:
        """As `Task.examples`; whoever requests images of seeds from such a model is told what to run."""
        if given.get("image") is None and given.get("image_bytes") is None:
            raise UsageError(
                "image: found none, expected pictures, which this model makes images of; "
                "run genclient translate PICTURE, or Client.translate(pictures)"
            )
        if self is not MULTIMODAL:
            given = {name: value for name, value in given.items() if name != "seeds"}
        return super().examples(binding, given)


IMAGE_TO_IMAGE = _ImageToImage(
    "image-to-image",
    inputs=[PICTURE, FILES, HINTS, HINT_FILES],
    outputs=[IMAGES, PNG],
    noun="a model of pictures made of pictures",
    expected=("an input image or image_bytes", "an output images or png_bytes"),
)

MULTIMODAL = _ImageToImage(
    "image-to-image",
    inputs=[LATENTS, SEEDS, PICTURE, FILES, HINTS, HINT_FILES],
    outputs=[IMAGES, PNG],
    noun="a model of pictures made of pictures",
    expected=("inputs latents or seeds, and image or image_bytes", "an output images or png_bytes"),
)
"""The same of models that also take latents, when a picture is to be translated: others may mean something else."""
