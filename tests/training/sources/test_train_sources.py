"""Images as people have them: every kind and container, broken files, and names that are not text."""

from __future__ import annotations

import io
import os
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from gentrain import sources
from gentrain.data.dataset import Frame
from gentrain.errors import TrainError, UsageError
from PIL import Image, PngImagePlugin

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
    done = command("gentrain", "data", awkward, "--sheet", awkward / "sheet.png")
    assert done.returncode == 0, done.stderr
    assert "11 images, 32×32, colour, 2 classes" in done.stdout
    assert "8 cats" in done.stdout
    assert "skipped cats/empty.png: empty file" in done.stdout


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


def test_a_class_without_images_is_no_class_and_few_images_are_warned_of(tmp_path: Path, command) -> None:
    for name, count in (("bird", 0), ("cat", 100), ("dog", 1)):
        (tmp_path / name).mkdir()
        for i in range(count):
            Image.new("L", (16, 16), i + 120 * (name == "dog")).save(tmp_path / name / f"{i}.png")
    (tmp_path / "bird" / "one.png").write_text("no image")
    data = sources.read(str(tmp_path), FRAME)
    assert data.class_counts() == {"cat": 100, "dog": 1}
    assert np.bincount(data.labels).tolist() == [100, 1]
    assert "no images of bird: no class of what has none" in data.notes
    assert data.warnings == ("classes of fewer than 10 images: dog (1)",)
    done = command("gentrain", "data", tmp_path / "dog", cwd=tmp_path)
    assert "only 1 images: a GAN learns so few by heart" in done.stdout


def test_more_than_half_broken_is_an_error(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"broken{i}.png").write_text("no image")
    Image.fromarray(gradient()).save(tmp_path / "good1.png")
    Image.fromarray(gradient()).save(tmp_path / "good2.png")
    with pytest.raises(TrainError, match=r"3 of 5 images are broken, for one broken0.png: not an image"):
        sources.read(str(tmp_path), FRAME)
    Image.fromarray(gradient()).save(tmp_path / "good3.png")
    assert len(sources.read(str(tmp_path), FRAME).images) == 3


def test_an_empty_folder_a_file_and_nothing_are_distinguished(tmp_path: Path) -> None:
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


def test_a_folder_of_traps_is_read_without_harm(tmp_path: Path) -> None:
    for i in range(6):
        Image.fromarray(gradient(32)).save(tmp_path / f"good{i}.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "device.png").symlink_to("/dev/zero")
    (tmp_path / "self.png").symlink_to("self.png")
    (tmp_path / "postscript.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\nshowpage\n")
    (tmp_path / "line\nbreak.png").write_bytes(b"no image")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "again").symlink_to(tmp_path)
    text = PngImagePlugin.PngInfo()
    text.add_text("comment", "x" * 3_000_000, zip=True)
    Image.fromarray(gradient(32)).save(tmp_path / "text.png", pnginfo=text)
    data = sources.read(str(tmp_path), FRAME)
    skipped = {entry.file: entry.reason for entry in data.skipped}
    assert len(data.images) == 6
    assert skipped.keys() == {"pipe.png", "device.png", "self.png", "postscript.png", "line\\nbreak.png", "text.png"}
    assert skipped["pipe.png"] == skipped["device.png"] == "not a regular file"
    assert skipped["postscript.png"] == "not an image that Pillow can read"
    assert data.notes == ("again is the folder itself again and is left out",)


def test_the_first_frame_stands_for_an_animation(tmp_path: Path) -> None:
    frames = [Image.fromarray(np.full((16, 16, 3), value, np.uint8)) for value in (200, 10, 90)]
    for name, options in (("a.gif", {}), ("b.png", {}), ("c.webp", {"lossless": True})):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
    assert np.unique(sources.read(str(tmp_path), FRAME).images).tolist() == [200]


def test_broken_exif_and_colour_profiles_spoil_no_image(tmp_path: Path) -> None:
    picture = Image.fromarray(gradient(32))
    picture.save(tmp_path / "exif.jpg", exif=b"Exif\0\0II*\0\xff\xff\xff\xff\x01", quality=95)
    picture.save(tmp_path / "profile.png", icc_profile=b"not a profile")
    data = sources.read(str(tmp_path), FRAME)
    assert (len(data.images), data.skipped) == (2, ())


