"""What pictures hold: more than 8 bits, floats, HEIC, huge JPEG files, files that genline wrote, copies, rectangles."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from gentrain import sources
from gentrain.data import holdout
from gentrain.data.contact_sheet import save_contact_sheet
from gentrain.data.dataset import Frame
from gentrain.errors import TrainError, UsageError
from PIL import Image

FRAME = Frame(16)
RAMP = np.tile(np.linspace(0, 1, 16), (16, 1))
# The entry of a TIFF file that says whether its samples have a sign.
SIGNED, UNSIGNED = (b"\x53\x01\x03\0\x01\0\0\0" + bytes([kind, 0, 0, 0]) for kind in (2, 1))


def saved(folder: Path, **arrays: np.ndarray) -> str:
    for name, pixels in arrays.items():
        path = folder / name.replace("_", ".")
        Image.fromarray(pixels.view(np.int32) if pixels.dtype == np.uint32 else pixels).save(path)
        if pixels.dtype == np.uint32:
            assert SIGNED in path.read_bytes()
            path.write_bytes(path.read_bytes().replace(SIGNED, UNSIGNED))
    return str(folder)


DEEP = {
    "12 bits in 16": (
        np.rint(RAMP * 4080).astype(np.uint16),
        "png",
        "16-bit images hold 0 to 4080, taken as 0 to 4095",
    ),
    "10 bits in 16": (np.rint(RAMP * 1023).astype(np.uint16), "png", "taken as 0 to 1023"),
    "16 bits": (np.rint(RAMP * 65535).astype(np.uint16), "tif", "taken as 0 to 65535"),
    "8 bits in 32": (np.rint(RAMP * 255).astype(np.int32), "tif", "32-bit images hold 0 to 255, taken as 0 to 255"),
    "12 bits in 32": (np.rint(RAMP * 4095).astype(np.int32), "tif", "taken as 0 to 4095"),
    "all of 32": (np.rint(RAMP * 4294967295).astype(np.uint32), "tif", "taken as 0 to 4.29497e+09"),
    "below zero": (np.rint(RAMP * 2000 - 1000).astype(np.int32), "tif", "taken as -1000 to 1000"),
    "floats to 1": (RAMP.astype(np.float32), "tif", "floating point images hold 0 to 1, taken as 0 to 1"),
    "floats from -1": ((RAMP * 2 - 1).astype(np.float32), "tif", "taken as -1 to 1"),
    "floats to 255": ((RAMP * 255).astype(np.float32), "tif", "taken as 0 to 255"),
}


@pytest.mark.parametrize(("pixels", "kind", "line"), DEEP.values(), ids=DEEP)
def test_more_than_8_bits_are_neither_black_nor_silent(tmp_path: Path, pixels, kind, line) -> None:
    dark = (pixels.astype(np.float64) / 4).astype(pixels.dtype)
    data = sources.read(saved(tmp_path, **{f"a_{kind}": pixels, f"b_{kind}": dark}), FRAME)
    assert np.abs(data.images[0, ..., 0] - RAMP * 255).max() <= 2
    assert data.images.shape[-1] == 1
    assert line in data.understood
    if pixels.min() >= 0:
        assert data.images[1].max() <= 65, "one range for all of them: a dark image stays dark"


def test_a_range_that_is_requested_is_taken_in_files_and_in_arrays(tmp_path: Path) -> None:
    pixels = np.rint(RAMP * 4000).astype(np.uint16)
    np.save(tmp_path / "many.npy", pixels[None])
    (tmp_path / "files").mkdir()
    saved(tmp_path / "files", a_png=pixels)
    for source in (tmp_path / "many.npy", tmp_path / "files"):
        data = sources.read(str(source), Frame(16, value_range="0:2000"))
        assert np.abs(data.images[0, ..., 0] - np.minimum(RAMP * 2, 1) * 255).max() <= 1
        assert "hold 0 to 4000, taken as 0 to 2000 (--value-range sets it)" in data.understood
    for wrong in ("5", "5:1", "a:b", "0:inf", "1:2:3"):
        with pytest.raises(UsageError, match="value_range must be LOW:HIGH"):
            Frame(16, value_range=wrong)


def test_8_bits_beside_16_stay_what_they_are_and_broken_floats_are_skipped(tmp_path: Path) -> None:
    eight = np.rint(RAMP * 255).astype(np.uint8)
    holes = np.where(RAMP > 0.5, np.nan, RAMP).astype(np.float32)
    twelve = np.rint(RAMP * 4095).astype(np.uint16)
    data = sources.read(saved(tmp_path, a_png=eight, b_png=twelve, c_tif=holes), FRAME)
    assert np.abs(data.images[..., 0] - RAMP * 255).max() <= 1
    assert [(s.file, s.reason) for s in data.skipped] == [("c.tif", "has values that are not finite")]
    for name in ("b.png", "c.tif"):
        (tmp_path / name).unlink()
    assert (
        "changes nothing: all images have 8 bits" in sources.read(str(tmp_path), Frame(16, value_range="0:9")).notes[0]
    )


def test_content_decides_what_is_an_image_and_the_rest_is_counted(tmp_path: Path) -> None:
    picture = Image.fromarray(np.rint(RAMP * 255).astype(np.uint8)).convert("RGB").resize((64, 64))
    pillow_heif.from_pillow(picture).save(tmp_path / "photo.HEIC", quality=95)
    shutil.copy(tmp_path / "photo.HEIC", tmp_path / "named_wrongly.jpg")
    picture.save(tmp_path / "no ending", "PNG")
    picture.save(tmp_path / "picture.dat", "JPEG", quality=95)
    picture.save(tmp_path / "png named.jpg", "PNG")
    for name in ("a.mov", "b.mov", "c.xyz", "nothing"):
        (tmp_path / name).write_bytes(b"\0\0\0\x14ftypqt  no image at all")
    data = sources.read(str(tmp_path), FRAME)
    assert len(data.images) == 5
    assert np.abs(data.images[..., 0] - RAMP * 255).max() < 16
    assert data.left_out == {".mov": 2, ".xyz": 1, "": 1}
    assert "left out: 2 .mov, 1 without an ending, 1 .xyz" in data.understood
    for path in tmp_path.iterdir():
        if path.suffix != ".mov":
            path.unlink()
    with pytest.raises(TrainError, match=r"no images found .* and others, found 2 .mov\)"):
        sources.read(str(tmp_path), FRAME)


def test_without_pillow_heif_photographs_are_counted_with_what_to_install(tmp_path: Path, command) -> None:
    for i in range(2):
        Image.new("L", (16, 16), i).save(tmp_path / f"{i}.png")
        (tmp_path / f"{i}.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    hidden = tmp_path / ".hidden" / "pillow_heif.py"
    hidden.parent.mkdir()
    hidden.write_text("raise ImportError('not installed')\n")
    environment = os.environ | {"PYTHONPATH": str(hidden.parent)}
    done = command("gentrain", "data", tmp_path, "--sheet", tmp_path / "sheet.png", env=environment)
    assert "2 images" in done.stdout
    assert "left out: 2 .heic (install pillow-heif)" in done.stdout
    assert "skipped" not in done.stdout


def test_a_huge_jpeg_is_decoded_at_a_part_of_its_size_and_pillows_limit_stays(tmp_path: Path) -> None:
    limit = Image.MAX_IMAGE_PIXELS
    assert limit is not None
    huge = Image.new("L", (12000, 9000), 200)
    huge.save(tmp_path / "huge.jpg")
    Image.new("L", (1600, 1500), 100).save(tmp_path / "less.png")
    data = sources.read(str(tmp_path), Frame(16, max_megapixels=3))
    assert data.images[:, 0, 0, 0].tolist() == [200, 100]
    assert limit == Image.MAX_IMAGE_PIXELS
    data = sources.read(str(tmp_path), Frame(16, max_megapixels=2))
    ((file, reason),) = ((s.file, s.reason) for s in data.skipped)
    assert (file, reason) == (
        "less.png",
        "1600×1500 pixels are too many: 2.4 megapixels to decode, max_megapixels is 2",
    )


def test_files_that_genline_wrote_are_never_images(tmp_path: Path, command) -> None:
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        Image.new("L", (16, 16), len(name)).save(tmp_path / name / "a.png")
    before = sources.read(str(tmp_path), FRAME)
    done = command("gentrain", "data", ".", cwd=tmp_path)
    sheet = Path(done.stdout.split("contact sheet: ")[1].strip())
    assert sheet.is_file()
    assert tmp_path not in sheet.resolve().parents
    for place in (tmp_path, tmp_path / "cat"):
        save_contact_sheet(before, place / "sheet.png")
    data = sources.read(str(tmp_path), FRAME)
    assert (data.class_names, data.fingerprint) == (("cat", "dog"), before.fingerprint)
    assert {s.file for s in data.skipped} == {"sheet.png", "cat/sheet.png"}
    assert all("written by genline" in s.reason for s in data.skipped)


def test_copies_are_found_by_content_and_told(tmp_path: Path) -> None:
    for i in range(4):
        Image.new("L", (16, 16), i).save(tmp_path / f"{i}.png")
        Image.new("L", (16, 16), i).save(tmp_path / f"{i} copy.bmp")
    data = sources.read(str(tmp_path), FRAME)
    assert data.images[data.distinct, 0, 0, 0].tolist() == [0, 1, 2, 3]
    trained, unseen = holdout.split(data, 1)
    assert not set(data.images[trained, 0, 0, 0]) & set(data.images[unseen, 0, 0, 0]), "no copy of what is held out"
    assert len(trained) == 6
    assert "4 of 8 images are copies of others, pixel by pixel; measures take each once" in data.warnings
    assert data.describe()["duplicates"] == 4


def test_grey_images_stored_in_colour_are_told(tmp_path: Path, command) -> None:
    for i in range(2):
        Image.new("L", (16, 16), 50 * i).convert("RGB").save(tmp_path / f"{i}.jpg")
    assert sources.read(str(tmp_path), FRAME).warnings[-1] == (
        "all images are grey though stored in colour; --channels 1 makes them so"
    )
    assert "grey" not in " ".join(sources.read(str(tmp_path), Frame(16, 3)).warnings), "who asks for colour has it"
    Image.new("RGB", (16, 16), "red").save(tmp_path / "red.png")
    assert not sources.read(str(tmp_path), FRAME).grey_in_colour


def test_padded_images_lie_whole_on_the_background(tmp_path: Path) -> None:
    Image.new("RGB", (60, 40), "red").save(tmp_path / "wide.png")
    Image.new("RGB", (40, 60), "red").save(tmp_path / "high.png")
    high, wide = sources.read(str(tmp_path), Frame(24, crop="pad", background="blue")).images
    for image in (wide, high.swapaxes(0, 1)):
        assert (image[7:17] == (255, 0, 0)).all()
        assert (image[:1] == (0, 0, 255)).all()
        assert (image[-1:] == (0, 0, 255)).all()
        reds = (image[..., 0] > 127).sum()
        assert reds == 16 * 24, "two thirds of the square"
