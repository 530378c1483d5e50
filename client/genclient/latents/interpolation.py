"""Ways through the latents, from one keyframe to the next: what each frame of an animation is made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genclient.errors import UsageError
from genclient.latents.seeds import MAX_IMAGES, latents


@dataclass(frozen=True)
class Walks:
    """Walks side by side, of as many keyframes each.

    Attributes:
        seeds: int64 (W, K): the keyframes of each walk.
        labels: int64 (K,): their classes, the same in each walk; or None.
        frames: from one keyframe to the next.
        loop: whether it goes on from the last keyframe to the first.
        given: float32 (rows, Z): latents that `seeds` are indices into; None: they are seeds.
    """

    seeds: NDArray[np.int64]
    labels: NDArray[np.int64] | None
    frames: int
    loop: bool
    given: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """See that it is a walk.

        Raises:
            UsageError: it has one keyframe, or too many frames.
        """
        if self.seeds.shape[1] < 2:
            raise UsageError(f"--seeds: found {self.seeds.shape[1]} keyframe for each walk, expected 2 or more")
        if not 1 <= self.frames <= MAX_IMAGES or len(self) * len(self.seeds) > MAX_IMAGES:
            raise UsageError(
                f"--frames: found {self.frames}, expected 1 or more, and at most {MAX_IMAGES} images in all"
            )

    def __len__(self) -> int:
        """How many frames."""
        keys = self.seeds.shape[1]
        return keys * self.frames if self.loop else (keys - 1) * self.frames + 1

    def latents(self, z: int) -> NDArray[np.float32]:
        """Latents float32 (F·W, z), frame after frame, and within a frame walk after walk."""
        numbers = self.seeds.reshape(-1)
        keyframes = latents(numbers, z) if self.given is None else self.given[numbers]
        if keyframes.shape[1] != z:
            raise UsageError(f"--latents: found {keyframes.shape[1]} numbers an image, expected {z}")
        keys = keyframes.reshape(*self.seeds.shape, z)
        ways = [self._way(walk) for walk in keys]
        return np.stack(ways, axis=1).reshape(-1, z)

    def frame_labels(self) -> NDArray[np.int64] | None:
        """Labels int64 (F·W,): of the nearer keyframe, since a class is a number and has nothing between two."""
        return None if self.labels is None else self.labels[self.nearest_keys()]

    def nearest_keys(self) -> NDArray[np.int64]:
        """Which keyframe is nearer, int64 (F·W,)."""
        nearest = (np.arange(len(self)) + self.frames // 2) // self.frames % self.seeds.shape[1]
        return np.repeat(nearest, len(self.seeds))

    def _way(self, keys: NDArray[np.float32]) -> NDArray[np.float32]:
        steps = np.arange(self.frames, dtype=np.float64) / self.frames
        ends = np.roll(keys, -1, axis=0)
        count = len(keys) if self.loop else len(keys) - 1
        parts = [slerp(start, end, steps) for start, end in zip(keys[:count], ends[:count], strict=True)]
        return np.concatenate(parts if self.loop else [*parts, keys[-1:]])


@dataclass(frozen=True)
class Traversals:
    """Images side by side that move along one direction of the latent space.

    Attributes:
        keys: float32 (W, Z): the latents of each image.
        direction: float32 (Z,), of length 1.
        steps: float64 (F,): how far along it each frame is.
        labels: int64 (W,): the class of each image, where they are of several.
    """

    keys: NDArray[np.float32]
    direction: NDArray[np.float32]
    steps: NDArray[np.float64]
    labels: NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """How many frames."""
        return len(self.steps)

    def latents(self, z: int) -> NDArray[np.float32]:
        """Latents float32 (F·W, z), frame after frame."""
        moved = self.keys[None] + self.steps[:, None, None] * self.direction
        return moved.astype(np.float32).reshape(-1, z)

    def frame_labels(self) -> NDArray[np.int64] | None:
        """Labels int64 (F·W,): each image keeps its own; None where all have one class."""
        return None if self.labels is None else np.tile(self.labels, len(self))


def there_and_back(start: float, end: float, frames: int, loop: bool) -> NDArray[np.float64]:
    """Steps float64 (F,) from `start` to `end` in `frames` parts, and back if it is a loop."""
    way = np.linspace(start, end, frames + 1)
    return np.concatenate([way, way[-2:0:-1]]) if loop else way


def slerp(start: NDArray[np.float32], end: NDArray[np.float32], steps: NDArray[np.float64]) -> NDArray[np.float32]:
    """Latents float32 (S, Z) between two (Z,), at `steps` (S,) from 0 to 1, on the arc from one to the other.

    On a straight line they would come nearer to zero than latents ever are. Source: White, "Sampling Generative
    Networks", 2016.
    """
    a, b = start.astype(np.float64), end.astype(np.float64)
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    angle = float(np.arccos(np.clip(a @ b / norm, -1, 1))) if norm else 0.0
    t = steps[:, None]
    if np.sin(angle) < 1e-6:  # the same direction, or opposite ones, between which no arc is the shortest
        return ((1 - t) * a + t * b).astype(np.float32)
    arc = (np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle)
    return arc.astype(np.float32)