def test_palettes_with_alpha_lie_on_the_background_that_is_requested(tmp_path: Path) -> None:
    pixels = np.zeros((16, 16, 4), np.uint8)
    pixels[:8] = (0, 0, 0, 255)
    Image.fromarray(pixels).quantize(4).save(tmp_path / "palette.png")
    Image.fromarray(pixels[..., 2:]).save(tmp_path / "grey.png")
    for image in sources.read(str(tmp_path), Frame(16, background="#ff8000")).images:
        assert image[2].max() == 0
        assert image[12, 5].tolist() == [255, 128, 0]
    assert sources.read(str(tmp_path), Frame(16, 1, background="black")).images.max() == 0


def test_a_frame_that_cannot_be_is_wrong_use() -> None:
    for wrong in (
        {"background": "blueish"},
        {"background": "#ff000080"},
        {"crop": "left"},
        {"channels": 2},
        {"resolution": 30},
        {"resolution": 260},
    ):
        with pytest.raises(UsageError, match=f"{next(iter(wrong))} must be"):
            Frame(**({"resolution": 32} | wrong))


def test_crop_takes_the_middle_or_everything(tmp_path: Path) -> None:
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 20:40] = 255
    for name in ("a.png", "b.png"):
        Image.fromarray(wide).save(tmp_path / name)
    middle = sources.read(str(tmp_path), Frame(20)).images[0, ..., 0]
    everything = sources.read(str(tmp_path), Frame(20, crop="none")).images[0, ..., 0]
    assert middle.min() == 255
    assert everything[:, :4].max() == everything[:, -4:].max() == 0
    assert everything[10, 10] == 255


def test_large_photographs_keep_their_pixels_though_decoded_at_a_part_of_their_size(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = Image.fromarray(rng.integers(0, 256, (12, 16, 3), np.uint8)).resize((1600, 1200), Image.Resampling.BICUBIC)
    whole.save(tmp_path / "a.jpg", quality=95)
    whole.save(tmp_path / "b.png")
    jpeg, png = sources.read(str(tmp_path), FRAME).images.astype(int)
    assert np.abs(jpeg - png).mean() < 1.5


def test_classes_named_by_numbers_stand_in_the_order_of_the_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 9, 1):
        (tmp_path / str(number)).mkdir()
        Image.fromarray(np.full((8, 8), number, np.uint8)).save(tmp_path / str(number) / "a.png")
    data = sources.read(str(tmp_path), FRAME)
    assert data.class_names == ("1", "2", "9", "10")
    assert [int(data.class_names[label]) for label in data.labels] == data.images[:, 0, 0, 0].tolist()
    assert "number 1 has label 0" in data.notes[0]


def test_folders_that_look_alike_are_refused_rather_than_mixed(tmp_path: Path) -> None:
    for name in (b"caf\xe9", rb"caf\xe9"):
        folder = os.fsencode(tmp_path) + b"/" + name
        os.mkdir(folder)
        with open(folder + b"/a.png", "wb") as file:
            Image.fromarray(gradient()).save(file, "PNG")
    with pytest.raises(TrainError, match="two sub-folders are both shown as"):
        sources.read(str(tmp_path), FRAME)


def test_the_command_prints_any_name_on_any_terminal(tmp_path: Path, command) -> None:
    folder = os.fsencode(tmp_path) + b"/caf\xe9-\xf0\x9f\x90\xb1"
    os.mkdir(folder)
    with open(folder + b"/a.png", "wb") as file:
        Image.fromarray(gradient()).save(file, "PNG")
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    done = command("gentrain", "data", os.fsdecode(folder), cwd=tmp_path, env=environment, encoding="latin-1")
    assert done.returncode == 0, done.stderr
    assert "caf\\xe9-\\U0001f431: 1 images" in done.stdout
    assert Image.open(tmp_path / done.stdout.split("contact sheet: ")[1].strip()).width > 500


