"""What happens to pictures on their way: blur, resizing, JPEG. The very same code for real and for generated ones.

Training disturbs three quarters of the pictures at random, more strongly than is measured, so that what is learned
survives a messenger, and leaves the others as they are, so that their fine traces are learned too. Source:
"CNN-generated images are surprisingly easy to spot... for now", arXiv 1912.11035.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

Pixels = np.ndarray[Any, np.dtype[np.uint8]]

PART = 0.75  # of pictures, disturbed in training
QUALITIES = (30, 96)  # of JPEG, from and below
SMALLEST = 0.35  # of the side, where a picture is resized and back
BLUR = 0.6 / 28  # of the side: the standard deviation that is measured
MOST_BLUR = 2.5  # times as much, in training
FILTERS = (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS, Image.Resampling.BOX)
GRID = 8  # pixels of a JPEG block


KINDS = ("blur", "resize", "JPEG")


def at_random(images: Pixels, rng: np.random.Generator) -> Pixels:
    """Uint8 (N, H, W, C), `PART` of them, each disturbed in its own way."""
    return np.stack([_by(image, KINDS[rng.integers(3)], rng) if rng.random() < PART else image for image in images])


def by(images: Pixels, kind: str, rng: np.random.Generator) -> Pixels:
    """Uint8 (N, H, W, C), each disturbed by one of `KINDS`, as strongly as it happens to be."""
    return np.stack([_by(image, kind, rng) for image in images])


def _by(pixels: Pixels, kind: str, rng: np.random.Generator) -> Pixels:
    image, side = _image(pixels), len(pixels)
    if kind == "blur":
        image = blurred(image, rng.random() * MOST_BLUR * BLUR * side)
    elif kind == "resize":
        image = resized(image, SMALLEST + (1 - SMALLEST) * rng.random(), *rng.choice(FILTERS, 2))
    if kind == "JPEG" or rng.random() < 0.5:
        image = _shifted_jpeg(image, rng)
    return _pixels(image, pixels)


def _shifted_jpeg(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """JPEG whose blocks begin anywhere."""
    left, top = (int(shift) for shift in rng.integers(0, GRID, 2))
    padded = np.pad(np.asarray(image), ((top, 0), (left, 0), (0, 0))[: np.asarray(image).ndim], "reflect")
    coded = jpeg(Image.fromarray(padded), int(rng.integers(*QUALITIES)))
    return coded.crop((left, top, *coded.size))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    """As it comes back from a JPEG file."""
    with io.BytesIO() as file:
        image.save(file, "JPEG", quality=quality)
        decoded = Image.open(file)
        decoded.load()
    return decoded


def blurred(image: Image.Image, deviation: float) -> Image.Image:
    """By a Gaussian of this standard deviation in pixels."""
    return image.filter(ImageFilter.GaussianBlur(deviation))


def resized(image: Image.Image, part: float, down: Any = FILTERS[2], up: Any = FILTERS[1]) -> Image.Image:
    """To a part of its size and back."""
    width, height = (max(4, round(part * length)) for length in image.size)
    return image.resize((width, height), Image.Resampling(int(down))).resize(image.size, Image.Resampling(int(up)))


MEASURED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "clean": lambda image: image,
    "JPEG 90": lambda image: jpeg(image, 90),
    "JPEG 70": lambda image: jpeg(image, 70),
    "JPEG 50": lambda image: jpeg(image, 50),
    "resize ½": lambda image: resized(image, 0.5),
    "blur": lambda image: blurred(image, BLUR * image.width),
}
"""What scores are measured after."""


def each(images: Pixels, change: Callable[[Image.Image], Image.Image]) -> Pixels:
    """Uint8 (N, H, W, C), each changed alike."""
    return np.stack([_pixels(change(_image(image)), image) for image in images])


def _image(pixels: Pixels) -> Image.Image:
    return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)


def _pixels(image: Image.Image, like: Pixels) -> Pixels:
    return np.asarray(image, np.uint8).reshape(like.shape)
