"""Real and generated pictures brought to one size, and what is held out of each.

As large as the smallest source and grey as soon as one is: nothing is enlarged, and no source is told by its size.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gentrain import sources
from gentrain.data.dataset import Dataset, Frame, Pixels
from gentrain.detection import codings, fakes
from gentrain.detection.codings import Codings
from gentrain.detection.fakes import Generator
from gentrain.errors import TrainError, UsageError

FEWEST = 20
"""Pictures of a source, under which nothing can be said."""

MOST = 10_000
"""Of a source: more are left out at random."""

DRAWN = 4000
"""Of a generator, at the most; fewer where there are fewer real ones."""

HELD_OUT = 1 / 5
MOST_HELD_OUT = 1000

Read = Callable[[str, Frame], Dataset]
Indices = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class Part:
    """Pictures uint8 (N, H, W, C) of one source: learned from, `calibration` and `test`, which are held out.

    `codings` are those of its files; empty where there are none.
    """

    name: str
    kind: str
    training: Pixels
    calibration: Pixels
    test: Pixels
    seen: bool = True
    codings: Codings = ()
    discriminator: Path | None = None

    @property
    def count(self) -> int:
        """Of all."""
        return len(self.training) + len(self.calibration) + len(self.test)


@dataclass(frozen=True, eq=False)
class Pictures:
    """All that a detector learns from and is measured on; `frame` is how real ones are read, `notes` for the user."""

    real: Part
    fakes: tuple[Part, ...]
    frame: Frame
    dataset: Dataset
    notes: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        _, height, width, channels = self.real.training.shape
        return height, width, channels

    @property
    def seen(self) -> tuple[Part, ...]:
        """The generated ones that are learned from."""
        return tuple(part for part in self.fakes if part.seen)

    def real_beside(self, parts: Sequence[Part], images: Pixels, rng: np.random.Generator) -> Pixels:
        """Real pictures uint8 (N, H, W, C), coded as those of these parts are too; of several parts by turns."""
        return codings.shared(self.real.codings, [part.codings for part in parts], images, self.frame.crop, rng)

    def fake_beside(self, part: Part, images: Pixels, rng: np.random.Generator) -> Pixels:
        """Pictures uint8 (N, H, W, C) of this part, coded as real ones are too."""
        return codings.alike(images, self.real.codings, part.codings, self.frame.crop, rng)


def gather(
    real: str,
    seen: Sequence[str],
    unseen: Sequence[str],
    read: Read,
    resolution: int | None = None,
    crop: str | None = None,
) -> Pictures:
    """Read, generate, bring to one size and split.

    Args:
        real: a source, see `gentrain.sources`.
        seen: what is learned from: runs, files, versions, or sources of pictures.
        unseen: what is only measured on.
        read: gives the pictures of a source.
        resolution: their side; None for that of the smallest generator.
        crop: as in `Frame`; None for what the first run had.

    Raises:
        UsageError: one source twice, or one that is real and generated.
        TrainError: too few pictures, a source that cannot be read.
    """
    names = [*seen, *unseen]
    _refuse_same(real, names)
    found = {name: fakes.find(name) for name in names}
    generators = [generator for generator in found.values() if generator is not None]
    frame = fakes.frame(generators, resolution, crop)
    sets = {name: read(name, frame) for name, generator in found.items() if generator is None}
    dataset = read(real, frame)
    shapes = [_shape(each) for each in (dataset, *sets.values())]
    shapes += [(each.side, each.shape[2]) for each in generators]
    side, channels = (min(numbers) for numbers in zip(*shapes, strict=True))
    wanted = replace(frame, resolution=side, channels=channels)
    notes = _notes(shapes, side, resolution)
    dataset = _again(dataset, real, wanted, read)
    enough = max(min(len(dataset.distinct), DRAWN), FEWEST)
    of_files = {name: codings.of_files(sources.find(name)) for name in (real, *sets)}
    notes += [note for _, lines in of_files.values() for note in lines]
    known, _ = of_files[real]
    of_real = _split(real, "pictures", np.asarray(dataset.images), dataset.distinct, True, known)
    of_fakes = []
    for name, generator in found.items():
        if generator is None:
            again = _again(sets[name], name, wanted, read)
            own = codings.compared(known, of_files[name][0], side)
            part = _split(name, "pictures", np.asarray(again.images), again.distinct, name in seen, own)
        else:
            drawn = _sized(generator.draw(enough), side, channels)
            part = _split(name, generator.kind, drawn, np.arange(len(drawn)), name in seen, (), generator)
        of_fakes.append(part)
        notes += _shared(of_real, part)
    return Pictures(of_real, tuple(of_fakes), wanted, dataset, tuple(notes))


def _refuse_same(real: str, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        if name in names[:number]:
            raise UsageError(f"{name}: is given twice")
        if name == real or (os.path.exists(name) and os.path.exists(real) and _overlap(Path(name), Path(real))):
            raise UsageError(f"{name}: is given as generated, but is (or lies in, or holds) the real pictures, {real}")


def _overlap(one: Path, other: Path) -> bool:
    one, other = one.resolve(), other.resolve()
    return one.is_relative_to(other) or other.is_relative_to(one)


def _shape(dataset: Dataset) -> tuple[int, int]:
    """Side and channels."""
    return dataset.images.shape[1], 1 if dataset.grey_in_colour else dataset.images.shape[3]


def _notes(shapes: Sequence[tuple[int, int]], side: int, resolution: int | None) -> list[str]:
    notes = []
    if len({shape[0] for shape in shapes}) > 1:
        notes.append(f"pictures of several sizes are brought to {side}×{side}, that of the smallest source")
    if resolution and side < resolution:
        notes.append(f"--resolution {resolution}: there is a source of {side}×{side}, and nothing is enlarged")
    if len({shape[1] for shape in shapes}) > 1:
        notes.append("all pictures are made grey, as those of one source are")
    return notes


def _again(dataset: Dataset, source: str, wanted: Frame, read: Read) -> Dataset:
    """The same in the size that all have."""
    shape = dataset.images.shape[1:]
    return dataset if shape == (wanted.resolution, wanted.resolution, wanted.channels) else read(source, wanted)


def _sized(images: Pixels, side: int, channels: int) -> Pixels:
    """As files of such pictures would be read."""
    if images.shape[1:] == (side, side, channels):
        return images
    made = [Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image) for image in images]
    mode = "L" if channels == 1 else "RGB"
    small = [np.asarray(image.convert(mode).resize((side, side), Image.Resampling.LANCZOS)) for image in made]
    return np.stack(small).reshape(-1, side, side, channels)


def _split(
    name: str,
    kind: str,
    images: Pixels,
    distinct: Indices,
    seen: bool,
    known: Codings = (),
    generator: Generator | None = None,
) -> Part:
    """Of equal numbers equal places are held out, so that two copies of a set are split alike."""
    if len(distinct) < FEWEST:
        raise TrainError(f"{name}: {len(distinct)} different pictures; a detector needs at least {FEWEST}")
    order = np.random.default_rng(0).permutation(distinct)[:MOST]
    each = min(max(round(HELD_OUT * len(order)), 5), MOST_HELD_OUT)
    test, calibration, training = (np.sort(rows) for rows in np.split(order, (each, 2 * each)))
    discriminator = generator.discriminator if generator else None
    return Part(name, kind, images[training], images[calibration], images[test], seen, known, discriminator)


def _shared(real: Part, fake: Part) -> list[str]:
    """A line on pictures that are in both, pixel by pixel."""
    known = {image.tobytes() for rows in (real.training, real.calibration, real.test) for image in rows}
    copies = sum(image.tobytes() in known for rows in (fake.training, fake.calibration, fake.test) for image in rows)
    if not copies:
        return []
    return [
        f"warning: {copies} of {fake.count} pictures of {fake.name} are real ones too: nothing can tell those apart"
    ]