# Archives


def test_an_archive_holds_what_its_folder_holds(awkward: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (awkward / "dogs" / "deeper" / "loop").unlink()
    (awkward / "dogs" / "deeper" / "gone.png").unlink()
    next(file for file in (awkward / "cats").iterdir() if not file.name.isascii()).unlink()
    path = tmp_path_factory.mktemp("zip") / "pets.ZIP"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(awkward.rglob("*"), reverse=True):
            archive.write(file, Path("pets") / file.relative_to(awkward))
        archive.writestr("__MACOSX/pets/cats/._grey.png", "junk")
    folder, zipped = sources.read(str(awkward), FRAME), sources.read(str(path), FRAME)
    assert np.array_equal(folder.images, zipped.images)
    assert np.array_equal(folder.labels, zipped.labels)
    assert (folder.class_names, folder.skipped) == (zipped.class_names, zipped.skipped)
    assert zipped.notes == ("all images lie in pets, which is not taken as a class",)


def test_bad_entries_of_an_archive_are_skipped_by_name(tmp_path: Path) -> None:
    png = io.BytesIO()
    Image.fromarray(gradient()).save(png, "PNG")
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("a.png", "b.png", "c.png", "encrypted.png", "damaged.png"):
            archive.writestr(zipfile.ZipInfo(name), png.getvalue())
        archive.writestr("bomb.png", bytes(300 * 2**20))
    content = bytearray(path.read_bytes())
    content[content.rindex(b"encrypted.png") - 46 + 8] |= 1  # the flag in the central directory
    content[content.index(b"damaged.png") + 60] ^= 255
    path.write_bytes(content)
    data = sources.read(str(path), FRAME)
    assert len(data.images) == 3
    assert {entry.file: entry.reason for entry in data.skipped} == {
        "encrypted.png": "encrypted",
        "damaged.png": "damaged in the archive",
        "bomb.png": "unpacks to 300 MiB, too large for an image",
    }


def test_a_cut_archive_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.png", bytes(5000))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(TrainError, match=r"images.zip: damaged, cut short, or no zip archive"):
        sources.read(str(path), FRAME)


def test_celeba_is_cropped_to_the_middle_and_has_no_classes(tmp_path: Path) -> None:
    face = np.zeros((218, 178, 3), np.uint8)
    face[20:198] = 255
    (tmp_path / "img_align_celeba").mkdir()
    for i in range(3):
        Image.fromarray(face).save(tmp_path / "img_align_celeba" / f"{i:06}.jpg", quality=100)
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        archive.write(tmp_path / "img_align_celeba" / "000000.jpg")
    for source in (f"celeba:{tmp_path}", f"celeba:{tmp_path / 'faces.zip'}"):
        data = sources.read(source, Frame(64))
        assert data.images.shape[1:] == (64, 64, 3)
        assert data.images.min() > 200
        assert (data.source, data.class_names, data.labels) == (source, (), None)
    with pytest.raises(UsageError, match="celeba needs a path"):
        sources.read("celeba", FRAME)


def test_a_stray_file_does_not_turn_a_folder_of_images_into_something_else(tmp_path: Path) -> None:
    for i in range(2):
        Image.fromarray(gradient()).save(tmp_path / f"{i}.png")
    (tmp_path / "old.tfrecord").write_bytes(b"")
    (tmp_path / "train-images-idx3-ubyte").write_bytes(b"")
    assert len(sources.read(str(tmp_path), FRAME).images) == 2


def test_size_and_channels_follow_from_all_images_not_from_the_first(tmp_path: Path) -> None:
    def shape() -> tuple[int, ...]:
        return sources.read(str(tmp_path), FRAME).images.shape[1:]

    Image.new("L", (16, 16)).save(tmp_path / "a.png")
    assert shape() == (16, 16, 1)
    Image.new("RGB", (16, 16)).save(tmp_path / "b.png")
    assert shape() == (16, 16, 3)
    Image.new("RGB", (24, 24)).save(tmp_path / "c.png")
    assert shape() == (32, 32, 3)
