"""How near generated clips come to the true ones that begin with the same stills, on clips held out of the training.

Each number stands beside what the still scores where it is repeated, and a cross-fade from it to the true last frame,
which no generator knows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain.errors import TrainError
from gentrain.metrics.features import Images, Show
from gentrain.metrics.generate import generate
from gentrain.metrics.translation import distances

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset

FEWEST = 2


class ClipJudge:
    """`ClipJudge(dataset, indices).score_generator(model)`.

    Attributes:
        indices: of the clips that are measured.
        unchanged, fade: metric → value of the stills repeated, and of cross-fades.
        reference: the same for the true clips, of what is not nothing for these.
        unknown: nothing: of clips that were not seen all is known.
    """

    unknown = ""

    def __init__(self, dataset: Dataset, indices: Any, show: Show | None = None) -> None:
        """Raises TrainError: fewer than two clips."""
        self.dataset, self.indices, self.show = dataset, np.asarray(indices), show
        if len(self.indices) < FEWEST:
            raise TrainError(f"{dataset.source}: {len(self.indices)} clips to measure on; needs at least {FEWEST}")
        self.clips: Images = np.asarray(dataset.images[self.indices])
        self.unchanged = self.score(np.repeat(self.stills[:, None], dataset.frames, axis=1))
        self.fade = self.score(crossfade(self.clips))
        self.reference = {"motion": 1.0}

    @property
    def samples(self) -> int:
        """How many clips are measured."""
        return len(self.indices)

    @property
    def stills(self) -> Images:
        """The first frames, uint8 (n, H, W, C)."""
        return self.clips[:, 0]

    def score(self, clips: Images) -> dict[str, float]:
        """`l1`, `psnr`, `ssim` and `motion` of clips uint8 (n, T, H, W, C), in the order of `indices`."""
        shape = (-1, *clips.shape[2:])
        return {
            **distances(clips.reshape(shape), self.clips.reshape(shape)),
            "motion": moves(clips) / moves(self.clips),
        }

    def score_generator(self, generator: Any, first_seed: int = 0) -> dict[str, float]:
        """The same of a Keras generator; what it draws of stills it has not seen is no copy: `memorised` is 0."""
        return {**self.score(self.animate(generator, first_seed)), "memorised": 0.0}

    def animate(self, generator: Any, first_seed: int = 0) -> Images:
        """What a generator makes of the stills, uint8 (n, T, H, W, C)."""
        given: dict[str, Any] = {"image": self.stills.astype(np.float32) / 127.5 - 1.0}
        if self.dataset.labels is not None and any(tensor.name == "labels" for tensor in generator.inputs):
            given["labels"] = self.dataset.labels[self.indices]
        return generate(generator, self.samples, first_seed, given, self.show)


def moves(clips: Images) -> float:
    """The mean distance of a frame from the one before, of 255."""
    return float(max(np.mean([np.abs(np.diff(clip.astype(np.int16), axis=0)).mean() for clip in clips]), 1e-9))


def crossfade(clips: Images) -> Images:
    """From the first frames to the last ones, uint8 (n, T, H, W, C)."""
    part = np.linspace(0, 1, clips.shape[1], dtype=np.float32)[:, None, None, None]
    return np.rint(clips[:, :1] * (1 - part) + clips[:, -1:] * part).astype(np.uint8)
