"""Clips: what they are cut from, at which rate, what is left out, and how they are shown."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from gentrain.data import holdout
from gentrain.data.dataset import Dataset, Frame
from gentrain.errors import TrainError, UsageError
from gentrain.progress import summary
from gentrain.sources import hopping_digits, motion, moving_digits, read
from PIL import Image

SIDE = 16


def picture(value: int) -> Image.Image:
    """Of one shade, which tells the frame's number."""
    return Image.new("RGB", (SIDE, SIDE), (value, 0, 255 - value))


def animated(path: Path, count: int, milliseconds: int | list[int] = 100, first: int = 0) -> None:
    """Frames of the shades first, first + 10 …"""
    path.parent.mkdir(parents=True, exist_ok=True)
    frames = [picture(first + 10 * number) for number in range(count)]
    lossless = {"lossless": True} if path.suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=milliseconds, loop=0, **lossless)


def shades(dataset: Dataset, clip: int = 0) -> list[int]:
    """Which frames a clip has, by their shades."""
    return [round(float(shade) / 10) for shade in dataset.images[clip, :, 5, 5, 0]]


def frame(**options: object) -> Frame:
    return Frame(**{"resolution": SIDE, "frames": 4, "fps": 10.0, **options})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.apng"])
def test_an_animated_picture_is_a_clip(name: str, tmp_path: Path) -> None:
    animated(tmp_path / name, 5)
    found = read(str(tmp_path), frame())
    assert found.images.shape == (1, 4, SIDE, SIDE, 3)
    assert found.images.dtype == np.uint8
    assert shades(found) == [0, 1, 2, 3]
    assert read(str(tmp_path / name), frame()).images.shape == (1, 4, SIDE, SIDE, 3), "a file alone is a source too"


@pytest.mark.parametrize(
    ("fps", "milliseconds", "expected"),
    [
        (10.0, 100, [0, 1, 2, 3]),
        (5.0, 100, [0, 2, 4, 6]),
        (20.0, 100, [0, 0, 1, 1]),
        (0.0, 40, [0, 1, 2, 3]),
        (10.0, [300, 100, 100, 100, 100, 100, 100, 100], [0, 0, 0, 1]),
        (10.0, 0, [0, 1, 2, 3]),
    ],
)
def test_frames_are_those_that_are_shown_at_the_requested_rate(
    fps: float, milliseconds: int | list[int], expected: list[int], tmp_path: Path
) -> None:
    animated(tmp_path / "a.webp", 8, milliseconds)
    assert shades(read(str(tmp_path), frame(fps=fps))) == expected


def test_a_long_file_is_several_clips_none_of_which_is_held_out_while_others_are_trained_on(tmp_path: Path) -> None:
    for name in range(6):
        animated(tmp_path / f"{name}.webp", 10, first=name)
    found = read(str(tmp_path), frame())
    assert len(found.images) == 12, "two clips each, and the last two frames are no third"
    assert shades(found, 1) == [4, 5, 6, 7]
    assert found.columns["origin"].tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    trained, unseen = holdout.split(found, 6)
    assert len(unseen) == 2, "a third of the files at most"
    assert len(trained) == 8
    assert not set(found.columns["origin"][trained]) & set(found.columns["origin"][unseen])


def test_a_short_file_is_looped_or_left_out_and_what_is_no_clip_is_named(tmp_path: Path) -> None:
    animated(tmp_path / "long.webp", 4)
    animated(tmp_path / "short.webp", 3)
    animated(tmp_path / "other.gif", 4)
    (tmp_path / "broken.gif").write_bytes(b"GIF89a nothing of the kind")
    picture(0).save(tmp_path / "still.png")
    (tmp_path / "notes.txt").write_text("two of these are no clips")
    looped = read(str(tmp_path), frame())
    assert shades(looped, 2) == [0, 1, 2, 0]
    assert {skipped.file: skipped.reason for skipped in looped.skipped} == {
        "broken.gif": "not an image that Pillow can read",
        "still.png": "a single picture, no clip",
    }
    assert looped.left_out == {".txt": 1}
    assert "3 clips of 4 frames, 16×16, colour" in summary(looped)
    skipping = read(str(tmp_path), frame(short="skip"))
    assert len(skipping.images) == 2
    assert "1 files of fewer frames are left out" in summary(skipping)
    with pytest.raises(TrainError, match="no file has 5 frames"):
        read(str(tmp_path / "short.webp"), frame(frames=5, short="skip"))


def test_a_folder_of_stills_is_one_clip_in_the_order_of_the_numbers(tmp_path: Path) -> None:
    for folder in ("up/one", "up/two", "down/one"):
        (tmp_path / folder).mkdir(parents=True)
        for number in range(11):
            picture(10 * number).save(tmp_path / folder / f"frame{number}.png")
    found = read(str(tmp_path), frame(frames=11))
    assert shades(found) == list(range(11)), "frame10 is behind frame9"
    assert found.class_counts() == {"down": 1, "up": 2}


