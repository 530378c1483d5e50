"""Pictures as the input of a model: the pixels that gentrain reads of the same file, whatever kind the file is."""

import numpy as np
import pytest
from genclient import ClientError, UsageError
from genclient.images.arrays import read_images
from gentrain.data.dataset import Frame
from gentrain.sources.pictures import fitted
from PIL import Image

SIDE = 12


@pytest.fixture(scope="module")
def photo():
    """Colours that fade to the right, RGBA."""
    y, x = np.mgrid[:SIDE, :SIDE]
    waves = np.stack([127 + 120 * np.sin(x / (2 + k) + y / 5) for k in range(3)] + [x * 255 / (SIDE - 1)], axis=-1)
    return Image.fromarray(waves.astype(np.uint8))


def test_a_picture_of_any_kind_is_read_as_training_reads_it(photo, tmp_path):
    solid, exif = photo.convert("RGB"), Image.Exif()
    exif[0x0112] = 6
    deep = Image.fromarray(np.asarray(solid.convert("L")).astype(np.uint16) * 257)
    palette = solid.quantize(16)
    table = {
        "plain.png": (solid, {}),
        "glass.png": (photo, {}),
        "faint.png": (photo.convert("LA"), {}),
        "palette.png": (palette, {"transparency": 3}),
        "palette.gif": (palette, {"transparency": 3}),
        "deep.png": (deep, {}),
        "deep.tif": (deep, {}),
        "bits.png": (solid.convert("1"), {}),
        "cmyk.jpg": (solid.convert("CMYK"), {}),
        "turned.jpg": (solid, {"exif": exif}),
        "turned.png": (solid, {"exif": exif}),
    }
    for name, (picture, options) in table.items():
        picture.save(tmp_path / name, **options)
        for channels in (1, 3):
            expected = fitted(str(tmp_path / name), Frame(SIDE, channels), SIDE, channels)
            given = read_images("image", str(tmp_path / name), channels).array
            off = 1 if name.endswith(".jpg") else 0
            assert (name, np.abs(given.astype(int) - expected).max() <= off) == (name, True), (given, expected)
    np.testing.assert_array_equal(read_images("image", str(tmp_path / "glass.png"), 4).array, np.asarray(photo))


def test_numbers_take_the_range_that_is_said_and_are_refused_without(tmp_path):
    floats = np.linspace(0, 2, SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE)
    Image.fromarray(floats).save(tmp_path / "float.tif")
    Image.fromarray(floats.astype(np.int32)).save(tmp_path / "integer.tif")
    for name in ("float", "integer"):
        with pytest.raises(ClientError, match="pixels: their range is unknown; --value-range LOW:HIGH says"):
            read_images("image", str(tmp_path / f"{name}.tif"), 1)
    given = read_images("image", str(tmp_path / "float.tif"), 1, {"floating point": (0.0, 2.0)}).array
    np.testing.assert_array_equal(given[..., 0], np.rint(floats * 127.5).astype(np.uint8))
    given = read_images("image", str(tmp_path / "integer.tif"), 1, {"32-bit": (0.0, 2.0)}).array
    assert set(np.unique(given)) == {0, 128, 255}


def test_pictures_of_a_folder_have_one_size(tmp_path):
    for side in (4, 5):
        Image.new("L", (side, side)).save(tmp_path / f"{side}.png")
    with pytest.raises(UsageError, match="found pictures of 2 sizes"):
        read_images("image", str(tmp_path), 1)
