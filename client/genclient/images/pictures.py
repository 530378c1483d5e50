"""Picture files as a model takes them: which are meant, and their bytes, as JPEG or PNG. They are only read.

What becomes of the pixels (turned, laid on a background, cropped, resized) is in the model's graph alone. A file that
the graph would read differently than training did is given as a PNG of the same pixels, opacity and 16 bits included.
Pixels of 32 bits and floats become 8 bits here, by the range that training took.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import struct
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from genclient.errors import ClientError
from genclient.images.value_ranges import FLOATS, INTEGERS, ValueRanges, to_uint8

SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".webp", ".avif", ".heic", ".heif"),
    *(".tif", ".tiff", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"),
)
"""Files of a folder that are taken for pictures; a file that is named itself may have any."""

MOST_PIXELS = 89_478_485
"""A file that claims more is a decompression bomb, not a photograph (Pillow's own limit)."""

_ORIENTATION = 0x0112
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
_BITS_PER_SAMPLE, _SAMPLE_FORMAT = 258, 339  # tags of TIFF files
_START = 2**17  # where the graph looks for what a camera notes
_THREADS = min(8, os.cpu_count() or 1)  # Pillow lets go of Python's lock while it decodes


class _Unfit(Exception):
    """Why a picture is not taken, in words for the user."""


def find(places: Iterable[str]) -> Iterator[Path]:
    """The pictures that are meant: files as they are named, and those in folders at any depth, sorted; each once.

    Raises:
        ClientError: a place is not there or cannot be read, or a folder has no pictures.
    """
    seen: set[Path] = set()
    for place in places:
        path = Path(place)
        if not path.exists():
            raise ClientError(f"{place}: found no such file or folder, expected pictures")
        inside = list(_inside(path)) if path.is_dir() else [path]
        if not inside:
            raise ClientError(f"{place}: found no pictures in it, expected {', '.join(SUFFIXES)}")
        for file in inside:
            if file not in seen:
                seen.add(file)
                yield file


def load(paths: Iterable[Path | bytes], ranges: ValueRanges | None = None) -> list[bytes | str]:
    """Each picture as the bytes of a JPEG or PNG file, or what is wrong with it; `ranges` as for `portable`."""
    with ThreadPoolExecutor(_THREADS) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow refuses what is far too large; the rest can be read
        return list(pool.map(functools.partial(_read, ranges=ranges), paths))


class Checked(NamedTuple):
    """What is known of a picture that can be read: the SHA-256 of what is sent of it, and its size in pixels."""

    sha256: str
    width: int
    height: int


def check(files: Iterable[Path | bytes], ranges: ValueRanges | None = None) -> list[Checked | str]:
    """Whether pictures can be read; of each what is known of it, or what is wrong with it."""
    with ThreadPoolExecutor(_THREADS) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(pool.map(functools.partial(_checked, ranges=ranges), files))


def _checked(file: Path | bytes, ranges: ValueRanges | None) -> Checked | str:
    content = _read(file, ranges)
    if isinstance(content, str):
        return content
    with Image.open(io.BytesIO(content)) as picture:
        turned = picture.getexif().get(_ORIENTATION, 1) >= 5
        width, height = picture.size[::-1] if turned else picture.size
    return Checked(hashlib.sha256(content).hexdigest(), width, height)


def read_all(files: Sequence[bytes | str | PathLike[str]], ranges: ValueRanges | None = None) -> list[bytes]:
    """Pictures by their paths or contents as the bytes of JPEG or PNG files; `ranges` as for `portable`.

    Raises:
        ClientError: one cannot be read; the message says which.
    """
    contents = []
    for place, file in enumerate(files):
        content = _read(file, ranges)
        if isinstance(content, str):
            raise ClientError(f"{f'picture {place}' if isinstance(file, bytes) else os.fspath(file)}: {content}")
        contents.append(content)
    return contents


def portable(content: bytes, ranges: ValueRanges | None = None) -> bytes:
    """A picture file as a model's graph reads it like training did: as it is, or as a PNG of the same pixels.

    Args:
        content: of the file.
        ranges: what is black and white in pictures of 32 bits and of floats, of which none is taken without it.

    Raises:
        OSError, ValueError and others, as Pillow does: it is no picture, or damaged.
    """
    with Image.open(io.BytesIO(content), formats=_formats()) as picture:
        if picture.width * picture.height > MOST_PIXELS:
            raise _Unfit(f"{picture.width}×{picture.height} pixels are too many")
        picture.draft(None, (64, 64))  # a JPEG is only looked over
        picture.load()
        if _is_plain(content, picture):
            return content
    with Image.open(io.BytesIO(content), formats=_formats()) as picture:
        return _as_png(picture, ranges or {})


def _inside(folder: Path) -> Iterator[Path]:
    def failed(error: OSError) -> None:
        raise ClientError(f"cannot read {error.filename}: {error.strerror}")

    for parent, folders, files in os.walk(folder, onerror=failed):
        folders.sort()
        for name in sorted(files):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(parent) / name


@functools.cache
def _formats() -> tuple[str, ...]:
    """What is read: Pillow's formats, and HEIC where pillow-heif is installed."""
    Image.init()
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    return tuple(sorted(set(Image.ID) - {"EPS"}))  # reading EPS runs Ghostscript on the file


def _read(file: bytes | str | PathLike[str], ranges: ValueRanges | None = None) -> bytes | str:
    try:
        return portable(file if isinstance(file, bytes) else Path(file).read_bytes(), ranges)
    except UnidentifiedImageError:
        return "not a picture that can be read"
    except _Unfit as error:
        return str(error)
    except (OSError, Image.DecompressionBombError) as error:
        return getattr(error, "strerror", None) or str(error)
    except Exception as error:  # which ones a damaged file raises is not bounded
        return f"damaged: {error}"


def _is_plain(content: bytes, picture: Image.Image) -> bool:
    """Whether the graph reads it as Pillow does. Of the ways to say how a camera was held it knows one for each."""
    turned = False
    with contextlib.suppress(Exception):  # a broken note spoils no pixels
        turned = picture.getexif().get(_ORIENTATION, 1) != 1
    if content.startswith(_JPEG):
        return not turned or b"Exif\0\0" in content[:_START]
    return content.startswith(_PNG) and not turned


def _as_png(picture: Image.Image, ranges: ValueRanges) -> bytes:
    tile = getattr(picture, "tile", "")  # says it only before the picture is loaded
    deep_colour = picture.mode in ("RGB", "RGBA") and ";16" in str(tile)
    picture.load()
    upright = picture
    with contextlib.suppress(Exception):
        upright = ImageOps.exif_transpose(picture)
    if upright.mode == "F" or (upright.mode == "I" and (INTEGERS in ranges or picture.format == "TIFF")):
        upright = _eight_bits(upright, picture, ranges)
    if deep_colour:
        return _deep_png(np.asarray(upright))
    made = io.BytesIO()
    _storable(upright).save(made, "PNG", compress_level=1, exif=b"")
    return made.getvalue()


def _storable(picture: Image.Image) -> Image.Image:
    """The same pixels in a mode that PNG has; grey of 16 bits and opacity stay."""
    if picture.mode.startswith("I"):
        values = np.asarray(picture)
        if values.min() < 0 or values.max() > 65535:
            raise _Unfit(_unknown(INTEGERS))
        return Image.fromarray(values.astype(np.uint16))
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture if picture.mode in ("1", "L", "RGB") else picture.convert("RGB")


def _eight_bits(picture: Image.Image, opened: Image.Image, ranges: ValueRanges) -> Image.Image:
    """Grey of numbers, whose range is known; `opened` is the file that they came from."""
    kind, values = (FLOATS if picture.mode == "F" else INTEGERS), np.asarray(picture)
    tags = getattr(opened, "tag_v2", {})
    if kind == INTEGERS and tags.get(_SAMPLE_FORMAT, (1,)) in (1, (1,)) and tags.get(_BITS_PER_SAMPLE) in (32, (32,)):
        values = values.view(np.uint32)  # Pillow has only signed ones
    if kind not in ranges:
        raise _Unfit(_unknown(kind))
    if not np.isfinite(values).all():
        raise _Unfit("has values that are not finite")
    return Image.fromarray(to_uint8(values, *ranges[kind]))


def _unknown(kind: str) -> str:
    return (
        f"{kind} pixels: their range is unknown; --value-range LOW:HIGH says what is black and what is white, "
        "--value-range DATASET.JSON takes what training took"
    )


def _deep_png(pixels: NDArray[np.uint8]) -> bytes:
    """A PNG file of 16 bits a channel, of the upper 8 of colours (H, W, 3 or 4), which training brightened.

    Source: the PNG specification (w3.org/TR/png-3); Pillow writes none.
    """
    height, width, channels = pixels.shape
    rows = np.zeros((height, 1 + 2 * width * channels), np.uint8)
    rows[:, 1:] = np.repeat(pixels.reshape(height, -1), 2, axis=1)  # times 257
    head = struct.pack(">IIBBBBB", width, height, 16, {3: 2, 4: 6}[channels], 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 1)), (b"IEND", b""))
    chunks = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in parts)
    return _PNG + b"".join(chunks)
