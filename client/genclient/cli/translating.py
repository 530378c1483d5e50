"""Makes pictures of a user's pictures: those of some places of a set, a few at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from genclient.errors import ClientError, RpcError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from genclient.cli.source import Source
    from genclient.client.call import Batch
    from genclient.client.translation import Variations
    from genclient.outputs.output import Places

AT_A_TIME = 64
"""Pictures in memory."""


class Picture(NamedTuple):
    """A user's picture: what it is called in messages, its path below what was named, and its file or content."""

    shown: str
    path: str
    file: Path | bytes


class Translator:
    """`Translator(source, pictures, …).batches(places)`.

    Each picture has `variations.n` places in a row; in a grid it has one, with its variations side by side.
    """

    at_a_time = AT_A_TIME

    def __init__(
        self,
        source: Source,
        pictures: Sequence[Picture],
        ranges: Any,
        hints: bytes | None,
        variations: Variations,
        *,
        is_grid: bool,
    ) -> None:
        """Take what makes them, and the pictures; a grid also shows what each was made of."""
        self._source, self._pictures, self._ranges, self._hints = source, pictures, ranges, hints
        self._variations, self._is_grid = variations, is_grid

    def batches(self, places: Places) -> Iterator[Batch]:
        """The images of places, in order."""
        import numpy as np

        from genclient.client.call import Batch

        each = 1 if self._is_grid else self._variations.n
        for start in range(0, len(places), self.at_a_time):
            some = places[start : start + self.at_a_time]
            numbers = np.unique(some // each)
            chosen = [self._pictures[number] for number in numbers.tolist()]
            contents = self._contents(chosen)
            images = self._made(chosen, contents)
            if self._is_grid:
                rows, originals = _in_rows(images, self._variations.n), self._originals(contents, images.shape[1:])
                outputs = {"images": rows, "originals": originals}
            else:
                outputs = {"images": images[each * np.searchsorted(numbers, some // each) + some % each]}
            yield Batch(some, outputs, self._source.version)

    def _contents(self, chosen: list[Picture]) -> list[bytes]:
        from genclient.images import pictures

        contents = []
        for picture, content in zip(chosen, pictures.load([p.file for p in chosen], self._ranges), strict=True):
            if isinstance(content, str):  # it could be read a moment ago
                raise ClientError(f"{picture.shown}: {content}")
            contents.append(content)
        return contents

    def _made(self, chosen: list[Picture], contents: list[bytes]) -> NDArray[np.uint8]:
        """Their images; a refused request is cut until the picture at fault is found."""
        import numpy as np

        try:
            return self._source.translate(contents, self._hints, self._variations)
        except RpcError as error:
            if error.code.name != "INVALID_ARGUMENT":
                raise
            if len(chosen) == 1:
                raise ClientError(f"{chosen[0].shown}: the server refuses it: {error.details}") from None
        half = len(chosen) // 2
        parts = self._made(chosen[:half], contents[:half]), self._made(chosen[half:], contents[half:])
        return np.concatenate(parts)

    def _originals(self, contents: list[bytes], shape: tuple[int, ...]) -> NDArray[np.uint8]:
        import numpy as np

        from genclient.images.prepare import prepared

        return np.stack([prepared(content, shape, self._source.preprocessing) for content in contents])


class TiledTranslator(Translator):
    """The same of pictures as large as they are, in overlapping tiles of the model's size; one at a time."""

    at_a_time = 1

    def _made(self, chosen: list[Picture], contents: list[bytes]) -> NDArray[np.uint8]:
        from genclient.client.translation import taken

        tiles, whole = taken(contents, True, self._source.size(), self._ranges, self._hints)
        return whole(self._source.translate(tiles, None, self._variations), self._variations.n)

    def _originals(self, contents: list[bytes], shape: tuple[int, ...]) -> NDArray[np.uint8]:
        import numpy as np

        from genclient.images.arrays import flat

        image = flat(contents[0], shape[-1])
        factor = shape[0] // image.shape[0]  # what is made may be a multiple of the size
        return image.repeat(factor, axis=0).repeat(factor, axis=1)[np.newaxis]


def _in_rows(images: NDArray[np.uint8], n: int) -> NDArray[np.uint8]:
    """Images (N·n, H, W, C), n in a row with a gap between them: (N, H, n·W and gaps, C)."""
    import numpy as np

    from genclient.images.grid import GAP

    if n == 1:
        return images
    height, channels = images.shape[1], images.shape[3]
    gap = np.full((len(images), height, GAP, channels), 255, np.uint8)
    cells = np.concatenate([images, gap], axis=2).reshape(-1, n, height, images.shape[2] + GAP, channels)
    return cells.swapaxes(1, 2).reshape(len(images) // n, height, -1, channels)[:, :, :-GAP]
