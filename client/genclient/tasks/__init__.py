"""Tasks: what models do, each in a file of its own. The roles of a signature's tensors say which one it is.

`task.py` has what a task is, `image_generation.py`, `image_to_image.py`, `text_to_image.py`, `video_generation.py`,
`fake_detection.py` and `inversion.py` are genline's own, `registry.py` knows all of them and chooses. A task from
outside:

    from genclient.tasks import IMAGE, IMAGES, LATENTS, PNG, SEEDS, Task, register

    register(Task("tint", inputs=[LATENTS, SEEDS, IMAGE], outputs=[IMAGES, PNG]))
"""

from genclient.model.binding import Binding
from genclient.model.clip_roles import CLIP_FILES, CLIPS
from genclient.model.inputs import Examples
from genclient.model.role import Column, Role
from genclient.model.roles import FILES, GENERATED, IMAGE, IMAGES, LABELS, LATENTS, PNG, SCORES, SEEDS
from genclient.model.text_roles import TEXTS, TOKENS
from genclient.tasks.fake_detection import FAKE_DETECTION, FILES_DETECTION
from genclient.tasks.image_generation import IMAGE_GENERATION
from genclient.tasks.image_to_image import IMAGE_TO_IMAGE
from genclient.tasks.inversion import INVERSION
from genclient.tasks.registry import choose, register, tasks
from genclient.tasks.task import Task
from genclient.tasks.text_to_image import TEXT_TO_IMAGE
from genclient.tasks.video_generation import ANIMATION, VIDEO_GENERATION

__all__ = [
    "ANIMATION",
    "CLIPS",
    "CLIP_FILES",
    "FAKE_DETECTION",
    "FILES",
    "FILES_DETECTION",
    "GENERATED",
    "IMAGE",
    "IMAGES",
    "IMAGE_GENERATION",
    "IMAGE_TO_IMAGE",
    "INVERSION",
    "LABELS",
    "LATENTS",
    "PNG",
    "SCORES",
    "SEEDS",
    "TEXTS",
    "TEXT_TO_IMAGE",
    "TOKENS",
    "VIDEO_GENERATION",
    "Binding",
    "Column",
    "Examples",
    "Role",
    "Task",
    "choose",
    "register",
    "tasks",
]
