"""Rectangles: what --resolution WIDTHxHEIGHT makes of pictures, and where it is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from gentrain import sources
from gentrain.data.dataset import Frame
from gentrain.errors import UsageError
from gentrain.settings import parse_change
from PIL import Image

ORIENTATION = 274


@pytest.fixture
def bands(tmp_path: Path) -> str:
    """A folder with a picture of three stripes side by side, 3:2, and the same on its side."""
    folder = tmp_path / "data"
    folder.mkdir()
    stripes = np.repeat(np.uint8([[255, 0, 0], [0, 255, 0], [0, 0, 255]]), 20, axis=0)
    wide = np.broadcast_to(stripes, (40, 60, 3))
    Image.fromarray(np.ascontiguousarray(wide.swapaxes(0, 1))).save(folder / "high.png")
    Image.fromarray(np.ascontiguousarray(wide)).save(folder / "wide.png")
    return str(folder)


def test_each_crop_brings_any_picture_to_the_rectangle(bands: str) -> None:
    high, wide = sources.read(bands, Frame("24x16")).images
    assert high.shape == wide.shape == (16, 24, 3)
    assert (wide[8, [2, 12, 21]].argmax(axis=1) == [0, 1, 2]).all(), "nothing is lost of 3:2"
    assert (high[[0, 8, -1], 12].argmax(axis=1) == [0, 1, 2]).all(), "40×26 pixels in the middle: of 20 green ones"
    assert (high[3:13, 12, 1] > 240).all(), "and 3 each of the others"

    high, wide = sources.read(bands, Frame("24x16", crop="pad", background="white")).images
    assert (wide[8, [2, 12, 21]].argmax(axis=1) == [0, 1, 2]).all(), "no border where none is needed"
    assert (high[:, :6] > 245).all(), "40×60 in the middle of 90×60"
    assert (high[:, -6:] > 245).all()
    assert (high[[2, 8, 13], 12].argmax(axis=1) == [0, 1, 2]).all()

    high, wide = sources.read(bands, Frame("24x16", crop="none")).images
    assert (high[[2, 8, 13], 0].argmax(axis=1) == [0, 1, 2]).all(), "all of it, squeezed"


def test_a_rectangle_holds_for_any_images_and_a_number_means_squares(tmp_path: Path) -> None:
    np.save(tmp_path / "small.npy", np.zeros((3, 16, 24, 1), np.uint8))
    np.save(tmp_path / "square.npy", np.zeros((3, 16, 16, 1), np.uint8))

    def shape(name: str, resolution: int | str) -> tuple[int, ...]:
        return sources.read(str(tmp_path / f"{name}.npy"), Frame(resolution)).images.shape[1:]

    assert shape("small", "24x16") == (16, 24, 1)
    assert shape("small", "48x32") == (32, 48, 1), "they are enlarged, as is asked for"
    assert shape("small", 32) == (32, 32, 1), "squares, as ever"
    assert shape("square", 32) == (16, 16, 1), "as they are"
    assert shape("square", "32x32") == (32, 32, 1), "exactly so many pixels"
    assert shape("square", "8x32") == (32, 8, 1)


def test_photographs_that_lie_on_their_side_keep_their_pixels(tmp_path: Path) -> None:
    """A JPEG is decoded at a part of its size, which must do for the picture as it is looked at."""
    noise = np.random.default_rng(0).integers(0, 256, (800, 400, 3), np.uint8)
    image = Image.fromarray(noise).resize((800, 1600), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    image.rotate(90, expand=True).save(tmp_path / "turned.jpg", quality=98, exif=exif, subsampling=0)
    image.save(tmp_path / "upright.jpg", quality=98, subsampling=0)
    turned, expected = sources.read(str(tmp_path), Frame("256x64")).images.astype(int)
    assert np.abs(turned - expected).mean() < 1


@pytest.mark.parametrize("wrong", ["96x", "x64", "96x66", "300x64", "96x64x3", "4x8", "", "-8x16", "wide", "30"])
def test_what_is_no_size_is_refused_in_one_line(wrong: str, gentrain) -> None:
    code, _, err = gentrain("fit", "--data", "digits", "--run", "run", "--resolution", wrong)
    assert code == 2
    assert err.count("\n") == 1
    assert "resolution must be a multiple of 4 from 8 to 256, or two of them as WIDTHxHEIGHT such as 96x64" in err
    with pytest.raises(UsageError, match="WIDTHxHEIGHT"):
        parse_change(f"resolution={wrong}")


def test_sizes_are_written_in_one_way() -> None:
    assert [parse_change(f"resolution={text}")[1] for text in ("96x64", "96X64", "96×64", " 64 ")] == [
        "96x64",
        "96x64",
        "96x64",
        64,
    ]


def test_what_is_made_of_pictures_or_words_or_moves_is_square(bands: str, gentrain) -> None:
    for options in (
        ("--style", bands),
        ("--captions", "auto"),
        ("--frames", 4),
        ("--from", "grey"),
        ("--hints", "--from", "outline"),
    ):
        code, _, err = gentrain("fit", "--data", bands, "--run", "run", "--resolution", "96x64", *options)
        assert code == 2, options
        assert err.count("\n") == 1
        assert "96x64: rectangles are for latents and classes" in err
    code, _, err = gentrain("data", f"pairs:{bands}", "--resolution", "96x64")
    assert code == 2, err
    assert err.splitlines()[-1].startswith("gentrain: resolution 96x64: rectangles are for latents and classes")
    assert not Path("run").exists()
