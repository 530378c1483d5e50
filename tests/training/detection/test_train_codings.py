"""How files keep pictures: read from the files, and done to pictures of the other class."""

from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import tensorflow as tf
from gentrain import sources
from gentrain.detection import codings, webp
from gentrain.detection.codings import Coding
from PIL import Image

SIDE = 48


def picture(seed: int = 0, side: int = SIDE) -> Image.Image:
    """Soft blots of colour, with noise."""
    rng = np.random.default_rng(seed)
    blots = Image.fromarray(rng.integers(0, 256, (6, 6, 3), np.uint8)).resize((side, side), Image.Resampling.BICUBIC)
    return Image.fromarray((np.asarray(blots) * 0.8 + rng.integers(0, 50, (side, side, 3))).astype(np.uint8))


def coded(image: Image.Image, kind: str, **options: int) -> bytes:
    with io.BytesIO() as file:
        image.save(file, kind, **options)
        return file.getvalue()


CASES: dict[str, tuple[str, dict[str, int]]] = {
    "png": ("PNG", {}),
    "jpeg": ("JPEG", {"quality": 60}),
    "fine": ("JPEG", {"quality": 90, "subsampling": 0}),
    "lossless": ("WEBP", {"lossless": True}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_picture_comes_back_as_from_a_file_of_that_coding(tmp_path: Path, name: str) -> None:
    kind, options = CASES[name]
    for seed in range(3):
        (tmp_path / f"{seed}.{kind.lower()}").write_bytes(coded(picture(seed), kind, **options))
    found, notes = codings.of_files(sources.find(str(tmp_path)))
    assert not notes
    assert {coding.size for coding in found} == {(SIDE, SIDE)}
    other = picture(9)
    expected = np.asarray(Image.open(io.BytesIO(coded(other, kind, **options))).convert("RGB")).astype(int)
    made = np.asarray(codings.through(other, found[0], "center"))
    np.testing.assert_array_equal(made, expected)
    assert found[0].leaves(SIDE) == (name in ("png", "lossless"))


def test_files_in_archives_are_looked_at_and_what_cannot_be_evened_out_is_said(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.writestr("a.jpg", coded(picture(), "JPEG", quality=30))
        archive.writestr("b.gif", coded(picture(), "GIF"))
        archive.writestr("c.png", b"broken")
    found, notes = codings.of_files(sources.find(str(tmp_path / "all.zip")))
    assert [bool(coding.tables) for coding in found] == [True, False]
    assert len(notes) == 1
    assert "1 of 2 files looked at are GIF" in notes[0]
    assert codings.of_files(sources.find("digits")) == ((), [])


@pytest.mark.parametrize("quality", [20, 75, 90])
def test_the_quality_of_lossy_webp_is_that_by_which_its_quantiser_is_met(quality: int) -> None:
    for image in (picture(1), picture(2, 200), picture(3).convert("L")):
        index = webp.quantiser(io.BytesIO(coded(image, "WEBP", quality=quality)))
        assert index is not None
        assert abs(webp.quality(image, index) - quality) <= 2
        coarser = webp.quantiser(io.BytesIO(coded(image, "WEBP", quality=quality - 9)))
        assert coarser is not None
        assert coarser > index


def test_the_ends_of_the_quality_of_webp_have_the_quantisers_of_the_standard() -> None:
    ends = [webp.quantiser(io.BytesIO(coded(picture(1), "WEBP", quality=quality))) for quality in (0, 100)]
    assert ends == [127, 0]


def test_an_animation_has_the_quality_of_its_first_frame_and_alpha_changes_nothing() -> None:
    plain, first = picture(1), webp.quantiser(io.BytesIO(coded(picture(1), "WEBP", quality=40)))
    seen_through = plain.copy()
    seen_through.putalpha(90)
    assert webp.quantiser(io.BytesIO(coded(seen_through, "WEBP", quality=40))) == first
    with io.BytesIO() as file:
        plain.save(file, "WEBP", quality=40, save_all=True, append_images=[picture(2)])
        assert abs((webp.quantiser(file) or 0) - (first or 0)) <= 2, "animations are coded a little differently"


def test_webp_that_ends_anywhere_is_passed_over(tmp_path: Path) -> None:
    whole = coded(picture(), "WEBP", quality=50)
    for end in (*range(70), len(whole) // 2):
        (tmp_path / f"{end:03}.webp").write_bytes(whole[:end])
        if end < 31:
            with pytest.raises(ValueError, match=r"WebP|picture|key frame|header"):
                webp.quantiser(io.BytesIO(whole[:end]))
    (tmp_path / "whole.webp").write_bytes(whole)
    (tmp_path / "inter.webp").write_bytes(whole[:20] + bytes([whole[20] | 1]) + whole[21:])
    found, notes = codings.of_files(sources.find(str(tmp_path)))
    assert (
        Coding(
            (SIDE, SIDE), quality=webp.quality(Image.open(io.BytesIO(whole)), webp.quantiser(io.BytesIO(whole)) or 0)
        )
        in found
    )
    assert notes == []


def test_files_in_tar_parquet_and_records_are_looked_at(tmp_path: Path) -> None:
    files = [coded(picture(seed), "JPEG", quality=30) for seed in range(3)]
    with tarfile.open(tmp_path / "all.tar", "w") as archive:
        for number, content in enumerate(files):
            member = tarfile.TarInfo(f"{number}.jpg")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    rows = pyarrow.table({"image": [{"bytes": content, "path": None} for content in files]})
    pyarrow.parquet.write_table(rows, tmp_path / "all.parquet")
    with tf.io.TFRecordWriter(str(tmp_path / "all.tfrecord")) as writer:
        for content in files:
            feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[content]))
            example = tf.train.Example(features=tf.train.Features(feature={"image/encoded": feature}))
            writer.write(example.SerializeToString())
    expected = Coding((SIDE, SIDE), tuple(map(tuple, Image.open(io.BytesIO(files[0])).quantization.values())), 2)
    for name in ("all.tar", "all.parquet", "all.tfrecord"):
        assert codings.of_files(sources.find(str(tmp_path / name))) == ((expected,) * 3, []), name


def test_a_part_of_a_larger_file_keeps_the_places_of_its_blocks() -> None:
    large = picture(1, 60)
    whole = Image.open(io.BytesIO(coded(large, "JPEG", quality=20, subsampling=0)))
    cut = (6, 6, 54, 54)
    tables = tuple(tuple(whole.quantization[number]) for number in sorted(whole.quantization))
    at_size = Coding((SIDE, SIDE), tables, 0)
    expected = np.asarray(whole.crop(cut)).astype(int)
    assert np.abs(np.asarray(codings._coded(large.crop(cut), at_size, 6, 6)) - expected).mean() < 3
    assert np.abs(np.asarray(codings._coded(large.crop(cut), at_size, 0, 0)) - expected).mean() > 6


def test_what_is_lost_by_a_larger_file_is_its_coding_and_not_the_way_there_and_back() -> None:
    image = picture(2)
    pixels = np.asarray(image).astype(int)
    back = np.asarray(codings._enlarged(image, (96, 96)).resize((SIDE, SIDE), Image.Resampling.LANCZOS))
    plain = codings.through(image, Coding((96, 96), resized=True), "center")
    assert np.abs(back - pixels).mean() < 0.5 * np.abs(np.asarray(plain) - pixels).mean()
    assert codings.through(image, Coding((96, 96)), "center") is image


def test_real_pictures_are_resized_as_generated_ones_only_where_they_are_not_reduced_themselves() -> None:
    small, large = (Coding((SIDE, SIDE)),), (Coding((96, 96)),)
    assert [
        each[0].resized
        for each in (
            codings.compared(small, large, SIDE),
            codings.compared(large, large, SIDE),
            codings.compared(small, small, SIDE),
        )
    ] == [True, False, False]
