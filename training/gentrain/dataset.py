"""What passes from the sources to the networks: how images are wanted, a source before it is read, a data set after.

Sources decode, `gentrain.cache` keeps what they decoded, `gentrain.stream` draws batches; nothing here opens a file.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from PIL import ImageColor

from gentrain.errors import UsageError

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Labels = np.ndarray[Any, np.dtype[np.int32]]

SMALLEST_SIDE, LARGEST_SIDE = 8, 256
CROPS = ("center", "none")


@dataclass(frozen=True)
class Frame:
    """How images are wanted.

    Attributes:
        resolution: the longest side in pixels, a multiple of 4 from 8 to 256. Images that are all square and of one
            size up to it stay as they are, others are resized to it.
        channels: 1, 3, or 0 for what the images have.
        crop: `center` takes the largest square in the middle; `none` takes all of the image and gives up its aspect.
        background: what lies under transparent pixels: a name that Pillow knows, or #rrggbb.

    Raises:
        UsageError: a value outside its range.
    """

    resolution: int
    channels: int = 0
    crop: str = "center"
    background: str = "white"

    def __post_init__(self) -> None:
        """Refuse what no image can be brought to."""
        if not SMALLEST_SIDE <= self.resolution <= LARGEST_SIDE or self.resolution % 4:
            raise UsageError(
                f"resolution must be a multiple of 4 from {SMALLEST_SIDE} to {LARGEST_SIDE}, got {self.resolution}"
            )
        if self.channels not in (0, 1, 3):
            raise UsageError(f"channels must be 1, 3, or 0 for what the images have, got {self.channels}")
        if self.crop not in CROPS:
            raise UsageError(f"crop must be {' or '.join(CROPS)}, got {self.crop!r}")
        self.background_rgb  # noqa: B018, raises for what is no colour

    @cached_property
    def background_rgb(self) -> tuple[int, int, int]:
        """The background as (red, green, blue) from 0 to 255."""
        try:
            red, green, blue, *alpha = ImageColor.getrgb(self.background)
            if alpha:
                raise ValueError("transparent itself")
        except ValueError:
            raise UsageError(f"background must be the name of a colour or #rrggbb, got {self.background!r}") from None
        return red, green, blue

    def side(self, sizes: set[tuple[int, int]]) -> int:
        """The side in pixels for images of these (width, height)s; a multiple of 4, so that networks can halve it."""
        if len(sizes) == 1:
            (width, height) = next(iter(sizes))
            if width == height and SMALLEST_SIDE <= width <= self.resolution and width % 4 == 0:
                return width
        return self.resolution


@dataclass(frozen=True)
class Skipped:
    """A file that was passed over, and why."""

    file: str
    reason: str


@dataclass(frozen=True, eq=False)
class Contents:
    """What a source tells beside the pixels; labels int32 (N,) are indices into `class_names`."""

    labels: Labels | None = None
    class_names: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()


Append = Callable[[Pixels], None]
"""Takes the next images, uint8 (n, side, side, channels); a source calls it as often as it likes, always one shape."""

Show = Callable[[int, int | None], None]
"""Called now and then with the number of images decoded, and of all there are (None where that is not known yet)."""


@dataclass(frozen=True)
class Source:
    """Images found but not yet decoded.

    Attributes:
        name: fit to be printed and stored.
        identity: differs whenever the decoded images might.
        decode: gives all images to `Append` in an order that is always the same, and returns what else there is.
    """

    name: str
    identity: str
    decode: Callable[[Frame, Append, Show], Contents]


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images uint8 (N, H, W, C), in memory or mapped from the cache, and, where they have classes, labels int32 (N,).

    `labels` are indices into `class_names`.
    """

    source: str
    images: Pixels
    labels: Labels | None = None
    class_names: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    known_fingerprint: str | None = field(default=None, repr=False)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over shape, pixels, labels and class names: equal fingerprints train alike."""
        if self.known_fingerprint is not None:
            return self.known_fingerprint
        digest = hashlib.sha256(repr((self.images.shape, self.class_names)).encode("utf-8", "surrogateescape"))
        for start in range(0, len(self.images), 4096):
            digest.update(np.ascontiguousarray(self.images[start : start + 4096]).data)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()

    def class_counts(self) -> dict[str, int]:
        """Class name → number of images; empty without classes."""
        if self.labels is None:
            return {}
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        return {name: int(count) for name, count in zip(self.class_names, counts, strict=True)}

    def describe(self) -> dict[str, Any]:
        """What dataset.json holds."""
        return {
            "source": self.source,
            "count": len(self.images),
            "image_shape": list(self.images.shape[1:]),
            "class_names": list(self.class_names),
            "class_counts": self.class_counts(),
            "fingerprint": self.fingerprint,
            "skipped": [{"file": s.file, "reason": s.reason} for s in self.skipped],
            "notes": list(self.notes),
        }
