"""The pixels that a picture file becomes in the graph are those that training saw of it, whatever kind it is."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from genexport.roles import preprocess
from gentrain import sources
from gentrain.data.dataset import Frame
from gentrain.data.sizes import Size, both, written
from gentrain.sources.pictures import fitted
from PIL import Image

RNG = np.random.default_rng(0)


def photo(height: int, width: int) -> np.ndarray:
    """Waves, noise and a black box: uint8 (height, width, 3)."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([127 + 100 * np.sin(x / (7 + 3 * k) + y / 11) for k in range(3)], axis=-1)
    waves += RNG.normal(0, 15, waves.shape)
    waves[height // 3 : height // 2, width // 4 : width // 2] = 0
    return np.clip(waves, 0, 255).astype(np.uint8)


def file(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


def held(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "a camera", orientation
    return exif


def pictures_of_all_kinds() -> dict[str, bytes]:
    small, large = Image.fromarray(photo(90, 140)), Image.fromarray(photo(900, 1400))
    grey, values = small.convert("L"), np.asarray(small.convert("L")).astype(np.uint16)
    fading = np.tile(np.linspace(0, 255, 140).astype(np.uint8), (90, 1))
    glass = Image.fromarray(np.dstack([np.asarray(small), fading]))
    deep = np.dstack([photo(90, 140), fading]).astype(np.uint16) * 251
    return {
        "RGB": file(small),
        "grey": file(grey),
        "one bit": file(grey.convert("1")),
        "palette": file(small.quantize(32)),
        "transparent palette": file(glass.quantize(32)),
        "half transparent": file(Image.new("RGBA", (40, 40), (0, 0, 0, 128))),
        "RGBA": file(glass),
        "grey with opacity": file(glass.convert("LA")),
        "one transparent colour": file(small, transparency=(0, 0, 0)),
        "one transparent grey": file(grey, transparency=0),
        "black and transparent": file(grey.convert("1"), transparency=0),
        "dark 16 bit": file(Image.fromarray(values)),
        "light 16 bit": file(Image.fromarray(values * 257)),
        "16 bit RGB": tf.io.encode_png(deep[..., :3]).numpy(),
        "16 bit RGBA": tf.io.encode_png(deep).numpy(),
        "small": file(small.resize((5, 7))),
        "tall": file(small.resize((20, 300))),
        "large": file(large),
        "JPEG": file(small, "JPEG"),
        "large JPEG": file(large, "JPEG", quality=90),
        "progressive JPEG": file(large, "JPEG", progressive=True),
        "grey JPEG": file(grey, "JPEG"),
        "CMYK JPEG": file(small.convert("CMYK"), "JPEG"),
        "grey BMP": file(grey, "BMP"),
        "BMP": file(small, "BMP"),
        "GIF": file(small, "GIF"),
        "turned PNG": file(small, exif=held(6)),
        **{f"JPEG held as {how}": file(small, "JPEG", quality=95, exif=held(how)) for how in range(1, 9)},
    }


@pytest.mark.parametrize(
    ("size", "channels", "crop", "background"),
    [
        (28, 1, "center", "black"),
        (64, 3, "none", "#2040f0"),
        (32, 3, "pad", "#f0a020"),
        ((24, 40), 3, "center", "white"),
        ((44, 28), 1, "pad", "black"),
    ],
)
def test_the_graph_sees_the_pixels_that_training_saw(size: Size, channels: int, crop: str, background: str) -> None:
    frame = Frame(written(size), channels, crop, background)
    settings = preprocess.Frame((*both(size), channels), crop == "center", frame.background_rgb, crop == "pad")
    decode = tf.function(lambda files: preprocess.decoded(files, settings))
    table = pictures_of_all_kinds()
    found = np.rint(decode(tf.constant(list(table.values()))).numpy() * 255)
    for kind, content, pixels in zip(table, table.values(), found, strict=True):
        difference = np.abs(pixels - fitted(io.BytesIO(content), frame, size, channels))
        assert (kind, difference.max() <= 2, difference.mean() < 0.5) == (kind, True, True), difference


def test_a_picture_whose_note_on_the_camera_is_damaged_is_taken_as_it_is() -> None:
    frame, small = preprocess.Frame((28, 28, 3)), Image.fromarray(photo(40, 40))
    plain, turned = file(small, "JPEG"), file(small, "JPEG", exif=held(6))
    at = turned.index(b"Exif\0\0") + 6
    damaged = [
        turned[: at + 4] + b"\xff\xff\xff\xff" + turned[at + 8 :],
        turned[: at + 8] + b"\xff\xff" + turned[at + 10 :],
    ]
    seen = preprocess.decoded(tf.constant([plain, turned, damaged[0]]), frame).numpy()
    np.testing.assert_array_equal(seen[2], seen[0])
    assert np.abs(seen[1] - seen[0]).max() > 0.2
    assert np.isfinite(preprocess.decoded(tf.constant(damaged), frame)).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_of_12_bits_are_as_bright_as_training_saw_them(tmp_path: Path, channels: int) -> None:
    ramp = np.rint(np.tile(np.linspace(0, 4080, 16), (16, 1))).astype(np.uint16)
    picture = tf.io.encode_png(np.stack([ramp, ramp.T, ramp // 2][:channels], axis=-1)).numpy()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.png").write_bytes(picture)
    trained = sources.read(str(tmp_path / "data"), Frame(16))
    assert trained.images.max() == 254
    settings = {"crop": "center", "background": "white"}
    (tmp_path / "config.json").write_text(json.dumps({"settings": settings}))
    (tmp_path / "dataset.json").write_text(json.dumps(trained.describe()))
    frame = preprocess.Frame.of((16, 16, channels), preprocess.of_run(tmp_path))
    assert (0, 4095) in frame.deep
    seen = preprocess.decoded(tf.constant([picture]), frame)
    np.testing.assert_allclose(seen * 255, trained.images, atol=1)
