"""What a condition does. Each method has a default that changes nothing, so a condition overrides only what it adds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset
    from gentrain.losses.auxiliary import Auxiliary
    from gentrain.networks.parts import Initializers
    from gentrain.settings import Settings

Array = np.ndarray[Any, Any]

Tensors = dict[str, Any]
"""Named tensors: of a batch, of what the networks take, or Keras' symbolic ones."""


class Condition(ABC):
    """Something that both networks of a GAN take beside latents or images.

    Attributes:
        name: by which a run names it, and the name of its input.
        task: what a generator with it does, as in `interface.json`; empty where that is the same as without it.
        auxiliary: losses beside the adversarial one that a run with it has.
        learns_by: names of further ones, which gentrain.training.auxiliaries makes.
        judged: whether the discriminator sees it too.
    """

    name: ClassVar[str]
    task: ClassVar[str] = ""
    auxiliary: Sequence[Auxiliary] = ()
    learns_by: ClassVar[Sequence[str]] = ()
    judged: ClassVar[bool] = True

    @classmethod
    @abstractmethod
    def of(cls, dataset: Dataset) -> Condition:
        """The condition as it is with these images; raises TrainError where they lack what it needs."""

    def configure(self, settings: Settings) -> None:  # noqa: B027, most have no settings
        """Take what it needs of a run's settings; called once, before anything else."""

    # Data

    @abstractmethod
    def columns(self, dataset: Dataset) -> Mapping[str, Array]:
        """Named arrays (N, …), an entry for each image of the data set, in memory or mapped from a file."""

    def prepare(self, batch: Mapping[str, Any]) -> Tensors:
        """A batch of the columns, arrays or tensors → the tensors of `inputs`, by name, in their order."""
        return {about["name"]: batch[about["name"]] for about in self.interface()}

    @abstractmethod
    def examples(self, most: int) -> Mapping[str, Array]:
        """A batch of columns that shows what the condition can be, at most so many examples: those of image grids."""

    def draw(self, tensors: Tensors, images: Any, uniform: Callable[[int], Any]) -> Tensors:
        """What is new at each step, and follows from the right answer: the tensors of `inputs`, with it.

        Args:
            tensors: those of `inputs`, as `prepare` made them, mirrored with the images.
            images: float32 (N, H, W, C) in [-1, 1].
            uniform: `uniform(k)` → float32 (N, k) in [0, 1), the same ones after a restart.
        """
        return tensors

    def augment(self, tensors: Tensors, change: Callable[[Any], Any]) -> Tensors:
        """What is mirrored, moved or cut with the images: `change` does to a picture (N, H, W, any) what they undergo.

        Called with the tensors of `inputs`, for flips (which both networks see) and for DiffAugment (which the
        discriminator sees alone).
        """
        return tensors

    # Networks

    @abstractmethod
    def inputs(self) -> Tensors:
        """New Keras inputs by name; both networks have them behind latents or images, or the generator alone."""

    @abstractmethod
    def interface(self) -> list[dict[str, Any]]:
        """What `interface.json` says of each input: name, role, dtype, shape and the rest, see docs/contracts.md."""

    def starts_from(self, inputs: Tensors) -> list[Any]:
        """Pictures (N, H, W, any) that networks from pictures to pictures (`unet`) start from; others take none."""
        return []

    def enter_latents(self, latents: Any, inputs: Tensors, init: Initializers) -> Any:
        """Latents (N, Z) → what the generator's layers start from, (N, any)."""
        return latents

    def enter_start(self, start: Any, inputs: Tensors, init: Initializers) -> Any:
        """What the generator's first feature map is made of, (N, any) → (N, any); the pair `genline` alone asks."""
        return start

    def enter_features(self, features: Any, inputs: Tensors, init: Initializers) -> Any:
        """The generator's feature maps (N, h, w, C) at one size → the same shape; called from the smallest size up."""
        return features

    def enter_images(self, images: Any, inputs: Tensors, init: Initializers) -> Any:
        """The generator's images (N, H, W, C) before the tanh → the same shape."""
        return images

    def see_images(self, images: Any, inputs: Tensors, init: Initializers) -> Any:
        """What the discriminator's layers start from: images (N, H, W, C) → (N, H, W, any)."""
        return images

    def see_features(self, features: Any, inputs: Tensors, init: Initializers) -> Any:
        """A term (N, 1) of the logits, from the discriminator's last features (N, F); None adds nothing."""
        return None
