"""A contact sheet of a data set: classes in rows with their names beside them, or images drawn at random."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from gentrain.data import fonts
from gentrain.data.dataset import Dataset, Pixels
from gentrain.files import marked, replacing
from gentrain.images import image_grid

COLUMNS = 8
MOST_ROWS = 32
CLIPS = 16

# Images are enlarged in whole steps to about this many pixels, so that names beside them can be read.
SHOWN_SIDE = 64
FONT_SIZE = 16
MARGIN = 8


def save_contact_sheet(dataset: Dataset, path: Path) -> str:
    """Write a PNG with up to 8 images of each class in a row (of the first 32 classes), or 64 where there are none.

    Of clips a row is one, 8 of its frames, and of each class there is at least one. Which ones is drawn at random, the
    same every time.

    Returns:
        That the sheet is cut, where there are more classes; else nothing.

    Raises:
        TrainError: `path` cannot be written.
    """
    if dataset.frames:
        return _save_clips(dataset, path)
    scale = max(1, round(SHOWN_SIDE / dataset.images.shape[1]))
    chosen = [_some(dataset, rows) for rows in _rows(dataset)]
    picture = Image.fromarray(_enlarged(_laid(chosen), scale))
    if dataset.class_names:
        picture = _with_names(picture, dataset.class_names[: len(chosen)], scale * (dataset.images.shape[1] + 2))
    with replacing(path) as temporary:
        picture.save(temporary, "PNG", pnginfo=marked("a contact sheet"))
    classes = len(dataset.class_names) if dataset.labels is not None else 0
    return f"the first {MOST_ROWS} of {classes} classes" if classes > MOST_ROWS else ""


def _save_clips(dataset: Dataset, path: Path) -> str:
    """The same of clips: of each class as many, up to 16 in all, or one of each of the first 32 classes."""
    rows = _rows(dataset) if dataset.labels is not None else [np.arange(len(dataset.images))]
    each = max(1, CLIPS // len(rows))
    chosen = np.concatenate([np.sort(np.random.default_rng(0).permutation(row)[:each]) for row in rows])
    frames = np.linspace(0, dataset.frames - 1, min(COLUMNS, dataset.frames)).round().astype(int)
    height, width, channels = dataset.picture_shape
    scale = max(1, round(SHOWN_SIDE / height))
    laid = image_grid(dataset.images[chosen][:, frames].reshape(-1, height, width, channels), len(frames))
    picture = Image.fromarray(_enlarged(np.broadcast_to(laid, (*laid.shape[:2], 3)), scale))
    if dataset.class_names:
        assert dataset.labels is not None
        names = tuple(dataset.class_names[label] for label in dataset.labels[chosen])
        picture = _with_names(picture, names, scale * (height + 2))
    with replacing(path) as temporary:
        picture.save(temporary, "PNG", pnginfo=marked("a contact sheet"))
    count = len(dataset.images)
    return f"{len(chosen)} of {count} clips" if len(chosen) < count else ""


def _rows(dataset: Dataset) -> list[np.ndarray]:
    """For every row of the sheet the indices that it may show."""
    if dataset.labels is not None:
        classes = range(min(len(dataset.class_names), MOST_ROWS))
        return [np.flatnonzero(dataset.labels == number) for number in classes]
    order = np.random.default_rng(0).permutation(len(dataset.images))[: COLUMNS * COLUMNS]
    return [order[start : start + COLUMNS] for start in range(0, len(order), COLUMNS)]


def _some(dataset: Dataset, indices: np.ndarray) -> Pixels:
    """Up to 8 of these images, the rest of the row white: uint8 (8, H, W, 3)."""
    drawn = np.sort(np.random.default_rng(0).permutation(indices)[:COLUMNS])
    row = np.full((COLUMNS, *dataset.images.shape[1:3], 3), 255, np.uint8)
    row[: len(drawn)] = dataset.images[drawn]
    return row


def _laid(rows: list[Pixels]) -> Pixels:
    return image_grid(np.concatenate(rows), COLUMNS)


def _enlarged(pixels: Pixels, scale: int) -> Pixels:
    return pixels.repeat(scale, axis=0).repeat(scale, axis=1)


def _with_names(picture: Image.Image, names: tuple[str, ...], row_height: int) -> Image.Image:
    """The picture with a name to the left of each row, in a font that has its characters."""
    written = [fonts.fitting(name, FONT_SIZE) for name in names]
    width = 2 * MARGIN + max(round(font.getlength(text)) for font, text in written)
    wide = Image.new("RGB", (width + picture.width, picture.height), "white")
    wide.paste(picture, (width, 0))
    draw = ImageDraw.Draw(wide)
    for i, (font, text) in enumerate(written):
        draw.text((width - MARGIN, i * row_height + row_height // 2), text, "black", font, anchor="rm")
    return wide
