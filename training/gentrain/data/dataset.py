"""What passes from the sources to the networks: how to decode images, a source before it is read, a data set after.

Sources decode, `cache` keeps what they decoded, `stream` draws batches; nothing here opens a file.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import IO, Any, Protocol

import numpy as np
from PIL import ImageColor

from gentrain.data import sizes
from gentrain.errors import UsageError

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Labels = np.ndarray[Any, np.dtype[np.int32]]
Indices = np.ndarray[Any, np.dtype[np.int64]]
Columns = Mapping[str, np.ndarray[Any, Any]]
"""Named arrays (N, …), each with an entry for every image."""

CROPS = ("center", "none", "pad")
ONLY_SQUARES = "rectangles are for latents and classes; translations, styles, words and clips are square"

# What an input can be made of, where there are no pairs: see gentrain.sources.prepared.
INPUTS = ("", "outline", "grey", "blur", "small", "mask")
SIDES = ("left", "right")

FEWEST_FRAMES, MOST_FRAMES, MOST_FPS = 2, 64, 120
SHORT = ("loop", "skip")

# cat.0.jpg, cat_001.png and `cat (3).jpg` are of the class cat.
NAME_AND_NUMBER = r"^(.*?[^\W\d_])[\W_]*\d+[\W_]*\.[^.]*$"

HEIF_ENDINGS = (".heic", ".heif", ".hif")

# A picture that claims more is taken for a decompression bomb (Pillow's own limit).
MAX_MEGAPIXELS = 89.5

# With fewer images, in all or of a class, a training memorises them; a warning says so.
FEW_IMAGES, FEW_OF_A_CLASS = 100, 10

# So many classes or endings are named in one line.
MOST_NAMED = 8


@dataclass(frozen=True)
class Frame:
    """Which images to decode, and how.

    Attributes:
        resolution: the side of squares in pixels, a multiple of 4 from 8 to 256; images that are all square and of one
            size up to it stay as they are. Or `WIDTHxHEIGHT`, two such: exactly that, of any images.
        channels: 1, 3, or 0 for what the images have.
        crop: `center` takes the largest part in the middle that has the proportions; `pad` all of the image, in the
            middle of the background; `none` all of it, and gives up its aspect.
        background: what lies under transparent pixels and around padded images: a name that Pillow knows, or #rrggbb.
        value_range: `LOW:HIGH`, which numbers become black and white in images of more than 8 bits a channel; empty
            for what fits all of them.
        split: of data with splits the one that is taken; `all` for every one.
        labels: where classes come from: `auto`, `folders`, `from-name`, `from-name:PATTERN`, `none`, or a column of the
            metadata.
        max_megapixels: larger images are skipped.
        input_from: what the inputs of a translation are made of: a preparation of each image; empty for pairs.
        input_side: of pairs side by side in one file, the half that is the input.
        style: the source of the pictures that others are to look like, where there are no pairs.
        captions: where texts come from: `auto`, `classes` for the names of classes, or a column of the metadata; empty
            where none are to be read.
        frames: of a clip; 0 for pictures that stand still.
        fps: frames a second that clips are cut at; 0 for every frame that a file has.
        short: what is done with a file of fewer frames than a clip has: `loop` or `skip`.
        cells: of clips whose frames are the cells of one picture, a sprite sheet: COLUMNSxROWS; empty where none are.

    Raises:
        UsageError: a value outside its range.
    """

    resolution: int | str
    channels: int = 0
    crop: str = "center"
    background: str = "white"
    value_range: str = ""
    split: str = "train"
    labels: str = "auto"
    max_megapixels: float = MAX_MEGAPIXELS
    input_from: str = ""
    input_side: str = "left"
    style: str = ""
    captions: str = ""
    frames: int = 0
    fps: float = 12.0
    short: str = "loop"
    cells: str = ""

    def __post_init__(self) -> None:
        """Refuse what no image can be brought to."""
        if not self.is_square and (self.frames or self.input_from or self.style or self.captions):
            raise UsageError(f"resolution {self.resolution}: {ONLY_SQUARES}")
        if self.channels not in (0, 1, 3):
            raise UsageError(f"channels must be 1, 3, or 0 for what the images have, got {self.channels}")
        if self.crop not in CROPS:
            raise UsageError(f"crop must be one of {', '.join(CROPS)}, got {self.crop!r}")
        if not 0 < self.max_megapixels < math.inf:
            raise UsageError(f"max_megapixels must be above 0, got {self.max_megapixels:g}")
        if self.input_from not in INPUTS:
            raise UsageError(f"--from (input_from) must be one of {', '.join(INPUTS[1:])}, got {self.input_from!r}")
        if self.input_side not in SIDES:
            raise UsageError(f"--side (input_side) must be {' or '.join(SIDES)}, got {self.input_side!r}")
        if self.frames and not FEWEST_FRAMES <= self.frames <= MOST_FRAMES:
            raise UsageError(f"frames must be from {FEWEST_FRAMES} to {MOST_FRAMES}, or 0, got {self.frames}")
        if self.frames and (self.input_from or self.style or self.captions):
            raise UsageError("--frames cuts clips; inputs made of images, styles and captions are for pictures")
        if not 0 <= self.fps <= MOST_FPS:
            raise UsageError(f"fps must be from 0 to {MOST_FPS}, got {self.fps:g}")
        if self.short not in SHORT:
            raise UsageError(f"short must be {' or '.join(SHORT)}, got {self.short!r}")
        # These raise for what cannot be.
        self.background_rgb, self.low_and_high, self.name_pattern, self.columns_and_rows  # noqa: B018

    @cached_property
    def background_rgb(self) -> tuple[int, int, int]:
        """The background as (red, green, blue) from 0 to 255."""
        try:
            red, green, blue, *alpha = ImageColor.getrgb(self.background)
            if alpha:
                raise ValueError("transparent itself")
        except ValueError:
            raise UsageError(f"background must be the name of a colour or #rrggbb, got {self.background!r}") from None
        return red, green, blue

    @cached_property
    def low_and_high(self) -> tuple[float, float] | None:
        """The numbers of `value_range`; None where it is left open."""
        if not self.value_range:
            return None
        try:
            low, high = map(float, self.value_range.split(":"))
            if not (math.isfinite(low) and math.isfinite(high) and low < high):
                raise ValueError("no range")
        except ValueError:
            raise UsageError(
                f"value_range must be LOW:HIGH, two numbers such as 0:4095, got {self.value_range!r}"
            ) from None
        return low, high

    @cached_property
    def columns_and_rows(self) -> tuple[int, int] | None:
        """The numbers of `cells`; None where there are none."""
        if not self.cells:
            return None
        found = re.fullmatch(r"([1-9]\d{0,2})x([1-9]\d{0,2})", self.cells.lower().replace("×", "x"))
        if found is None or self.cells.lower() == "1x1":
            raise UsageError(f"cells must be COLUMNSxROWS of a sprite sheet, such as 4x4, got {self.cells!r}")
        return int(found[1]), int(found[2])

    @cached_property
    def name_pattern(self) -> re.Pattern[str] | None:
        """What finds the class in a file's name, as its only group; None unless `labels` says so."""
        how, _, pattern = self.labels.partition(":")
        if how != "from-name":
            return None
        try:
            compiled = re.compile(pattern or NAME_AND_NUMBER)
        except re.error as error:
            raise UsageError(f"labels: {pattern} is no regular expression: {error}") from None
        if compiled.groups != 1:
            raise UsageError(f"labels: {pattern} needs one pair of brackets, around the class, as in ([a-z]+)_")
        return compiled

    @cached_property
    def largest(self) -> tuple[int, int]:
        """(height, width) of the resolution."""
        return sizes.requested(self.resolution)

    @property
    def is_square(self) -> bool:
        """Whether the images become squares."""
        return self.largest[0] == self.largest[1]


