"""From an image file, as people have them, to uint8 pixels of one size. Pillow and nothing else."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from gentrain.data import sizes
from gentrain.data.dataset import Frame, Pixels
from gentrain.data.sizes import Size
from gentrain.files import MARK
from gentrain.sources.values import DEEP_COLOUR, WHOLE, Extremes, Range, Ranges, extremes

GREY_MODES = {"1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N", "F"}
COMMON_FORMATS = ("JPEG", "PNG", "WEBP")
ALPHA_MODES = {"RGBA", "LA", "PA", "La", "RGBa"}

# Formats that begin with bytes of their own, so that a file of any name can be known by them.
KNOWN_BY_CONTENT = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF", "JPEG2000", "HEIF")

# Reading EPS runs Ghostscript on the file; of the others Pillow knows little more than the name.
NOT_READ = {"EPS", "BUFR", "GRIB", "HDF5", "MPEG", "WMF"}

# Large JPEG files are decoded at a half, a quarter or an eighth, never below this many times the requested side.
REDUCING_GAP = 3


SHEET_NOTES = {"seeds", "model"}

# Tags of TIFF files, and of EXIF.
ORIENTATION = 274
BITS_PER_SAMPLE, SAMPLE_FORMAT = 258, 339


class Header(NamedTuple):
    """What settles the frame of a data set: (width, height) in pixels, and whether the image is grey."""

    size: tuple[int, int]
    grey: bool


class Unfit(Exception):
    """Why an image is passed over, in words for the user."""


@cache
def _formats() -> tuple[str, ...]:
    """What is read: Pillow's formats, and HEIC where pillow-heif is installed."""
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
    Image.init()
    # Tried in this order, so that most files are known at once.
    return tuple(sorted(set(Image.ID) - NOT_READ, key=lambda name: (name not in COMMON_FORMATS, name)))


@cache
def suffixes() -> frozenset[str]:
    """Lower-case endings, with the dot, of files that Pillow may read."""
    formats = _formats()  # pillow-heif adds to what is registered
    return frozenset(ending.lower() for ending, name in Image.registered_extensions().items() if name in formats)


class _AnySize:
    """Inside, Pillow opens files of any size, in every thread; its limit is as it was once the last one has left.

    That limit lies before a JPEG is decoded at a part of its size; the one of `Frame` is checked after, see `_load`.
    """

    def __init__(self) -> None:
        self._lock, self._inside, self._limit = threading.Lock(), 0, Image.MAX_IMAGE_PIXELS

    def __enter__(self) -> None:
        with self._lock:
            if not self._inside:
                self._limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
            self._inside += 1

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside:
                Image.MAX_IMAGE_PIXELS = self._limit


_any_size = _AnySize()


def _opened(file: str | IO[bytes], formats: list[str] | tuple[str, ...]) -> Image.Image:
    with _any_size:
        return Image.open(file, formats=formats)


def sniff(file: str | IO[bytes]) -> bool:
    """Whether a file of any name begins as an image does; raises nearly anything where it does not."""
    with _opened(file, [name for name in KNOWN_BY_CONTENT if name in _formats()]):
        return True


def is_ours(file: str | IO[bytes]) -> bool:
    """Whether genline wrote it, an image grid or a report's picture; raises nearly anything on broken files."""
    with _opened(file, COMMON_FORMATS) as image:
        return bool(_ours(image))


def _ours(image: Image.Image) -> str:
    """What it is, if genline wrote it; the client's image grids say which seeds are on them."""
    return image.info.get(MARK) or ("an image grid of seeds" if image.info.keys() >= SHEET_NOTES else "")


def _open(file: str | IO[bytes]) -> Image.Image:
    image = _opened(file, _formats())
    if what := _ours(image):
        raise Unfit(f"{what}, written by genline")
    return image


