"""Pictures of a user's as the generator would draw them: its size, crop and colours; and the sheet that shows both."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gentrain.data.dataset import Frame
from gentrain.editing.drawing import Drawing
from gentrain.errors import TrainError
from gentrain.files import marked, replacing
from gentrain.sources import pictures

SHOWN = 64
LARGE, GAP, LETTERS = 128, 4, 14
HEAD = "target · projected · difference"


@dataclass(frozen=True, eq=False)
class Targets:
    """Pictures float32 (N, H, W, C) in [-1, 1], the files they are of, and what was passed over, in words."""

    images: Any
    files: tuple[Path, ...]
    skipped: tuple[str, ...]


def read(paths: Sequence[Path], drawing: Drawing) -> Targets:
    """The pictures at these paths, and in folders among them.

    Raises:
        TrainError: none can be read.
    """
    made = drawing.preprocessing
    frame = Frame(64, crop=made.get("crop", "center"), background=made.get("background", "white"))
    height, width, channels = drawing.shape
    images, files, skipped = [], [], []
    for path in (file for each in paths for file in _files(each)):
        try:
            images.append(pictures.fitted(_single(path), frame, (height, width), channels))
            files.append(path)
        except Exception as error:  # a broken file raises nearly anything
            skipped.append(f"{pictures.shown(path)}: {pictures.reason(error)}")
    if not files:
        raise TrainError(skipped[0] if skipped else f"{paths[0]}: no pictures there")
    return Targets(np.stack(images).astype(np.float32) / 127.5 - 1.0, tuple(files), tuple(skipped))


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.suffix.lower() in pictures.suffixes() and file.is_file())


def _single(path: Path) -> Any:
    """A file to read, without the notes by which a data set would leave out a single image that was generated."""
    content = path.read_bytes()
    try:
        with Image.open(io.BytesIO(content)) as image:
            if not str(image.info.get("seeds", "")).isdigit():
                return io.BytesIO(content)
            bare = io.BytesIO()
            Image.fromarray(np.asarray(image.convert("RGB"))).save(bare, "PNG")
            return io.BytesIO(bare.getvalue())
    except Exception:  # is reported where it is decoded
        return io.BytesIO(content)


def draw(targets: Any, images: Any, captions: Sequence[str], path: Path) -> None:
    """A PNG with a row for each picture: target, projected and their difference, with a caption; 64 at the most.

    Args:
        targets: float32 (N, H, W, C) in [-1, 1].
        images: the same.
        captions: a line for each.
        path: of the file, which is there whole or not at all.
    """
    targets, images = targets[:SHOWN], np.clip(images[:SHOWN], -1, 1)
    columns = max(1, min(4, round(len(targets) ** 0.5 / 1.5)))
    scale = max(1, LARGE // targets.shape[1])
    height, width = (length * scale for length in targets.shape[1:3])
    wide, high = 3 * width + 4 * GAP, height + LETTERS + 2 * GAP
    canvas = Image.new("RGB", (columns * wide, -(-len(targets) // columns) * high + LETTERS + GAP), "white")
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(LETTERS - 3)
    pen.text((GAP, 2), HEAD, "black", font)
    for place, (target, image) in enumerate(zip(targets, images, strict=True)):
        left, top = place % columns * wide, place // columns * high + LETTERS + GAP
        each = ((target + 1) / 2, (image + 1) / 2, np.abs(target - image) / 2)
        for number, values in enumerate(each):
            pixels = np.rint(np.broadcast_to(values, (*values.shape[:2], 3)) * 255).astype(np.uint8)
            large = Image.fromarray(pixels).resize((width, height), Image.Resampling.NEAREST)
            canvas.paste(large, (left + number * (width + GAP), top))
        pen.text((left, top + height), captions[place], "black", font)
    with replacing(path) as temporary:
        canvas.save(temporary, "PNG", pnginfo=marked("pictures and their projections"))