@dataclass(frozen=True)
class Skipped:
    """A file that was passed over, and why."""

    file: str
    reason: str


@dataclass(frozen=True, eq=False)
class Contents:
    """What a source gives beside the pixels; labels int32 (N,) are indices into `class_names`.

    `classes_from` says where these come from, `left_out` how many files of which ending were no images, and `split`
    what was taken of data with splits; `value_ranges` what values images of more than 8 bits have, by their kind, and
    which became black and white: {"16-bit images": {"found": [0, 4080], "taken": [0, 4095]}}. `columns` is
    whatever else a source knows of each image, for a condition to take.
    """

    labels: Labels | None = None
    class_names: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    classes_from: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)
    split: str = ""
    value_ranges: Mapping[str, Any] = field(default_factory=dict)
    columns: Columns = field(default_factory=dict)


class Append(Protocol):
    """Takes the next images, uint8 (n, H, W, channels); a source calls it as often as it likes, always one shape.

    What belongs to them pixel by pixel comes along under its name, in the same order: `append(targets, image=inputs)`.
    """

    def __call__(self, images: Pixels, /, **beside: Pixels) -> None:
        """Take them."""


Show = Callable[[int, int | None], None]
"""Called now and then with the number of images decoded, and of all there are (None where that is not known yet)."""