def header(file: str | IO[bytes], frame: Frame) -> Header:
    """Size and colours of an image, or of a sheet's cells, from its header; raises nearly anything on broken files."""
    with _open(file) as image:
        mode = image.mode
        if mode == "P" and image.palette is not None and image.palette.mode == "L":
            mode = "L"
        size = image.size
        if frame.frames and frame.columns_and_rows and not is_animated(image):
            size = (size[0] // frame.columns_and_rows[0], size[1] // frame.columns_and_rows[1])
        grey = mode in GREY_MODES
        if grey and len(set(frame.background_rgb)) > 1:
            grey = not (mode in ALPHA_MODES or "transparency" in image.info)
        return Header(size, grey)


def upright_size(file: str | IO[bytes]) -> tuple[int, int]:
    """(width, height) as the picture is looked at, without decoding it; raises nearly anything on broken files."""
    with _open(file) as image:
        return (image.height, image.width) if _lies_on_its_side(image) else image.size


def _lies_on_its_side(image: Image.Image) -> bool:
    return "exif" in image.info and image.getexif().get(ORIENTATION, 1) in range(5, 9)


def halves(file: str | IO[bytes], frame: Frame) -> tuple[IO[bytes], IO[bytes]]:
    """The left and the right half of a picture, each as a file of its own.

    Raises:
        Unfit: it is not at least twice as wide as high, or its width is odd; else nearly anything on broken files.
    """
    with _open(file) as opened:
        _load(opened, frame)
        image = ImageOps.exif_transpose(opened)
        width, height = image.size
        if width % 2 or width < 2 * height:
            raise Unfit(f"{width}×{height} pixels, expected two pictures side by side, twice as wide as high or wider")
        left, right = io.BytesIO(), io.BytesIO()
        for half, start in ((left, 0), (right, width // 2)):
            image.crop((start, 0, start + width // 2, height)).save(half, "TIFF")
        return left, right


def fitted(file: str | IO[bytes], frame: Frame, size: Size, channels: int, ranges: Ranges | None = None) -> Pixels:
    """The first frame of an image as uint8 (H, W, channels): upright, opaque, cropped, antialiased.

    Grey, RGB, palette, CMYK and 16-bit images are taken, and floats; embedded colour profiles are not applied. Raises
    nearly anything on broken files; `reason` puts it into words.
    """
    with _open(file) as opened:
        kind = _deep(opened)  # no longer known once it is loaded
        _load(opened, frame, size)
        if ranges is not None and kind == DEEP_COLOUR:
            _brighten(opened, file, ranges.of(DEEP_COLOUR))
        image: Image.Image = opened
        with contextlib.suppress(Exception):  # a broken note on how the camera was held spoils no pixels
            image = ImageOps.exif_transpose(opened)
        return to_size(_flat(image, opened, kind, frame.background_rgb, ranges), size, channels, frame)


def whole(file: str | IO[bytes], frame: Frame) -> Image.Image:
    """The first frame of an image in its full size, upright and opaque; raises nearly anything on broken files."""
    with _open(file) as opened:
        kind = _deep(opened)
        _load(opened, frame)
        image: Image.Image = opened
        with contextlib.suppress(Exception):
            image = ImageOps.exif_transpose(opened)
        return _flat(image, opened, kind, frame.background_rgb, None).copy()


def animation(file: str | IO[bytes], frame: Frame, side: int, channels: int) -> Iterator[tuple[Pixels, float]]:
    """Every frame of an animated picture, as `fitted` has it, and how many milliseconds it says that it is shown.

    Raises:
        Unfit: it has a single frame; else nearly anything on broken files.
    """
    with _open(file) as image:
        if not is_animated(image):
            raise Unfit("a single picture, no clip")
        for opened in ImageSequence.Iterator(image):
            _load(opened, frame)
            pixels = to_size(_flat(opened, opened, None, frame.background_rgb, None), side, channels, frame)
            yield pixels, float(opened.info.get("duration") or 0)


def cells(file: str | IO[bytes], frame: Frame, side: int, channels: int) -> Iterator[Pixels]:
    """The cells of a sprite sheet in reading order, as `fitted` has them; empty ones at the end are left out.

    Raises:
        Unfit: its sides do not divide; else nearly anything on broken files.
    """
    columns, rows = frame.columns_and_rows or (1, 1)
    with _open(file) as opened:
        kind = _deep(opened)
        _load(opened, frame)
        width, height = opened.size
        if width % columns or height % rows:
            raise Unfit(f"{width}×{height} pixels do not divide into {columns}×{rows} cells")
        wide, high = width // columns, height // rows
        corners = [(column * wide, row * high) for row in range(rows) for column in range(columns)]
        parts = [opened.crop((left, top, left + wide, top + high)) for left, top in corners]
        while len(parts) > 1 and _is_empty(parts[-1]):
            parts.pop()
        for part in parts:
            yield to_size(_flat(part, opened, kind, frame.background_rgb, None), side, channels, frame)


def _is_empty(image: Image.Image) -> bool:
    """Whether it is transparent all over."""
    if "transparency" not in image.info and image.mode not in ALPHA_MODES:
        return False
    return image.convert("RGBA").getchannel("A").getextrema() == (0, 0)


def is_animated(image: str | IO[bytes] | Image.Image) -> bool:
    """Whether a picture has several frames; raises nearly anything on broken files."""
    if isinstance(image, Image.Image):
        return bool(getattr(image, "n_frames", 1) > 1)
    with _open(image) as opened:
        return is_animated(opened)


def deep_extremes(file: str | IO[bytes], frame: Frame) -> tuple[str, Extremes] | None:
    """The kind and the least and greatest value of an image of more than 8 bits; None for any other."""
    with _open(file) as image:
        kind = _deep(image)
        if kind is None:
            return None
        _load(image, frame)
        if kind != DEEP_COLOUR:
            return kind, extremes(_values(image, image))
        least, most, _ = extremes(np.asarray(image)[..., :3])  # Pillow has the upper 8 bits
        return kind, Extremes(256 * least, 256 * most + 255, True)


def _brighten(image: Image.Image, file: str | IO[bytes], range: Range) -> None:
    """Put colours of 16 bits that hold fewer into a loaded image; of PNG all bits count, of others the upper 8."""
    pixels = np.asarray(image)
    if tuple(range) == tuple(WHOLE[DEEP_COLOUR]):
        return
    colours = pixels[..., :3].astype(np.uint16) * 257
    if image.format == "PNG":
        colours = _sixteen_bits(Path(file).read_bytes() if isinstance(file, str) else _all(file))
    image.paste(Image.fromarray(np.dstack([range.to_uint8(colours), pixels[..., 3:]])))


def _all(file: IO[bytes]) -> bytes:
    file.seek(0)
    return file.read()


def _sixteen_bits(png: bytes) -> np.ndarray[Any, Any]:
    """Uint16 (H, W, 3) of a PNG file; Pillow gives 8 bits of them."""
    from gentrain import quiet

    quiet.import_tensorflow()
    import tensorflow as tf

    return tf.io.decode_png(png, channels=4, dtype=tf.uint16).numpy()[..., :3]


def _load(image: Image.Image, frame: Frame, size: Size | None = None) -> None:
    """Decode the pixels, of a JPEG no more than this size needs; raises Unfit for more than may be."""
    whole = image.size
    if size:
        height, width = sizes.both(size)
        if height != width and _lies_on_its_side(image):
            height, width = width, height
        image.draft(None, (REDUCING_GAP * width, REDUCING_GAP * height))
    held = whole if "progressive" in image.info else image.size
    megapixels = held[0] * held[1] / 1e6
    if megapixels > frame.max_megapixels:
        raise Unfit(
            f"{whole[0]}×{whole[1]} pixels are too many: {megapixels:.3g} megapixels to decode, "
            f"max_megapixels is {frame.max_megapixels:g}"
        )
    image.load()


def to_size(image: Image.Image, size: Size, channels: int, frame: Frame) -> Pixels:
    """Bring to the proportions as `frame.crop` says, and resize with antialiasing, to uint8 (H, W, channels)."""
    height, width = sizes.both(size)
    image = image.convert("RGB" if channels == 3 else "L")
    if frame.crop == "pad":
        image = _padded(image, (height, width), frame.background_rgb)
    if image.size != (width, height):
        wide, high = sizes.kept(image.size, (height, width))
        left, top = (image.width - wide) // 2, (image.height - high) // 2
        box = (left, top, left + wide, top + high) if frame.crop == "center" else None
        image = image.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=float(REDUCING_GAP))
    return np.asarray(image, np.uint8).reshape(height, width, channels)


def _padded(image: Image.Image, target: tuple[int, int], background: tuple[int, int, int]) -> Image.Image:
    """The image in the middle of the smallest one of the proportions that holds it."""
    wide, high = sizes.around(image.size, target)
    canvas = Image.new("RGB", (wide, high), background).convert(image.mode)
    canvas.paste(image, ((wide - image.width) // 2, (high - image.height) // 2))
    return canvas


def _flat(
    image: Image.Image, opened: Image.Image, kind: str | None, background: tuple[int, int, int], ranges: Ranges | None
) -> Image.Image:
    """Without transparency, 8 bits a channel."""
    if kind and kind != DEEP_COLOUR:
        range = ranges.of(kind) if ranges else WHOLE[kind]
        return Image.fromarray(range.to_uint8(_values(image, opened)))
    if "transparency" in image.info or image.mode in ALPHA_MODES:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image)
    return image


def _deep(image: Image.Image) -> str | None:
    """The kind of an image of more than 8 bits, as a user would name it; None for any other."""
    if image.mode.startswith("I;16"):
        return "16-bit"
    if image.mode in ("RGB", "RGBA") and ";16" in str(getattr(image, "tile", "")):
        return DEEP_COLOUR
    return {"I": "32-bit", "F": "floating point"}.get(image.mode)


def _values(image: Image.Image, opened: Image.Image) -> np.ndarray[Any, Any]:
    """The numbers (H, W) of a deep image; `opened` is the file that it came from.

    Raises:
        Unfit: some of them are no numbers.
    """
    values = np.asarray(image)
    if values.dtype == np.int32 and _is_unsigned(opened):
        values = values.view(np.uint32)
    if values.dtype.kind == "f" and not np.isfinite(values).all():
        raise Unfit("has values that are not finite")
    return values


def _is_unsigned(image: Image.Image) -> bool:
    """Whether a TIFF file says that its 32 bits are unsigned; Pillow has only signed ones."""
    tags = getattr(image, "tag_v2", {})
    return tags.get(SAMPLE_FORMAT, (1,)) in (1, (1,)) and tags.get(BITS_PER_SAMPLE) in (32, (32,))


def reason(error: Exception) -> str:
    """Why an image is passed over, from whatever Pillow raised."""
    if isinstance(error, UnidentifiedImageError):
        return "not an image that Pillow can read"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return shown(str(error).splitlines()[0]) if str(error) else type(error).__name__


def shown(name: str | Path) -> str:
    """A name that can be printed and stored, whatever bytes the file system holds."""
    text = os.fspath(name)
    with contextlib.suppress(UnicodeEncodeError):  # half a surrogate pair, which no file system gives
        text = os.fsencode(text).decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
