"""Picture files as a discriminator takes them: which are meant, and their bytes, as JPEG or PNG. They are only read.

What becomes of the pixels (turned, laid on a background, cropped, resized) is in the discriminator's graph alone. A
file that the graph would read differently than training did is given as a PNG of the same pixels, opacity and 16 bits
included.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import warnings
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from genclient.errors import ClientError

SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jfif", ".gif", ".bmp", ".webp", ".avif", ".heic", ".heif"),
    *(".tif", ".tiff", ".jp2", ".ppm", ".pgm", ".pbm", ".pnm", ".tga"),
)
"""Files of a folder that are taken for pictures; a file that is named itself may have any."""

MOST_PIXELS = 89_478_485
"""A file that claims more is a decompression bomb, not a photograph (Pillow's own limit)."""

_ORIENTATION = 0x0112
_PNG, _JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
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


def load(paths: Iterable[Path]) -> list[bytes | str]:
    """Each picture as the bytes of a JPEG or PNG file, or what is wrong with it."""
    with ThreadPoolExecutor(_THREADS) as pool, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow refuses what is far too large; the rest can be read
        return list(pool.map(_read, paths))


def read_all(files: Sequence[bytes | str | PathLike[str]]) -> list[bytes]:
    """Pictures by their paths or contents as the bytes of JPEG or PNG files.

    Raises:
        ClientError: one cannot be read; the message says which.
    """
    found = []
    for place, file in enumerate(files):
        content = _read(file)
        if isinstance(content, str):
            raise ClientError(f"{f'picture {place}' if isinstance(file, bytes) else os.fspath(file)}: {content}")
        found.append(content)
    return found


def portable(content: bytes) -> bytes:
    """A picture file as a discriminator's graph reads it like training did: as it is, or as a PNG of the same pixels.

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
        return _as_png(picture)


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


def _read(file: bytes | str | PathLike[str]) -> bytes | str:
    try:
        return portable(file if isinstance(file, bytes) else Path(file).read_bytes())
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


def _as_png(picture: Image.Image) -> bytes:
    picture.load()
    upright = picture
    with contextlib.suppress(Exception):
        upright = ImageOps.exif_transpose(picture)
    made = io.BytesIO()
    _storable(upright).save(made, "PNG", compress_level=1, exif=b"")
    return made.getvalue()


def _storable(picture: Image.Image) -> Image.Image:
    """The same pixels in a mode that PNG has; grey of 16 bits and opacity stay."""
    if picture.mode == "F":
        raise _Unfit("floating point pixels: their range is unknown")
    if picture.mode.startswith("I"):
        values = np.asarray(picture)
        if values.min() < 0 or values.max() > 65535:
            raise _Unfit("32-bit pixels: their range is unknown")
        return Image.fromarray(values.astype(np.uint16))
    if picture.has_transparency_data:
        return picture.convert("RGBA")
    return picture if picture.mode in ("1", "L", "RGB") else picture.convert("RGB")