@dataclass(frozen=True)
class Source:
    """Images found but not yet decoded.

    Attributes:
        name: fit to be printed and stored.
        identity: differs whenever the decoded images might.
        decode: gives all images to `Append` in an order that is always the same, and returns what else there is.
        files: opens as many files at most, from all over it, as they are stored; None where images are no files.
    """

    name: str
    identity: str
    decode: Callable[[Frame, Append, Show], Contents]
    files: Callable[[int], Iterator[str | IO[bytes]]] | None = None


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images uint8 (N, H, W, C), in memory or mapped from the cache, and, where they have classes, labels int32 (N,).

    `labels` are indices into `class_names`. `first_alike` int64 (N,) has for each image the first one of the very same
    pixels; None where all differ. `grey_in_colour` is whether none has a colour, though nobody requested three
    channels. `inputs` are, of a translation without pairs, the pictures that are to look like these: a data set of its
    own, with examples of its own. Of clips `images` are uint8 (N, T, H, W, C), and where several are cut from a file a
    column `origin` says which. The rest is as in `Contents`.
    """

    source: str
    images: Pixels
    labels: Labels | None = None
    class_names: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    notes: tuple[str, ...] = ()
    classes_from: str = ""
    left_out: Mapping[str, int] = field(default_factory=dict)
    split: str = ""
    value_ranges: Mapping[str, Any] = field(default_factory=dict)
    first_alike: Indices | None = None
    grey_in_colour: bool = False
    columns: Columns = field(default_factory=dict)
    known_fingerprint: str | None = field(default=None, repr=False)
    inputs: Dataset | None = None

    @property
    def frames(self) -> int:
        """Frames of a clip; 0 where the images are pictures."""
        return self.images.shape[1] if self.images.ndim == 5 else 0

    @property
    def picture_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of a picture, of clips that of a frame."""
        height, width, channels = self.images.shape[-3:]
        return height, width, channels

    @property
    def things(self) -> str:
        """What the images are, for a user."""
        return "clips" if self.frames else "images"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over shape, pixels, labels, class names, columns and inputs: equal fingerprints train alike."""
        if self.inputs is None:
            return self._own_fingerprint
        return hashlib.sha256(f"{self._own_fingerprint} {self.inputs.fingerprint}".encode()).hexdigest()

    @cached_property
    def _own_fingerprint(self) -> str:
        if self.known_fingerprint is not None:
            return self.known_fingerprint
        digest = hashlib.sha256(repr((self.images.shape, self.class_names)).encode("utf-8", "surrogateescape"))
        for start in range(0, len(self.images), 4096):
            digest.update(np.ascontiguousarray(self.images[start : start + 4096]).data)
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels).data)
        for name, column in sorted(self.columns.items()):
            digest.update(repr((name, column.dtype.str, column.shape)).encode("utf-8", "surrogateescape"))
            for start in range(0, len(column), 4096):
                digest.update(np.ascontiguousarray(column[start : start + 4096]).data)
        return digest.hexdigest()

    def class_counts(self) -> dict[str, int]:
        """Class name → number of images; empty without classes."""
        if self.labels is None:
            return {}
        counts = np.bincount(self.labels, minlength=len(self.class_names))
        return {name: int(count) for name, count in zip(self.class_names, counts, strict=True)}

    @cached_property
    def distinct(self) -> Indices:
        """Indices int64 (M,) of the first image of each content: metrics draw from these, and they may be held out."""
        return np.arange(len(self.images)) if self.first_alike is None else np.unique(self.first_alike)

    def alike(self, indices: Indices) -> Indices:
        """These indices, which must be among `distinct`, those of all copies, and of all clips of the same files."""
        if self.first_alike is not None:
            indices = np.flatnonzero(np.isin(self.first_alike, indices))
        if (origin := self.columns.get("origin")) is not None:
            indices = np.flatnonzero(np.isin(origin, np.asarray(origin)[indices]))
        return indices

    @property
    def understood(self) -> str:
        """One line that a human can check: `classes from folder names: cat (120), dog (80); left out: 40 .heic`."""
        counts = [f"{name} ({count})" for name, count in self.class_counts().items()]
        parts = [f"classes from {self.classes_from or 'labels'}: {_some(counts)}" if counts else "no classes"]
        if self.split:
            parts.insert(0, f"split {self.split}")
        for kind, about in self.value_ranges.items():
            (least, most), (low, high) = about["found"], about["taken"]
            parts.append(f"{kind} hold {least:g} to {most:g}, taken as {low:g} to {high:g} (--value-range sets it)")
        if self.left_out:
            parts.append(f"left out: {by_ending(self.left_out)}")
        return "; ".join(parts)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What makes these images hard to learn from, a line each."""
        found, count = [], len(self.images)
        if count < FEW_IMAGES:
            start = "some hundreds" if self.frames else "some thousands"
            found.append(f"only {count} {self.things}: a GAN learns so few by heart, {start} are a good start")
        few = [f"{name} ({count})" for name, count in self.class_counts().items() if count < FEW_OF_A_CLASS]
        if few:
            found.append(f"classes of fewer than {FEW_OF_A_CLASS} {self.things}: {_some(few)}")
        if copies := count - len(self.distinct):
            found.append(
                f"{copies} of {count} {self.things} are copies of others, pixel by pixel; measures take each once"
            )
        if self.grey_in_colour:
            found.append(f"all {self.things} are grey though stored in colour; --channels 1 makes them so")
        return tuple(found)

    def describe(self) -> dict[str, Any]:
        """What dataset.json holds."""
        return {
            "source": self.source,
            "count": len(self.images),
            "image_shape": list(self.images.shape[1:]),
            "class_names": list(self.class_names),
            "class_counts": self.class_counts(),
            "classes_from": self.classes_from,
            "split": self.split,
            "value_ranges": dict(self.value_ranges),
            "left_out": dict(self.left_out),
            "grey_in_colour": self.grey_in_colour,
            "duplicates": len(self.images) - len(self.distinct),
            "fingerprint": self.fingerprint,
            "skipped": [{"file": s.file, "reason": s.reason} for s in self.skipped],
            "notes": list(self.notes),
            **({"inputs": self.inputs.describe()} if self.inputs is not None else {}),
        }


def by_ending(left_out: Mapping[str, int]) -> str:
    """Files that are no images, most first: `40 .heic (install pillow-heif), 2 without an ending`."""
    endings = sorted(left_out, key=lambda ending: (-left_out[ending], ending))
    return _some([_ending(ending, left_out[ending]) for ending in endings])


def _some(texts: list[str]) -> str:
    more = len(texts) - MOST_NAMED
    return ", ".join(texts[:MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _ending(ending: str, count: int) -> str:
    """`40 .heic (install pillow-heif)`."""
    hint = " (install pillow-heif)" if ending in HEIF_ENDINGS else ""
    return f"{count} {ending or 'without an ending'}{hint}"
