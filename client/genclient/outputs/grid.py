"""An image grid, one picture with all images: a PNG file, or the same on stdout."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient.files.whole import save_bytes
from genclient.images.grid import GAP, check_channels, laid_out, png
from genclient.outputs.image_set import ImageSet
from genclient.outputs.output import Output, Outputs, Places


class Grid(Output):
    """Images row by row; a row for each class where there are several."""

    def __init__(
        self,
        image_set: ImageSet,
        path: Path | None,
        send: Callable[[bytes], None],
        grid: tuple[int, int] | None,
        scale: int | None = None,
        captions: bool = False,
    ) -> None:
        """Take a path, or None and what sends the file elsewhere; columns and rows; what `laid_out` takes."""
        super().__init__(image_set)
        self._path, self._send = path, send
        self._grid = (len(image_set.seeds), image_set.rows) if image_set.labels or image_set.rows > 1 else grid
        self._scale, self._captions = scale, captions
        self._cells: NDArray[np.uint8] | None = None

    def add(self, places: Places, encoded: Any, version: int | None) -> Sequence[Path]:
        """Put images in their places."""
        if self._cells is None:
            check_channels(encoded.shape[-1])
            self._cells = np.empty((len(self.image_set), *encoded.shape[1:]), np.uint8)
        self._cells[places] = encoded
        self.version = version
        return []

    def finish(self) -> Sequence[Path]:
        """Write the grid."""
        assert self._cells is not None
        captions = [self.image_set.caption(place) for place in range(len(self.image_set))] if self._captions else []
        pixels = laid_out(self._cells, *(self._grid or ()), scale=self._scale, captions=captions)
        content = png(pixels, self.image_set.grid_text(self.version))
        self._cells = None
        if self._path is None:
            self._send(content)
            return []
        save_bytes(self._path, content)
        return [self._path]

    def discard(self) -> None:
        """Forget the images."""
        self._cells = None

    def plan(self, missing: Places) -> list[str]:
        """The file."""
        return ["an image grid on stdout" if self._path is None else str(self._path)]


class PairGrid(Grid):
    """Each image with the picture beside it that it was made of, which batches have as `originals`."""

    def encode(self, places: Places, outputs: Outputs, version: int | None) -> NDArray[np.uint8]:
        """Original, gap and image in one row."""
        images, originals = outputs["images"], outputs["originals"]
        gap = np.full((*images.shape[:2], GAP, images.shape[-1]), 255, np.uint8)
        return np.concatenate([originals, gap, images], axis=2)
