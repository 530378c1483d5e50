"""A small model that makes a picture of a picture, with and without hints or latents, and pictures for it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from genexport.roles import preprocess
from gentrain.data.dataset import Frame
from gentrain.sources.pictures import fitted
from PIL import Image

SIDE = 8
FRAME = preprocess.Frame((SIDE, SIDE, 3))


def opaque(file):
    """The pixels of a PNG file, of the model's size."""
    return tf.image.resize(tf.io.decode_png(file, 4), (SIDE, SIDE), "nearest")


class Negative(tf.Module):
    """What is bright becomes dark; where there is a hint, its colour stands."""

    def __init__(self, hinted):
        super().__init__()
        self.hinted = hinted

    def paint(self, image, hints=None):
        made = 1 - image
        return made if hints is None else tf.where(hints[..., 3:] > 0.5, hints[..., :3], made)

    def signatures(self):
        """The three of the contract."""

        def tensor(dtype, channels, name):
            return tf.TensorSpec([None, SIDE, SIDE, channels], dtype, name)

        def string(name):
            return tf.TensorSpec([None], tf.string, name)

        def floats(image, hints=None):
            return {"images": self.paint(image, hints)}

        def pixels(image, hints=None):
            given = [None if x is None else tf.cast(x, tf.float32) / 255 for x in (image, hints)]
            return {"images": tf.cast(tf.round(self.paint(*given) * 255), tf.uint8)}

        def files(image_bytes, hints_bytes=None):
            hints = None
            if hints_bytes is not None:
                hints = tf.map_fn(opaque, hints_bytes, fn_output_signature=tf.uint8)
                hints = tf.cast(hints, tf.float32) / 255
            made = tf.cast(tf.round(self.paint(preprocess.decoded(image_bytes, FRAME), hints) * 255), tf.uint8)
            return {"png_bytes": tf.map_fn(tf.io.encode_png, made, fn_output_signature=tf.string)}

        hints = {dtype: [tensor(dtype, 4, "hints")] if self.hinted else [] for dtype in (tf.float32, tf.uint8)}
        specs = {
            "serving_default": (floats, [tensor(tf.float32, 3, "image"), *hints[tf.float32]]),
            "uint8": (pixels, [tensor(tf.uint8, 3, "image"), *hints[tf.uint8]]),
            "png": (files, [string("image_bytes"), *([string("hints_bytes")] if self.hinted else [])]),
        }
        return {name: tf.function(call, input_signature=spec) for name, (call, spec) in specs.items()}


class Varied(tf.Module):
    """The same, brighter or darker by the first of its latents."""

    def paint(self, image, latents):
        return tf.clip_by_value(1 - image + latents[:, :1, None, None] / 20, 0.0, 1.0)

    def signatures(self):
        """Of pixels and of files."""
        latents = tf.TensorSpec([None, 2], tf.float32, "latents")

        def pixels(image, latents):
            made = self.paint(tf.cast(image, tf.float32) / 255, latents)
            return {"images": tf.cast(tf.round(made * 255), tf.uint8)}

        def files(image_bytes, latents):
            made = tf.cast(tf.round(self.paint(preprocess.decoded(image_bytes, FRAME), latents) * 255), tf.uint8)
            return {"png_bytes": tf.map_fn(tf.io.encode_png, made, fn_output_signature=tf.string)}

        image = tf.TensorSpec([None, SIDE, SIDE, 3], tf.uint8, "image")
        return {
            "serving_default": tf.function(pixels, input_signature=[image, latents]),
            "png": tf.function(files, input_signature=[tf.TensorSpec([None], tf.string, "image_bytes"), latents]),
        }


def varied(path, latents):
    """What the model with latents makes of a file by some (Z,)."""
    made = negative(path) / 255 + latents[0] / 20
    return np.rint(np.clip(made, 0, 1) * 255)


def publish(folder):
    """Write models `negative`, `hinted` and `varied`, models.config for all, negative.tflite and varied.tflite."""
    model = Varied()
    tf.saved_model.save(model, str(folder / "varied/1"), signatures=model.signatures())
    given = [tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32, "image"), tf.TensorSpec([1, 2], tf.float32, "latents")]
    generate = tf.function(lambda image, latents: {"images": model.paint(image, latents)}, input_signature=given)
    write_tflite(model, generate, folder / "varied.tflite")
    for name, hinted in (("negative", False), ("hinted", True)):
        model = Negative(hinted)
        tf.saved_model.save(model, str(folder / f"{name}/1"), signatures=model.signatures())
    model = Negative(False)
    one = tf.TensorSpec([1, SIDE, SIDE, 3], tf.float32, "image")
    generate = tf.function(lambda image: {"images": model.paint(image)}, input_signature=[one])
    write_tflite(model, generate, folder / "negative.tflite")
    config = "".join(
        f'config {{ name: "{name}" base_path: "{folder / name}" model_platform: "tensorflow" '
        'version_labels { key: "stable" value: 1 } }'
        for name in ("negative", "hinted", "varied")
    )
    (folder / "models.config").write_text(f"model_config_list {{ {config} }}")


def write_tflite(model, generate, path):
    """A file with the signature `generate`."""
    tf.saved_model.save(model, f"{path}.saved_model", signatures={"generate": generate})
    converter = tf.lite.TFLiteConverter.from_saved_model(f"{path}.saved_model", signature_keys=["generate"])
    path.write_bytes(converter.convert())


def photo(width, height, shift=0):
    """Colours in waves."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([127 + 120 * np.sin(x / (7 + k) + y / 5 + shift) for k in range(3)], axis=-1)
    return Image.fromarray(waves.astype(np.uint8))


def save(path, width=SIDE, height=SIDE, shift=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    photo(width, height, shift).save(path, **options)


def negative(path):
    """What the model makes of a file, by the pixels that training reads of it: uint8 (H, W, 3)."""
    return 255 - fitted(str(path), Frame(SIDE, 3), SIDE, 3)


def read(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def near(found, expected):
    return np.abs(found.astype(int) - expected).max() <= 2
