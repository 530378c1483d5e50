"""The same latents over the whole training, from the image grids under RUN/samples: an animated WebP or GIF."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from gentrain.errors import UsageError
from gentrain.files import replacing

LONGEST_SIDE = 544  # pixels of a frame's grid, eight of 64 and their gaps; wider ones are reduced, longer ones cut
MOST_FRAMES = 120  # of more grids every second, third … is left out, never the first or the last
SECONDS = 8.0  # about how long it plays, if frames stay between the two limits below
FRAME_MS = (80, 500)
LAST_FRAME_MS = 2500
CAPTION = 22  # pixels below the grid for the time in kimg
FORMATS = {".webp": "WEBP", ".gif": "GIF"}


def grids_of(run: Path) -> list[Path]:
    """The image grids of samples of a run, oldest first."""
    return sorted((run / "samples").glob("[0-9]*kimg.png"), key=kimg_of)


def kimg_of(grid: Path) -> int:
    """When an image grid was drawn.

    >>> kimg_of(Path("samples/000120kimg.png"))
    120
    """
    digits = grid.name.removesuffix("kimg.png")
    return int(digits) if digits.isascii() and digits.isdigit() else 0


def write(run: Path, path: Path) -> int:
    """Write the time-lapse of a run; whole or not at all.

    Args:
        run: the run directory.
        path: where to; `.webp` or `.gif`.

    Returns:
        How many frames it has; 0, and no file, where fewer than two grids can be read.

    Raises:
        UsageError: `path` ends otherwise.
        TrainError: it cannot be written.
    """
    if path.suffix.lower() not in FORMATS:
        raise UsageError(f"{path}: a time-lapse is a .webp or a .gif file")
    frames = _frames(_chosen(grids_of(run)))
    if len(frames) < 2:
        return 0
    content = io.BytesIO()  # of a GIF, Pillow does not notice that a disk took a part only
    frames[0].save(
        content,
        FORMATS[path.suffix.lower()],
        save_all=True,
        append_images=frames[1:],
        duration=durations(len(frames)),
        loop=0,
        **({"quality": 75, "method": 4} if path.suffix.lower() == ".webp" else {"optimize": True}),
    )
    with replacing(path) as temporary:
        temporary.write_bytes(content.getvalue())
    return len(frames)


def durations(frames: int) -> list[int]:
    """Milliseconds of each frame: even, the last one longer."""
    low, high = FRAME_MS
    each = round(min(max(SECONDS * 1000 / frames, low), high))
    return [each] * (frames - 1) + [LAST_FRAME_MS]


def _chosen(grids: Sequence[Path]) -> list[Path]:
    if len(grids) <= MOST_FRAMES:
        return list(grids)
    return [grids[round(i * (len(grids) - 1) / (MOST_FRAMES - 1))] for i in range(MOST_FRAMES)]


def _frames(grids: Sequence[Path]) -> list[Image.Image]:
    """A picture for each grid, all of one size, each with its kimg below; grids that cannot be read are left out."""
    frames: list[Image.Image] = []
    for path in grids:
        try:
            with Image.open(path) as opened:
                grid = _small(opened.convert("RGB"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # Pillow's, for damaged files
            continue
        size = (frames[0].width, frames[0].height - CAPTION) if frames else grid.size
        frame = Image.new("RGB", (size[0], size[1] + CAPTION), "white")
        frame.paste(grid if grid.size == size else grid.resize(size))
        # It differs from frame to frame: writers merge frames that are equal.
        _caption(frame, f"{kimg_of(path)} kimg")
        frames.append(frame)
    return frames


def _small(grid: Image.Image) -> Image.Image:
    """Enlarged by a whole factor or reduced to `LONGEST_SIDE` wide, and cut below at as much."""
    if grid.width > LONGEST_SIDE:
        height = max(1, round(grid.height * LONGEST_SIDE / grid.width))
        grid = grid.resize((LONGEST_SIDE, height), Image.Resampling.LANCZOS)
    if (factor := LONGEST_SIDE // max(grid.size)) > 1:
        grid = grid.resize((factor * grid.width, factor * grid.height), Image.Resampling.NEAREST)
    return grid.crop((0, 0, grid.width, min(grid.height, LONGEST_SIDE)))


def _caption(frame: Image.Image, text: str) -> None:
    font = ImageFont.load_default(size=14)
    ImageDraw.Draw(frame).text((4, frame.height - CAPTION // 2), text, "#333333", font, anchor="lm")
