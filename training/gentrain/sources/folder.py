"""A folder of images: sub-folders are classes, broken files are skipped and named.

Two passes: headers first, which settle the size and the channels, then pixels.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from gentrain.dataset import Dataset, Frame, Skipped, to_square
from gentrain.errors import TrainError

GREY_MODES = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L"}
BACKGROUND = (255, 255, 255)

# A file that claims more pixels than this is a decompression bomb, not a photograph (Pillow's own limit).
LARGEST_IMAGE_PIXELS = 89_478_485


def read(path: str, frame: Frame) -> Dataset:
    """Read every image under `path`, cropped and resized to the frame.

    Grey, RGB, transparent (laid on white), palette, CMYK and 16-bit images of any size are taken; grey if all of them
    are grey. A first-level sub-folder is a class, whatever its depth below; images both in the folder itself and in
    sub-folders make a data set without classes, and a note says so.

    Raises:
        TrainError: `path` is no readable folder, holds no images, or more than half of them are broken.
    """
    root = Path(path)
    files = find_images(root)
    if not files:
        raise TrainError(f"{path}: no images found (looked for {', '.join(sorted(_common_suffixes()))})")

    headers: dict[Path, tuple[tuple[int, int], str]] = {}
    skipped: dict[Path, str] = {}
    for file in files:
        try:
            headers[file] = _header(file)
        except Exception as error:  # Pillow's plugins raise nearly anything on broken files
            skipped[file] = _reason(error)
    _refuse_if_mostly_broken(root, len(files), skipped)

    side = frame.side({size for size, _ in headers.values()})
    channels = frame.channels or (1 if all(mode in GREY_MODES for _, mode in headers.values()) else 3)

    def decode(file: Path) -> np.ndarray[Any, np.dtype[np.uint8]] | str:
        try:
            return to_square(_flat(file), side, channels)
        except Exception as error:
            return _reason(error)

    kept: list[Path] = []
    squares: list[np.ndarray[Any, np.dtype[np.uint8]]] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, result in zip(headers, pool.map(decode, headers), strict=True):
            if isinstance(result, str):
                skipped[file] = result
            else:
                kept.append(file)
                squares.append(result)
    _refuse_if_mostly_broken(root, len(files), skipped)

    class_names, notes = _classes(root, files)
    labels = None
    if class_names:
        index = {name: i for i, name in enumerate(class_names)}
        labels = np.array([index[_shown(Path(file.relative_to(root).parts[0]))] for file in kept], np.int32)
    passed_over = tuple(Skipped(_shown(file.relative_to(root)), reason) for file, reason in sorted(skipped.items()))
    return Dataset(path, np.stack(squares), labels, class_names, passed_over, notes)


def find_images(root: Path) -> list[Path]:
    """Files under `root` with an image's ending, sorted, links followed but never twice, hidden names left out.

    Raises:
        TrainError: `root` or a folder in it is missing or cannot be read.
    """
    if not root.exists():
        raise TrainError(f"{_shown(root)}: no such data source: neither a known name nor a folder")
    if not root.is_dir():
        raise TrainError(f"{_shown(root)}: not a folder of images")
    suffixes = {suffix.lower() for suffix in Image.registered_extensions()}
    return sorted(file for file in _walk(root, set()) if file.suffix.lower() in suffixes)


def _walk(folder: Path, seen: set[tuple[int, int]]) -> Iterator[Path]:
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise TrainError(f"{_shown(folder)}: cannot be read: {error.strerror}") from error
    if (status.st_dev, status.st_ino) in seen:
        return
    seen.add((status.st_dev, status.st_ino))
    for entry in entries:
        if entry.name.startswith((".", "__MACOSX")):
            continue
        if entry.is_dir():
            yield from _walk(Path(entry.path), seen)
        else:
            yield Path(entry.path)


def _common_suffixes() -> set[str]:
    return {".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff"}


def _open(file: Path) -> Image.Image:
    if file.stat().st_size == 0:
        raise UnidentifiedImageError("empty file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = Image.open(file)
    if image.width * image.height > LARGEST_IMAGE_PIXELS:
        raise UnidentifiedImageError(f"{image.width}×{image.height} pixels are too many")
    return image


def _header(file: Path) -> tuple[tuple[int, int], str]:
    with _open(file) as image:
        mode = image.mode
        if mode == "P" and (image.palette is None or image.palette.mode != "L"):
            mode = "RGB"
        return image.size, mode


def _flat(file: Path) -> Image.Image:
    """The first frame, upright, without transparency, 8 bits a channel."""
    with _open(file) as opened:
        opened.load()
        image = ImageOps.exif_transpose(opened)
    if image.mode.startswith("I"):
        return Image.fromarray(_sixteen_to_eight_bits(np.asarray(image)))
    if image.mode == "F":
        raise UnidentifiedImageError("floating point pixels: their range is unknown")
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "La", "RGBa"):
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (*BACKGROUND, 255)), image)
    return image


def _sixteen_to_eight_bits(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.uint8]]:
    if pixels.min() < 0 or pixels.max() > 65535:
        raise UnidentifiedImageError("32-bit pixels: their range is unknown")
    return np.rint(pixels.astype(np.float32) / 257.0).astype(np.uint8)


def _classes(root: Path, files: list[Path]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the classes, from every image found, so that a broken one shifts no label; and notes."""
    parts = [file.relative_to(root).parts for file in files]
    names = sorted({p[0] for p in parts if len(p) > 1}, key=os.fsencode)
    loose = sum(len(p) == 1 for p in parts)
    if names and loose:
        return (), (f"{loose} images lie beside the sub-folders, so these are not taken as classes",)
    return tuple(_shown(Path(name)) for name in names), ()


def _refuse_if_mostly_broken(root: Path, count: int, skipped: dict[Path, str]) -> None:
    if 2 * len(skipped) > count:
        file, reason = min(skipped.items())
        example = f"{_shown(file.relative_to(root))}: {reason}"
        raise TrainError(f"{_shown(root)}: {len(skipped)} of {count} images are broken, for one {example}")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError) and "cannot identify" in str(error):
        return "not an image that Pillow can read"
    if isinstance(error, Image.DecompressionBombError):
        return "too many pixels"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _shown(path: Path) -> str:
    """A name that can be printed and stored, whatever bytes the file system holds."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
