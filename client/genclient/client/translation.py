"""Pictures to be made of pictures: which signature takes them, and what is sent. No network here."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genclient.client.arguments import whole
from genclient.client.base import Request
from genclient.errors import ClientError, UsageError
from genclient.latents.array import counted_seeds, latents_array
from genclient.model.binding import Binding
from genclient.model.signature import ModelInfo
from genclient.tasks.image_to_image import IMAGE_TO_IMAGE, MULTIMODAL
from genclient.tasks.task import AUTO, Task
from genclient.tasks.video_generation import ANIMATION

if TYPE_CHECKING:
    from genclient.images.prepare import Preprocessing
    from genclient.images.tiles import Tiles
    from genclient.images.value_ranges import ValueRanges

Pictures = ArrayLike | Sequence[bytes | str | PathLike[str]]
"""Arrays (N, H, W, C), or files by path or content."""

Whole = Callable[[NDArray[np.uint8], int], NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class Variations:
    """Which pictures a model makes of one, where it takes latents: those of seeds, or of given latents.

    Attributes:
        n: how many of each picture; with latents, as many as these are.
        seed: of the first.
        latents: (n, Z), or None: those of seeds.
    """

    n: int = 1
    seed: int = 0
    latents: NDArray[np.float32] | None = None

    @classmethod
    def of(cls, n: int, seed: int, latents: ArrayLike | None) -> Variations:
        """Checked.

        Raises:
            UsageError: there are none, or latents beside seeds.
        """
        n, seed = whole("n", n), whole("seed", seed)
        if latents is None:
            return cls(counted_seeds(seed, n).count, seed)
        if (n, seed) != (1, 0):
            raise UsageError("latents: found them beside n or seed, expected one of them")
        array = latents_array(np.atleast_2d(np.asarray(latents)))
        return cls(len(array), 0, array)

    def given(self, binding: Binding, count: int) -> dict[str, Any]:
        """What is asked for beside so many pictures, each of which stands there n times in a row.

        Raises:
            UsageError: the model has one answer only.
        """
        if not is_multimodal(binding):
            if self.latents is not None or (self.n, self.seed) != (1, 0):
                raise UsageError("n, seed or latents: found some, expected none: this model makes one picture of each")
            return {}
        if self.latents is None:
            return {"seeds": np.tile(np.arange(self.seed, self.seed + self.n, dtype=np.int64), count)}
        return {"latents": np.tile(self.latents, (count, 1))}


ONE = Variations()

HINTS = ("hints", "hints_bytes")


def are_files(images: Any) -> bool:
    """Whether pictures are files, by path or content, and not an array."""
    many = isinstance(images, (list, tuple)) and len(images) > 0
    return many and all(isinstance(image, (bytes, str, PathLike)) for image in images)


def binding_for(info: ModelInfo, signature: str, names: Mapping[str, str], files: bool) -> Binding:
    """The signature that makes pictures or clips: of files the one that brings them to size as training did, if any.

    Raises:
        ClientError: the model makes neither pictures nor clips of pictures.
    """
    tasks = (IMAGE_TO_IMAGE, MULTIMODAL, ANIMATION)
    if files and signature == AUTO:
        for task in tasks:
            for name in ("png", *task.by_cost(info)):
                binding = task.fitting(info, name, names) if name in info.signatures else None
                if binding is not None and "image_bytes" in binding.spec.inputs:
                    return binding
    fitting = (task.fitting(info, signature, names) for task in tasks)
    return next((binding for binding in fitting if binding is not None), None) or IMAGE_TO_IMAGE.bind(
        info, signature, names
    )


def check_result(binding: Binding, model: str, clips: bool) -> None:
    """See that a model makes clips of pictures, or pictures.

    Raises:
        ClientError: it makes the other; the message says what is for that.
    """
    if clips and not makes_clips(binding):
        raise ClientError(
            f"model {model!r} makes pictures of pictures, no clips; run genclient translate PICTURE, or "
            "Client.translate(pictures)"
        )
    if makes_clips(binding) and not clips:
        raise ClientError(
            f"model {model!r} makes clips of pictures; run genclient animate PICTURE, or Client.animate(pictures)"
        )


def makes_clips(binding: Binding) -> bool:
    """Whether what a signature gives is clips."""
    return "clips" in binding.outputs


def task_of(info: ModelInfo, names: Mapping[str, str]) -> Task | None:
    """What a model is for that takes an `image` and makes another of it, with one answer or several; None: another."""
    if picture_shape(info) is None:
        return None
    tasks = (IMAGE_TO_IMAGE, MULTIMODAL)
    return next((task for task in tasks if any(task.fitting(info, name, names) for name in info.signatures)), None)


def picture_shape(info: ModelInfo) -> tuple[int | None, ...] | None:
    """(H, W, C) of the pictures that a model takes, by any of its signatures; None where none says so."""
    shapes = (spec.inputs["image"].shape for spec in info.signatures.values() if spec.takes_picture)
    return next((shape[1:] for shape in shapes if shape and len(shape) == 4), None)


def translation_request(
    binding: Binding,
    images: Any,
    hints: Any = None,
    ranges: ValueRanges | None = None,
    variations: Variations = ONE,
    *,
    read: bool = False,
    preprocessing: Preprocessing | None = None,
) -> Request:
    """The request for the pictures made of `images`.

    Args:
        binding: the signature to call.
        images: see `Pictures`.
        hints: (N, H, W, 4), or the content of a PNG file.
        ranges: what is black and white in pictures of 32 bits and of floats.
        variations: which pictures of each, one after another.
        read: whether files are contents that `pictures.load` gave.
        preprocessing: of files that are brought to size here.

    Raises:
        ClientError: a picture cannot be read.
    """
    takes_files = "image_bytes" in binding.spec.inputs
    if isinstance(hints, bytes) and not takes_files:
        from genclient.images.prepare import hint_pixels

        hints = hint_pixels(hints, (binding.spec.inputs["image"].shape or (None,) * 4)[1:3])
    given: dict[str, Any] = {"hints_bytes" if takes_files else "hints": hints}
    if not are_files(images):
        given["image"] = _array(images)
    else:
        from genclient.images import pictures

        contents = list(images) if read else pictures.read_all(images, ranges)
        if "image_bytes" in binding.spec.inputs:
            given["image_bytes"] = contents
        else:
            given["image"] = brought_to_size(contents, binding, preprocessing)
    given |= variations.given(binding, len(given.get("image", given.get("image_bytes", ()))))
    if variations.n > 1:
        given |= {
            name: _repeated(given[name], variations.n) for name in ("image", "image_bytes", *HINTS) if name in given
        }
    if makes_clips(binding):
        return Request(given, binding.signature, ANIMATION)
    return Request(given, binding.signature, MULTIMODAL if is_multimodal(binding) else IMAGE_TO_IMAGE)


def is_multimodal(binding: Binding) -> bool:
    """Whether a model makes other pictures of the same one, by latents."""
    return "latents" in binding.spec.inputs or "seeds" in binding.spec.inputs


def _repeated(column: Any, times: int) -> Any:
    """Each example so many times in a row; what is one for all as it is."""
    if isinstance(column, list):
        return [example for example in column for _ in range(times)]
    shared = column is None or isinstance(column, bytes) or np.ndim(column) == 3
    return column if shared else np.repeat(np.asarray(column), times, axis=0)


def taken(
    images: Any,
    tile: bool,
    shape: tuple[int | None, ...] | None,
    ranges: ValueRanges | None = None,
    hints: Any = None,
) -> tuple[Any, Whole]:
    """What is sent of pictures, and what makes whole pictures of n variations to each of those: with `tile` of tiles.

    Raises:
        UsageError: see `cut`.
        ClientError: a picture cannot be read.
    """
    if not tile:
        return images, lambda made, n: made
    tiles = cut(images, shape, ranges, hints)
    return np.concatenate([each.pixels for each in tiles]), functools.partial(joined, tiles)


def cut(
    images: Any, shape: tuple[int | None, ...] | None, ranges: ValueRanges | None = None, hints: Any = None
) -> list[Tiles]:
    """Pictures in tiles of a model's size.

    Args:
        images: see `Pictures`; of one size.
        shape: (H, W, C) of the pictures that the model takes.
        ranges: what is black and white in pictures of 32 bits and of floats.
        hints: none: their places would be those of a tile.

    Raises:
        UsageError: the model takes any size, the pictures have several, or there are hints.
        ClientError: a picture cannot be read.
    """
    from genclient.images import pictures
    from genclient.images.arrays import flat
    from genclient.images.pixels import to_pixels
    from genclient.images.tiles import Tiles

    if hints is not None:
        raise UsageError("tile: found hints beside it, expected one of them")
    height, width, channels = shape or (None, None, None)
    if height is None or width is None:
        raise UsageError("tile: found a model that takes pictures of any size, expected one of a certain size")
    if are_files(images):
        arrays: Any = [flat(content, channels or 3) for content in pictures.read_all(images, ranges)]
    else:
        arrays = to_pixels(_array(images), "image")
    if len({array.shape for array in arrays}) > 1:
        raise UsageError("image: found pictures of several sizes, expected one; translate those of one size at a time")
    return [Tiles(array, (height, width)) for array in arrays]


def joined(cut: Sequence[Tiles], made: NDArray[np.uint8], n: int) -> NDArray[np.uint8]:
    """Whole pictures (N, H, W, C) of what a model made of their tiles, of each tile n in a row."""
    ends = np.cumsum([n * len(tiles.pixels) for tiles in cut])
    parts = np.split(made, ends[:-1])
    return np.stack([tiles.joined(part[k::n]) for tiles, part in zip(cut, parts, strict=True) for k in range(n)])


def brought_to_size(
    contents: Sequence[bytes], binding: Binding, preprocessing: Preprocessing | None = None
) -> NDArray[np.uint8]:
    """Files that `pictures.load` gave as uint8 (N, H, W, C) of the model's size.

    Raises:
        UsageError: the model takes any size, and they have several.
    """
    from genclient.images.prepare import prepared

    shape = (binding.spec.inputs["image"].shape or (None,) * 4)[1:]
    images = [prepared(content, shape, preprocessing) for content in contents]
    sizes = {image.shape[:2] for image in images}
    if len(sizes) > 1:
        raise UsageError(
            f"image: found pictures of {len(sizes)} sizes, expected one, since this model takes any; "
            "translate those of one size at a time"
        )
    return np.stack(images)


def _array(images: Any) -> NDArray[Any]:
    array = np.asarray(images)
    return array[None] if array.ndim == 3 else array
