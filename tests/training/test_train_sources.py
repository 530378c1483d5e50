"""Folders as people have them: every kind of image, broken files, and names that are not text."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from gentrain import sources
from gentrain.dataset import Frame
from gentrain.errors import TrainError
from PIL import Image

FRAME = Frame(resolution=32)


def gradient(side: int = 40) -> np.ndarray:
    """Uint8 (side, side), dark on the left and bright on the right."""
    return np.tile(np.linspace(0, 255, side), (side, 1)).astype(np.uint8)


def bomb(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims this many pixels."""

    def chunk(content: bytes) -> bytes:
        return struct.pack(">I", len(content) - 4) + content + struct.pack(">I", zlib.crc32(content))

    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(header) + chunk(b"IDAT" + zlib.compress(bytes(999))) + chunk(b"IEND")


@pytest.fixture
def awkward(tmp_path: Path) -> Path:
    """Two classes with everything that Pillow can write, and what it cannot read."""
    cats, dogs = tmp_path / "cats", tmp_path / "dogs" / "deeper"
    cats.mkdir()
    dogs.mkdir(parents=True)
    grey = gradient()
    rgb = np.stack([grey] * 3, axis=-1)
    Image.fromarray(grey).save(cats / "grey.png")
    Image.fromarray(rgb).save(cats / "rgb.jpg", quality=95)
    Image.fromarray(np.dstack([rgb, np.full_like(grey, 255)])).save(cats / "rgba.png")
    Image.fromarray(grey.astype(np.uint16) * 257).save(cats / "sixteen.png")
    Image.fromarray(rgb).convert("CMYK").save(cats / "cmyk.tif")
    Image.fromarray(rgb).quantize(64).save(cats / "palette.gif")
    Image.fromarray(grey).convert("LA").save(cats / "grey-alpha.png")
    Image.fromarray(np.tile(rgb, (1, 3, 1))[:, :100]).resize((300, 120)).save(dogs / "wide.webp", lossless=True)
    Image.fromarray(rgb).resize((7, 7)).save(dogs / "tiny.PNG")
    Image.fromarray(grey > 127).save(dogs / "bits.png")

    (cats / "empty.png").write_bytes(b"")
    (cats / "text.png").write_text("this is no image")
    whole = (cats / "rgb.jpg").read_bytes()
    (dogs / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (dogs / "gone.png").symlink_to(dogs / "nothing")
    (dogs / "bomb.png").write_bytes(bomb(20000, 20000))
    (cats / "notes.txt").write_text("not an image, and not said to be one")
    (cats / ".hidden.png").write_bytes(b"junk")
    (dogs / "loop").symlink_to(tmp_path)
    with open(os.fsencode(cats) + b"/caf\xe9.png", "wb") as file:
        Image.fromarray(grey).save(file, "PNG")
    return tmp_path


def test_every_readable_image_is_read_the_same(awkward: Path) -> None:
    data = sources.read(str(awkward), FRAME)
    assert data.images.shape == (11, 32, 32, 3)
    assert data.images.dtype == np.uint8
    assert data.class_names == ("cats", "dogs")
    assert data.class_counts() == {"cats": 8, "dogs": 3}
    # All of the cats are the same gradient, whatever format, depth and colours it was stored in.
    expected = np.linspace(0, 255, 32)
    for image in data.images[data.labels == 0]:
        assert np.abs(image[16, :, 0].astype(float) - expected).max() < 12
        assert np.abs(image.astype(int) - image[..., :1]).max() < 6, "grey stays grey"


def test_broken_files_are_skipped_by_name_with_a_reason(awkward: Path) -> None:
    skipped = {entry.file: entry.reason for entry in sources.read(str(awkward), FRAME).skipped}
    assert skipped.keys() == {
        "cats/empty.png",
        "cats/text.png",
        "dogs/deeper/cut.jpg",
        "dogs/deeper/gone.png",
        "dogs/deeper/bomb.png",
    }
    assert skipped["cats/empty.png"] == "empty file"
    assert skipped["cats/text.png"] == "not an image that Pillow can read"
    assert "truncated" in skipped["dogs/deeper/cut.jpg"].lower()
    assert "too many" in skipped["dogs/deeper/bomb.png"]


def test_the_command_tells_what_is_in_a_folder(awkward: Path, command) -> None:
    told = command("gentrain", "data", awkward)
    assert told.returncode == 0, told.stderr
    assert "11 images, 32×32, colour, 2 classes" in told.stdout
    assert "8 cats" in told.stdout
    assert "skipped cats/empty.png: empty file" in told.stdout


def test_order_and_fingerprint_do_not_depend_on_the_day(awkward: Path) -> None:
    first, second = (sources.read(str(awkward), FRAME) for _ in range(2))
    assert first.fingerprint == second.fingerprint
    Image.fromarray(gradient()[::-1, ::-1].copy()).save(awkward / "cats" / "grey.png")
    assert sources.read(str(awkward), FRAME).fingerprint != first.fingerprint


def test_grey_square_images_keep_their_channel_and_size(tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(gradient(28) + np.uint8(i)).save(tmp_path / f"{i}.png")
    data = sources.read(str(tmp_path), FRAME)
    assert data.images.shape == (3, 28, 28, 1)
    assert np.array_equal(data.images[0, ..., 0], gradient(28)), "no resampling where none is needed"
    assert data.labels is None


def test_transparent_pixels_lie_on_white(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:8, :, 3] = 255
    Image.fromarray(pixels).save(tmp_path / "half.png")
    Image.fromarray(pixels).save(tmp_path / "again.png")
    image = sources.read(str(tmp_path), FRAME).images[0]
    assert image[2].max() == 0
    assert image[12].min() == 255


def test_photographs_stand_upright(tmp_path: Path) -> None:
    picture = Image.fromarray(gradient())
    turned = Image.Exif()
    turned[0x0112] = 6  # the camera was held on its side
    picture.save(tmp_path / "turned.jpg", exif=turned, quality=95)
    column = sources.read(str(tmp_path), FRAME).images[0, :, 16, 0].astype(int)
    assert column[-1] > 200 > 50 > column[0]


def test_images_beside_sub_folders_make_no_classes_and_a_note(awkward: Path) -> None:
    Image.fromarray(gradient()).save(awkward / "loose.png")
    data = sources.read(str(awkward), FRAME)
    assert data.class_names == ()
    assert data.labels is None
    assert "1 images lie beside the sub-folders" in data.notes[0]


def test_a_class_of_broken_files_shifts_no_label(awkward: Path) -> None:
    broken = awkward / "birds"
    broken.mkdir()
    (broken / "one.png").write_text("no image")
    data = sources.read(str(awkward), FRAME)
    assert data.class_names == ("birds", "cats", "dogs")
    assert data.class_counts() == {"birds": 0, "cats": 8, "dogs": 3}


def test_more_than_half_broken_is_an_error(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"broken{i}.png").write_text("no image")
    Image.fromarray(gradient()).save(tmp_path / "good1.png")
    Image.fromarray(gradient()).save(tmp_path / "good2.png")
    with pytest.raises(TrainError, match=r"3 of 5 images are broken, for one broken0.png: not an image"):
        sources.read(str(tmp_path), FRAME)
    Image.fromarray(gradient()).save(tmp_path / "good3.png")
    assert len(sources.read(str(tmp_path), FRAME).images) == 3


def test_an_empty_folder_a_file_and_nothing_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="no images found"):
        sources.read(str(tmp_path), FRAME)
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainError, match="not a folder of images"):
        sources.read(str(tmp_path / "file"), FRAME)
    with pytest.raises(TrainError, match="no such data source"):
        sources.read(str(tmp_path / "nothing"), FRAME)


def test_the_digits_are_the_real_ones() -> None:
    data = sources.read("digits", FRAME)
    assert data.images.shape == (5000, 28, 28, 1)
    assert data.class_counts() == {str(digit): 500 for digit in range(10)}
    ones, zeros = (data.images[data.labels == digit].mean(axis=0)[..., 0] for digit in (1, 0))
    assert ones[14, 14] > 128 > zeros[14, 14], "ones are dense in the middle, zeros are empty there"
    assert sources.read("digits", Frame(resolution=16, channels=3)).images.shape == (5000, 16, 16, 3)
