"""Pairs of pictures: which belong together, what is said of the others, and inputs that are made of the images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gentrain import sources
from gentrain.data.dataset import Dataset, Frame
from gentrain.errors import TrainError, UsageError
from gentrain.progress import summary
from gentrain.sources import prepared
from PIL import Image

SIDE = 16
COUNT = 70  # more than a chunk of the decoder


def picture(red: int, shape: tuple[int, int] = (SIDE, SIDE), **options: object) -> Image.Image:
    """One colour, whose red tells which picture it is."""
    return Image.fromarray(np.full((*shape, 3), (red, 0, 255), np.uint8))


def folders(root: Path, names: list[str], suffix: str = ".png") -> Path:
    """`root/a` with pictures of a red, and `root/b` with the partners of the same red and one more."""
    for number, name in enumerate(names):
        for side in "ab":
            path = root / side / f"{name}{suffix if side == 'b' else '.png'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture(3 * number + (side == "b")).save(path)
    return root


def are_pairs(data: Dataset) -> bool:
    """Whether each input lies beside its own target, whose red is one more."""
    inputs, targets = (pixels[:, 5, 5, 0].astype(int) for pixels in (data.columns["image"], data.images))
    return bool((targets == inputs + 1).all()) and len(set(targets)) == len(targets)


def read(source: object, **options: object) -> Dataset:
    return sources.read(str(source), Frame(SIDE, **options))  # type: ignore[arg-type]


def test_files_of_equal_names_are_pairs_whatever_their_endings_and_broken_ones_leave_no_gap(tmp_path: Path) -> None:
    root = folders(tmp_path, [f"sub/{number:02}" for number in range(COUNT)], ".bmp")
    (root / "a" / "sub" / "07.png").write_bytes(b"no picture")
    (root / "b" / "sub" / "50.bmp").write_bytes(b"")
    data = read(f"pairs:{root}/a,{root}/b")
    assert len(data.images) == len(data.columns["image"]) == COUNT - 2
    assert are_pairs(data)
    assert {skipped.file for skipped in data.skipped} == {"sub/07.bmp", "sub/50.bmp"}
    again = read(f"pairs:{root}/a,{root}/b")
    np.testing.assert_array_equal(again.columns["image"], data.columns["image"])
    assert again.fingerprint == data.fingerprint


def test_other_inputs_are_other_data(tmp_path: Path) -> None:
    root = folders(tmp_path, ["1", "2"])
    before = read(f"pairs:{root}/a,{root}/b").fingerprint
    first, second = (root / "a" / f"{name}.png" for name in "12")
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)
    assert read(f"pairs:{root}/a,{root}/b").fingerprint != before


def test_what_has_no_partner_is_counted_and_three_are_named(tmp_path: Path) -> None:
    root = folders(tmp_path, ["1", "2", "3"])
    for name in "vwxyz":
        picture(9).save(root / "a" / f"{name}.png")
    said = summary(read(f"pairs:{root}/a,{root}/b"))
    names = ", ".join(f"{root}/a/{name}.png" for name in "vwx")
    assert f"3 pairs, {root}/a → {root}/b; 5 without a partner: {names} and 2 more" in said


def test_a_photo_that_was_turned_by_its_camera_fits_one_that_was_not(tmp_path: Path) -> None:
    root = folders(tmp_path, ["1", "2"])
    turned = picture(0, (20, 32))  # lies on its side
    exif = Image.Exif()
    exif[274] = 6
    turned.save(root / "a" / "1.png", exif=exif)
    picture(1, (32, 20)).save(root / "b" / "1.png")
    assert are_pairs(read(f"pairs:{root}/a,{root}/b"))


def test_inputs_and_targets_keep_their_channels_and_a_small_input_is_enlarged(tmp_path: Path) -> None:
    root = folders(tmp_path, ["1", "2"])
    for name in "12":
        Image.fromarray(np.full((4, 4), 7, np.uint8)).save(root / "a" / f"{name}.png")
    data = read(f"pairs:{root}/a,{root}/b")
    assert data.columns["image"].shape == (2, SIDE, SIDE, 1)
    assert data.images.shape == (2, SIDE, SIDE, 3)
    assert (data.columns["image"] == 7).all()


@pytest.mark.parametrize("side", ["left", "right"])
def test_pictures_side_by_side_are_cut_in_halves(tmp_path: Path, side: str) -> None:
    for number in range(3):
        halves = [picture(3 * number), picture(3 * number + 1)]
        both = Image.new("RGB", (2 * SIDE, SIDE))
        for place, half in enumerate(halves if side == "left" else halves[::-1]):
            both.paste(half, (place * SIDE, 0))
        (tmp_path / "train").mkdir(exist_ok=True)
        both.save(tmp_path / "train" / f"{number}.png")
    (tmp_path / "val").mkdir()
    both.save(tmp_path / "val" / "9.png")
    data = read(f"pairs:{tmp_path}", input_side=side)
    assert are_pairs(data)
    assert (len(data.images), data.split) == (3, "train")
    assert f"3 pairs side by side, the {side} half is the input" in summary(data)


def mixed(root: Path) -> None:
    for name in "12":
        picture(5, (16, 24)).save(root / "b" / f"{name}.png")


def renamed(root: Path) -> None:
    for name in "12":
        (root / "a" / f"{name}.png").rename(root / "a" / f"{name}{name}.png")


def emptied(root: Path) -> None:
    for file in (root / "a").iterdir():
        file.unlink()


def twice(root: Path) -> None:
    picture(5).save(root / "a" / "1.bmp")


WRONG: list[tuple[Callable[[Path], None], str, str]] = [
    (mixed, "pairs:{0}/a,{0}/b", "2 of 2 pairs are broken, for one 1.png: the input has 16×16 pixels and the target"),
    (renamed, "pairs:{0}/a,{0}/b", "no two files have one name, for one 11.png and 1.png"),
    (emptied, "pairs:{0}/a,{0}/b", "/a: no images found; expected pairs:INPUTS,TARGETS"),
    (twice, "pairs:{0}/a,{0}/b", "/a: 1.bmp and 1.png have one name; keep one"),
    (lambda root: None, "pairs:{0}/a,{0}/c", "/c: no such folder"),
    (lambda root: None, "pairs:{0}/a", "2 of 2 pairs are broken, for one 1.png: 16×16 pixels, expected two pictures"),
]


@pytest.mark.parametrize(("spoil", "source", "message"), WRONG)
def test_what_is_wrong_with_pairs_is_reported_in_one_line(
    tmp_path: Path, spoil: Callable[[Path], None], source: str, message: str
) -> None:
    spoil(folders(tmp_path, ["1", "2"]))
    with pytest.raises(TrainError) as raised:
        read(source.format(tmp_path))
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("source", ["pairs:{0}", "pairs:{0}/a,{0}/b,{0}/c"])
def test_folders_that_cannot_be_meant_are_wrong_use(tmp_path: Path, source: str) -> None:
    folders(tmp_path, ["1", "2"])
    with pytest.raises(UsageError, match="pairs:"):
        read(source.format(tmp_path))


@pytest.mark.parametrize("kind", prepared.PREPARATIONS)
def test_inputs_are_made_of_any_images_the_same_every_time(tmp_path: Path, kind: str) -> None:
    colours = np.random.default_rng(1).integers(0, 256, (80, 4, 4, 3), np.uint8)
    images = colours.repeat(4, axis=1).repeat(4, axis=2)
    np.savez(tmp_path / "images.npz", images=images)
    data = read(tmp_path / "images.npz", input_from=kind)
    given = np.asarray(data.columns["image"])
    np.testing.assert_array_equal(data.images, images)
    assert given.shape == (80, SIDE, SIDE, 1 if kind in ("outline", "grey") else 3)
    np.testing.assert_array_equal(given[70:], prepared.PREPARATIONS[kind](images[70:], 70))
    assert f"inputs: {kind}" in summary(data)


def test_preparations_take_away_what_their_names_say() -> None:
    square = np.full((1, 32, 32, 3), 255, np.uint8)
    square[:, 8:24, 8:24] = (250, 20, 20)
    outline = prepared.outline(square)[0, :, :, 0]
    assert outline[16, 16] == outline[2, 2] == 255, "flat areas stay white"
    assert outline[16, 8] < 50, "edges are dark"
    assert np.ptp(prepared.small(square)[0, 16, :, 1].astype(int)) > 100
    assert len(np.unique(prepared.blur(square)[0, 16, :, 1])) > len(np.unique(square[0, 16, :, 1]))
    holes = prepared.mask(square.repeat(4, axis=0))
    assert (holes == prepared.HOLE_GREY).all(axis=3).any(axis=(1, 2)).all()
    assert len({hole.tobytes() for hole in holes}) == 4, "another place in each image"


def test_inputs_that_cannot_be_made_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "grey.npz", images=np.zeros((4, SIDE, SIDE), np.uint8))
    with pytest.raises(TrainError, match="grey already"):
        read(tmp_path / "grey.npz", input_from="grey")
    root = folders(tmp_path, ["1", "2"])
    with pytest.raises(TrainError, match="brings its own inputs"):
        read(f"pairs:{root}/a,{root}/b", input_from="blur")
    with pytest.raises(UsageError, match=r"^--from \(input_from\) must be one of outline"):
        Frame(SIDE, input_from="sepia")


@pytest.mark.parametrize("source", ["digits", "{folder}/a", "pairs:{folder}/a,{folder}/b"])
def test_a_side_is_for_pictures_side_by_side(tmp_path: Path, source: str) -> None:
    folders(tmp_path, ["1", "2"])
    with pytest.raises(UsageError, match="--side right is for pictures side by side, pairs:FOLDER, not"):
        read(source.format(folder=tmp_path), input_side="right")
