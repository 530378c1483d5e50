"""Images as one picture that a notebook shows by itself, as `Client.grid` gives it. Pillow is loaded to draw it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ImageGrid:
    """Images side by side, for people.

    Attributes:
        images: uint8 (N, H, W, C), as they came; of clips (N, T, H, W, C) each is a row of frames.
        columns: nearly as many as rows, unless given; of clips 1.
        scale: how many times they are enlarged; None: to about 512 pixels; 1: bare pixels.
        captions: a line below each image, or none.
    """

    images: NDArray[np.uint8] = field(repr=False)
    columns: int | None = None
    scale: int | None = None
    captions: Sequence[str] = field(default=(), repr=False)

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The picture: uint8 (height, width, C)."""
        from genclient.images.grid import clip_rows, laid_out

        if self.images.ndim == 5:
            rows = clip_rows(self.images)
            return laid_out(rows, self.columns or 1, scale=self.scale, captions=self.captions)
        return laid_out(self.images, self.columns, scale=self.scale, captions=self.captions)

    def save(self, path: str | PathLike[str]) -> None:
        """Write it as a PNG file.

        Raises:
            ClientError: it cannot be written, or has other than 1, 3 or 4 channels.
        """
        from genclient.files.whole import save_bytes

        save_bytes(Path(path), self._repr_png_())

    def _repr_png_(self) -> bytes:
        """What notebooks show."""
        from genclient.images.grid import png

        return png(self.pixels, {})


Sheet = ImageGrid  # its old name


def captions(seeds: Sequence[int] | NDArray[Any], label: Any, texts: str | Sequence[str] | None = None) -> list[str]:
    """The seed of each image, its class and its text where there are such; of several texts all seeds of each."""
    classes = [None] * len(seeds) if label is None else np.broadcast_to(np.asarray(label), len(seeds)).tolist()
    said = [f"{int(s)}" + ("" if c is None else f" class {c}") for s, c in zip(seeds, classes, strict=True)]
    several = [""] if texts is None else [texts] if isinstance(texts, str) else texts
    return [f"{one} {text}".rstrip() for text in several for one in said]
