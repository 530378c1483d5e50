"""From picture files to pixels of one size, as a critic takes them: uint8 (N, H, W, C). Files are only read here."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from genclient.errors import ClientError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
"""Files of a folder that are taken for pictures; a file that is named itself may have any."""

FITS = ("crop", "pad", "stretch")

_MODES = {1: "L", 3: "RGB", 4: "RGBA"}
_THREADS = min(8, os.cpu_count() or 1)  # Pillow lets go of Python's lock while it decodes and resizes


@dataclass(frozen=True)
class Frame:
    """What a picture becomes: (H, W, C), and how, when its sides are of other proportions.

    `crop` takes the middle, as gentrain does by default; `pad` adds white; `stretch` distorts. Transparent pictures lie
    on white, unless C is 4.
    """

    height: int
    width: int
    channels: int
    fit: str = "crop"


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


def load(paths: Iterable[Path], frame: Frame) -> Iterator[tuple[Path, NDArray[np.uint8] | str]]:
    """Each picture as uint8 (H, W, C), or what is wrong with it; a few are read ahead."""
    with ThreadPoolExecutor(_THREADS) as pool:
        yield from pool.map(lambda path: (path, _load(path, frame)), paths)


def _inside(folder: Path) -> Iterator[Path]:
    def failed(error: OSError) -> None:
        raise ClientError(f"cannot read {error.filename}: {error.strerror}")

    for parent, folders, files in os.walk(folder, onerror=failed):
        folders.sort()
        for name in sorted(files):
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                yield Path(parent) / name


def _load(path: Path, frame: Frame) -> NDArray[np.uint8] | str:
    try:
        with warnings.catch_warnings(), Image.open(path) as picture:
            warnings.simplefilter("ignore")  # Pillow refuses what is far too large; the rest can be read
            return _framed(ImageOps.exif_transpose(picture), frame)
    except UnidentifiedImageError:
        return "not a picture that can be read"
    except (OSError, Image.DecompressionBombError) as error:
        return getattr(error, "strerror", None) or str(error)
    except Exception as error:  # which ones a damaged file raises is not bounded
        return f"damaged: {error}"


def _framed(picture: Image.Image, frame: Frame) -> NDArray[np.uint8]:
    size = (frame.width, frame.height)
    coloured = _coloured(picture, _MODES[frame.channels])
    if frame.fit == "crop":
        fitted = _middle(coloured, frame).resize(size, Image.Resampling.LANCZOS)
    elif frame.fit == "pad":
        colour = tuple([255] * len(coloured.getbands()))
        fitted = ImageOps.pad(coloured, size, Image.Resampling.LANCZOS, color=colour if len(colour) > 1 else 255)
    else:
        fitted = coloured.resize(size, Image.Resampling.LANCZOS)
    return np.asarray(fitted, np.uint8).reshape(frame.height, frame.width, frame.channels)


def _middle(picture: Image.Image, frame: Frame) -> Image.Image:
    """The largest middle part of the wanted proportions, cut out first: what lies beside it must not shine through."""
    high = min(picture.height, max(1, picture.width * frame.height // frame.width))
    wide = min(picture.width, max(1, picture.height * frame.width // frame.height))
    left, top = (picture.width - wide) // 2, (picture.height - high) // 2
    return picture.crop((left, top, left + wide, top + high))


def _coloured(picture: Image.Image, mode: str) -> Image.Image:
    if picture.mode.startswith("I;16") or picture.mode in ("I", "F"):
        picture = _bytes(picture)
    if mode == "RGBA" or not picture.has_transparency_data:
        return picture.convert(mode)
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert(mode)


def _bytes(picture: Image.Image) -> Image.Image:
    """A grey picture of more than 8 bits, as 8; Pillow would cut such values off at 255."""
    values = np.asarray(picture, np.float32)
    most = 65535.0 if values.max(initial=0) > 255 else 255.0
    return Image.fromarray(np.clip(np.rint(values * (255.0 / most)), 0, 255).astype(np.uint8))