def test_a_sprite_sheet_is_a_clip_of_its_cells_in_reading_order(tmp_path: Path) -> None:
    for name, count in (("a.png", 6), ("b.png", 5)):
        sheet = Image.new("RGBA", (3 * SIDE, 2 * SIDE))  # what is not painted is transparent
        for number in range(count):
            sheet.paste(picture(10 * number), (SIDE * (number % 3), SIDE * (number // 3)))
        sheet.save(tmp_path / name)
    animated(tmp_path / "moving.gif", 6)
    found = read(str(tmp_path), frame(frames=6, cells="3x2"))
    assert found.images.shape == (3, 6, SIDE, SIDE, 3), "cells are squares that stay as they are"
    assert shades(found) == list(range(6))
    assert shades(found, 1) == [0, 1, 2, 3, 4, 0], "an empty cell at the end is no frame"
    assert shades(found, 2) == list(range(6)), "what moves by itself is no sheet"
    with pytest.raises(
        TrainError, match=r"2 of 3 clips are broken, for one a\.png: 48×32 pixels do not divide into 5×2"
    ):
        read(str(tmp_path), frame(frames=6, cells="5x2"))


def test_classes_and_splits_are_those_of_folders_as_with_images(tmp_path: Path) -> None:
    for split, name, count in (("train", "cat", 2), ("train", "dog", 3), ("test", "cat", 1), ("test", "dog", 1)):
        for number in range(count):
            animated(tmp_path / split / name / f"{number}.gif", 4)
    assert read(str(tmp_path), frame()).class_counts() == {"cat": 2, "dog": 3}
    assert read(str(tmp_path), frame(split="test")).class_counts() == {"cat": 1, "dog": 1}


def test_videos_are_decoded_by_ffmpeg_and_named_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = motion.ffmpeg()
    assert program is not None, "imageio-ffmpeg brings one"
    animated(tmp_path / "source.gif", 10)
    (tmp_path / "data").mkdir()
    video = tmp_path / "data" / "a.mp4"
    subprocess.run(
        [program, "-v", "error", "-i", tmp_path / "source.gif", "-vf", "scale=48:32", "-pix_fmt", "yuv444p", video],
        check=True,
    )
    for crop in ("center", "pad", "none"):
        found = read(str(tmp_path / "data"), frame(crop=crop))
        assert found.images.shape == (2, 4, SIDE, SIDE, 3)
        assert shades(found) == pytest.approx([0, 1, 2, 3], abs=1.01)
    (tmp_path / "data" / "broken.mp4").write_bytes(b"no video")
    assert [one.file for one in read(str(tmp_path / "data"), frame()).skipped] == ["broken.mp4"]
    monkeypatch.setattr(motion, "ffmpeg", lambda: None)
    with pytest.raises(TrainError, match=r"2 of 2 clips are broken, for one a.mp4: a video, which ffmpeg decodes"):
        read(str(tmp_path / "data"), frame())


def test_what_is_no_clip_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("no clip")
    for source, options, message in (
        (f"{tmp_path}/empty", {}, "no clips found; expected GIF, WebP or APNG"),
        (f"{tmp_path}/nothing", {}, "no such clips"),
        (f"{tmp_path}/notes.txt", {}, "--frames cuts clips from a folder"),
        ("moving-digits", {"frames": 0}, "moving-digits are clips: --frames 16"),
        (f"pairs:{tmp_path}", {}, "--frames cuts clips from a folder"),
    ):
        with pytest.raises((TrainError, UsageError), match=message):
            read(source, frame(**options))
    for options, message in (
        ({"frames": 1}, "frames must be from 2"),
        ({"short": "crop"}, "short must be loop or skip"),
        ({"fps": -1.0}, "fps must be"),
        ({"style": "x/"}, "are for pictures"),
        ({"cells": "4"}, "cells must be COLUMNSxROWS of a sprite sheet, such as 4x4, got '4'"),
    ):
        with pytest.raises(UsageError, match=message):
            frame(**options)


def test_a_contact_sheet_has_a_clip_a_row(tmp_path: Path, gentrain) -> None:
    for name in ("cat", "dog"):
        for number in range(3):
            animated(tmp_path / "data" / name / f"{number}.gif", 6)
    code, out, err = gentrain("data", tmp_path / "data", "--frames", 6, "--fps", 10, "--sheet", "sheet.png")
    assert code == 0, err
    assert "6 clips of 6 frames" in out
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height == pytest.approx(6 * (SIDE + 2) * 4, abs=10)
        assert sheet.width > 6 * SIDE * 4, "six frames, and names beside them"


def test_digits_hop_twice_on_the_spot_and_end_where_they_begin() -> None:
    digit = np.zeros((28, 28), np.uint8)
    digit[4:24, 8:20] = 255
    clip = hopping_digits.hopping(digit, 0.5, 16, 32)[..., 0].astype(int)
    lowest = [int(np.flatnonzero(frame.max(axis=1) > 127)[-1]) for frame in clip]
    assert lowest[:9] == [*lowest[:5], *lowest[3::-1]], "up and down again"
    assert lowest[0] - lowest[4] == round(hopping_digits.HEIGHT * 32)
    assert np.array_equal(clip[8], clip[0])
    assert np.abs(clip[12] - clip[4][:, ::-1]).max() < 128, "the second time it leans the other way"
    assert np.abs(clip.sum(axis=(1, 2)) / clip[0].sum() - 1).max() < 0.05


def test_digits_move_straight_and_bounce_off_the_edges_without_a_change_of_shape() -> None:
    paths = np.stack([moving_digits.path(number, 16, 32, 16) for number in range(40)])
    assert paths.min() >= 0
    assert paths.max() <= 16
    steps = np.abs(np.diff(paths, axis=1))
    assert np.abs(np.diff(steps, axis=1)).mean() < 0.1 * steps.mean(), "as fast all the way, but for the bounces"
    assert len({tuple(path[0]) for path in paths}) == 40
    sprite = np.random.default_rng(0).integers(0, 256, (40, 16, 16), np.uint8)
    drawn = moving_digits.drawn(sprite, paths, 32).astype(float)
    mass = drawn.sum(axis=(2, 3, 4))
    assert (mass.std(axis=1) / mass.mean(axis=1)).max() < 0.01
    assert np.array_equal(moving_digits.drawn(sprite, np.full((40, 1, 2), 3.0), 32)[:, 0, 3:19, 3:19, 0], sprite)
