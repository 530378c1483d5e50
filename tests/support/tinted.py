"""A TFLite file that makes a picture of a picture: the picture itself, and where there are hints, their colours. What
it makes shows what it was given, pixel by pixel. Its height is not its width.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow as tf
from genexport.tflite import metadata
from PIL import Image

HEIGHT, WIDTH = 12, 8


class Tinted(tf.Module):
    """`image` and `hints` → `images`."""

    def paint(self, image, hints):
        """What it makes of them."""
        mask = hints[..., 3:]
        return {"images": image * (1 - mask) + hints[..., : image.shape[-1]] * mask}


def write(folder: Path, channels: int = 3) -> Path:
    """The file, of pictures in colour or grey."""
    model = Tinted()
    specs = [tf.TensorSpec([1, HEIGHT, WIDTH, depth], tf.float32, name)
             for name, depth in (("image", channels), ("hints", 4))]  # fmt: skip
    generate = tf.function(model.paint, input_signature=specs)
    tf.saved_model.save(model, str(folder / "saved"), signatures={"generate": generate})
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder / "saved"), signature_keys=["generate"])
    file = folder / "tinted.tflite"
    file.write_bytes(converter.convert())
    return file


def described(file: Path, **preprocessing: str) -> bytes:
    """The file with metadata that say how training brought pictures to size."""
    said = {"crop": "center", "background": "white", "resize": "lanczos", **preprocessing}
    inputs = [{"name": "image", "role": "image", "preprocessing": said}, {"name": "hints", "role": "hints"}]
    return metadata.add(file.read_bytes(), {"name": "tinted", "interface": {"version": 1, "inputs": inputs}})


def waves(width: int, height: int, channels: int = 3) -> Image.Image:
    """A picture with fine and coarse detail, the same every time."""
    y, x = np.mgrid[:height, :width]
    planes = [127 + 127 * np.sin(x * x / 90 + y / (3 + k)) * np.cos(y / 7 + k) for k in range(channels)]
    pixels = np.stack(planes, axis=-1).astype(np.uint8)
    return Image.fromarray(pixels if channels > 1 else pixels[..., 0])


def hints(*dots: tuple[int, int, tuple[int, int, int]]) -> np.ndarray:
    """Dots of 3×3 pixels (x, y, colour), as uint8 (HEIGHT, WIDTH, 4)."""
    made = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    for x, y, colour in dots:
        made[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = (*colour, 255)
    return made
