"""How files keep pictures: size, the tables of JPEG, the quality of WebP; and what that does to another picture.

Real pictures from one place and generated ones from another were coded differently. A detector must not learn that,
and must not lose the fine traces of a generator either, which coding everything anew would wipe out. So `alike` takes
each picture through what pictures of the other class have been through. Where neither is coded nothing happens.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import IO, Any

import numpy as np
from PIL import Image, JpegImagePlugin

from gentrain.data.dataset import Source
from gentrain.detection import webp
from gentrain.sources.pictures import upright_size

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

SAMPLED = 400
"""Files of a source that are looked at."""

LARGEST_SCALE = 4
"""From this many times the side on, nothing of a file's coding is left once it is reduced."""

CORRECTIONS = 3  # of enlarged pictures
GRID = 16  # pixels of the coded units of JPEG, at most, and of WebP
NOT_KNOWN = ("AVIF", "HEIF", "JPEG2000", "GIF")  # these may lose something too, and files do not say what


@dataclass(frozen=True)
class Coding:
    """(width, height) of a picture in its file, upright, and what JPEG or lossy WebP loses, where it is one.

    `tables` are those for brightness and colour, of 64 numbers each, as Pillow has them; `subsampling` is its code.
    `quality` is that of WebP, 0 to 100, -1 where nothing is lost by it.
    `resized` is whether the way from that size to the detector's counts as a loss too.
    """

    size: tuple[int, int]
    tables: tuple[tuple[int, ...], ...] = ()
    subsampling: int = -1
    quality: int = -1
    resized: bool = False

    def leaves(self, side: int) -> bool:
        """Whether nothing of it is left in pictures of this side."""
        lossy = bool(self.tables) or self.quality >= 0
        return not self.resized and (not lossy or min(self.size) > LARGEST_SCALE * side)


Codings = tuple[Coding, ...]
"""Of pictures of one source; one of them at random stands for any picture."""


def of_files(source: Source) -> tuple[Codings, list[str]]:
    """Those of a source's files, none where it has no files; and lines for the user on what cannot be read of them."""
    found, unknown = [], Counter[str]()
    for file in source.files(SAMPLED) if source.files else ():
        try:
            coding, kind = _coding(file)
        except Exception:  # broken files are named where they are decoded
            continue
        unknown[kind] += kind in NOT_KNOWN
        found.append(coding)
    notes = [
        f"warning: {source.name}: {count} of {len(found)} files looked at are {kind}, whose loss cannot be evened out"
        for kind, count in unknown.items()
        if count
    ]
    return tuple(found), notes


def _coding(file: str | IO[bytes]) -> tuple[Coding, str]:
    size = upright_size(file)
    with Image.open(file) as image:
        kind = str(image.format)
        if isinstance(image, JpegImagePlugin.JpegImageFile):
            tables = tuple(tuple(image.quantization[number]) for number in sorted(image.quantization))
            return Coding(size, tables, JpegImagePlugin.get_sampling(image)), kind
        if kind == "WEBP":
            return Coding(size, quality=_webp_quality(file, image)), kind
    return Coding(size), kind


def _webp_quality(file: str | IO[bytes], image: Image.Image) -> int:
    with open(file, "rb") if isinstance(file, str) else nullcontext(file) as content:
        index = webp.quantiser(content)
    return -1 if index is None else webp.quality(image, index)


def compared(real: Codings, fake: Codings, side: int) -> Codings:
    """Those of generated pictures, `resized` where these are reduced to the side, and real ones are not.

    That real ones are reduced says nothing: so were those that the generator has learned from.
    """
    larger = [[min(coding.size) > side for coding in codings] for codings in (real, fake)]
    if sum(larger[0]) > len(real) / 2:
        return fake
    return tuple(replace(coding, resized=each) for coding, each in zip(fake, larger[1], strict=True))


def alike(images: Pixels, other: Codings, own: Codings, crop: str, rng: np.random.Generator) -> Pixels:
    """Uint8 (N, side, side, C), each through a coding of the other class, and then through one of either class.

    So pictures of both have been through one of each, and the last is of either: only the order of the first two
    differs. `crop` is how pictures were cut, as in `Frame`.
    """
    side = images.shape[1]
    if all(coding.leaves(side) for coding in (*other, *own)):
        return images
    return np.stack([_alike(image, other, own, crop, rng) for image in images])


def shared(real: Codings, fakes: Sequence[Codings], images: Pixels, crop: str, rng: np.random.Generator) -> Pixels:
    """Real pictures `alike` the generated ones: where these are of several kinds, they take turns."""
    made = images.copy()
    for number, codings in enumerate(fakes):
        made[number :: len(fakes)] = alike(images[number :: len(fakes)], codings, real, crop, rng)
    return made


def _alike(pixels: Pixels, other: Codings, own: Codings, crop: str, rng: np.random.Generator) -> Pixels:
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    for codings in (other, other if rng.random() < 0.5 else own):
        if codings:
            image = through(image, codings[int(rng.integers(len(codings)))], crop)
    return np.asarray(image, np.uint8).reshape(pixels.shape)


def through(image: Image.Image, coding: Coding, crop: str) -> Image.Image:
    """A square picture as it comes back from such a file, cut and reduced."""
    side, (width, height) = image.width, coding.size
    if coding.leaves(side):
        return image
    edge = max(width, height) if crop == "pad" else min(width, height)
    size = (width, height) if crop == "none" else (edge, edge)
    size = (min(max(size[0], side), LARGEST_SCALE * side), min(max(size[1], side), LARGEST_SCALE * side))
    if size != image.size:
        image = image.resize(size, Image.Resampling.BICUBIC) if coding.resized else _enlarged(image, size)
    if coding.tables or coding.quality >= 0:
        left, top = ((whole - edge) // 2 % GRID if crop != "none" else 0 for whole in (width, height))
        image = _coded(image, coding, left, top)
    return image if image.width == image.height == side else image.resize((side, side), Image.Resampling.LANCZOS)


def _enlarged(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """To what comes back as nearly the picture itself where it is reduced again."""
    bands = []
    for band in image.split():
        exact = np.asarray(band, np.float32)
        large = np.zeros(size[::-1], np.float32)
        for _ in range(1 + CORRECTIONS):
            back = np.asarray(Image.fromarray(large).resize(image.size, Image.Resampling.LANCZOS))
            large += np.asarray(Image.fromarray(exact - back).resize(size, Image.Resampling.BICUBIC))
        bands.append(Image.fromarray(np.clip(np.rint(large), 0, 255).astype(np.uint8)))
    return Image.merge(image.mode, bands)


def _coded(image: Image.Image, coding: Coding, left: int, top: int) -> Image.Image:
    """By a coder whose first block began so far to the left and above."""
    if left or top:
        pixels = np.asarray(image)
        image = Image.fromarray(np.pad(pixels, ((top, 0), (left, 0), (0, 0))[: pixels.ndim], "symmetric"))
    with io.BytesIO() as file:
        grey = image.mode == "L"
        if coding.quality >= 0:
            image.save(file, "WEBP", quality=coding.quality)
            return Image.open(file).convert(image.mode).crop((left, top, *image.size))
        sampling: dict[str, Any] = {} if grey or coding.subsampling < 0 else {"subsampling": coding.subsampling}
        image.save(file, "JPEG", qtables=list(coding.tables[: 1 if grey else 3]), **sampling)
        decoded = Image.open(file).convert(image.mode)
    return decoded.crop((left, top, *decoded.size))
