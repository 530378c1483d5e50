"""Large pictures in overlapping tiles of a model's size, and what became of the tiles in one picture without seams."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genclient.errors import ClientError


class Tiles:
    """A picture in tiles, each of which overlaps the next by half or more.

    Attributes:
        pixels: uint8 (N, h, w, C), row by row. A picture smaller than a tile is continued by its mirror image.
    """

    def __init__(self, image: NDArray[np.uint8], size: tuple[int, int]) -> None:
        """Cut an image (H, W, C) into tiles of this height and width."""
        self._size, self._shape = size, image.shape[:2]
        missing = [max(0, tile - side) for tile, side in zip(size, image.shape[:2], strict=True)]
        image = np.pad(image, [(0, missing[0]), (0, missing[1]), (0, 0)], "symmetric")
        rows, columns = (_starts(side, tile) for side, tile in zip(image.shape[:2], size, strict=True))
        self._places = [(row, column) for row in rows for column in columns]
        self.pixels = np.stack([image[r : r + size[0], c : c + size[1]] for r, c in self._places])

    def joined(self, made: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """One picture of what a model made of the tiles, uint8 (N, h, w, C), or a whole number of times that size.

        Each pixel is the mean of its tiles, in which one counts the less the nearer the pixel is to its border.

        Raises:
            ClientError: they are of another size.
        """
        factor = made.shape[1] // self._size[0]
        height, width = (factor * side for side in self._size)
        if not factor or made.shape[1:3] != (height, width):
            raise ClientError(
                f"--tile: found pictures of {made.shape[2]}×{made.shape[1]} made of tiles of "
                f"{self._size[1]}×{self._size[0]}, expected the same size or a multiple"
            )
        high, wide = (factor * max(each) for each in zip(self._size, self._shape, strict=True))
        window = (_window(height)[:, None] * _window(width))[..., None]
        total, weight = np.zeros((high, wide, made.shape[-1]), np.float32), np.zeros((high, wide, 1), np.float32)
        for tile, place in zip(made, self._places, strict=True):
            row, column = (factor * start for start in place)
            here = slice(row, row + height), slice(column, column + width)
            total[here] += window * tile
            weight[here] += window
        whole = np.rint(total / weight).astype(np.uint8)
        return whole[: factor * self._shape[0], : factor * self._shape[1]]


def _starts(side: int, tile: int) -> list[int]:
    """Where tiles begin: as few as overlap by a half, at even distances."""
    count = 1 + -(-2 * (side - tile) // tile)
    return [int(start) for start in np.rint(np.linspace(0, side - tile, count))]


def _window(length: int) -> NDArray[np.float32]:
    """How much each pixel of a tile counts: a Hann window, nothing just beyond the borders."""
    return np.square(np.sin(np.pi * (np.arange(length) + 0.5) / length)).astype(np.float32)
