"""Clips go into folders with a file for each, which resume, into videos, and onto a terminal, where they play."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import clips
import imageio_ffmpeg
import numpy as np
import pytest
from genclient.cli.showing import draw
from genclient.device.generator import DeviceGenerator
from genclient.errors import ClientError, UsageError
from genclient.images.grid import grid
from genclient.images.terminal import half_blocks
from PIL import Image, ImageSequence

Run = Callable[..., clips.Done]


@pytest.fixture(scope="module")
def made(moving: str) -> np.ndarray:
    """The clips of seeds 0 to 4, uint8 (N, T, H, W, C)."""
    return np.concatenate([batch.images for batch in DeviceGenerator(moving).stream(range(5))])


@pytest.fixture
def stills(tmp_path: Path) -> Path:
    """A folder with two pictures, one of them below it."""
    folder = tmp_path / "stills"
    (folder / "deep").mkdir(parents=True)
    for name, pixels in zip(("a.jpg", "deep/b.png"), clips.pictures(2, seed=7), strict=True):
        Image.fromarray(pixels).save(folder / name)
    return folder


def frames_of(file: Path) -> np.ndarray:
    with Image.open(file) as opened:
        return np.stack([np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(opened)])


@pytest.mark.parametrize(("out", "names"), [
    ("c/", "seed{:04d}.webp"), ("c/%03d.apng", "{:03d}.apng"), ("c/%d.gif", "{:d}.gif"),
])  # fmt: skip
def test_a_folder_has_a_file_for_each_seed_and_gets_what_is_missing_or_damaged(
    run: Run, moving: str, made: np.ndarray, tmp_path: Path, out: str, names: str
) -> None:
    again = ("sample", "--tflite", moving, "--out", f"{tmp_path}/{out}")
    files = [tmp_path / "c" / names.format(seed) for seed in range(5)]
    assert run(*again, "--n", 3).stdout.split() == [str(file) for file in files[:3]]
    found = np.stack([frames_of(file) for file in files[:3]])
    if out.endswith(".gif"):
        assert np.abs(found.astype(int) - made[:3]).mean() < 12
    else:
        assert np.array_equal(found, made[:3])
    with Image.open(files[0]) as opened:
        opened.load()
        assert opened.info["duration"] in (120, 125, 130)
    content = files[1].read_bytes()
    files[1].write_bytes(content[:-1])
    files[2].unlink()
    resumed = run(*again, "--n", 5)
    assert resumed.stdout.split() == [str(file) for file in files[1:]]
    assert "1 of 5 images" in resumed.stderr
    assert files[1].read_bytes() == content
    assert "all 5 images" in run(*again, "--n", 5).stderr
    with pytest.raises(UsageError, match=r"found a set with frames_per_second 8.*, expected 4"):
        run(*again, "--n", 5, "--fps", 4)
    assert json.loads((tmp_path / "c" / "manifest.json").read_text())["complete"]
    run(*again, "--n", 2, "--fps", 4, "--scale", 2, "--overwrite")
    assert sorted(path.name for path in (tmp_path / "c").iterdir() if path.suffix in files[0].suffix) == [
        names.format(seed) for seed in range(2)
    ], "what the old set had goes"
    assert frames_of(files[1]).shape == (6, 24, 32, 3)


def test_each_picture_of_a_folder_becomes_a_file_and_others_are_named(
    run: Run, alive: str, stills: Path, tmp_path: Path
) -> None:
    (stills / "broken.png").write_text("no picture")
    again = ("animate", stills, "--tflite", alive, "--out", tmp_path / "moving")
    first = run(*again)
    files = [tmp_path / "moving" / name for name in ("a.webp", "deep/b.webp")]
    assert (first.exit_code, first.stdout.split()) == (1, [str(file) for file in files])
    assert first.stderr.count("broken.png") == 1
    expected = DeviceGenerator(alive).animate([stills / "a.jpg", stills / "deep/b.png"])
    assert np.array_equal(np.stack([frames_of(file) for file in files]), expected)
    Image.fromarray(clips.pictures(1, seed=9)[0]).save(stills / "c.png")
    (stills / "broken.png").unlink()
    assert run(*again).stdout.split() == [f"{tmp_path}/moving/c.webp"], "what was there is not made again"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.webp").write_text("a thesis")
    with pytest.raises(UsageError, match=r"a\.webp, which is not this command's"):
        run(*again[:-1], tmp_path / "other")


def test_a_video_is_made_by_the_ffmpeg_that_a_package_brings(
    run: Run, moving: str, made: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    run("sample", "--tflite", moving, "--n", 4, "--grid", "4x1", "--scale", 1, "--out", tmp_path / "a.mp4")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", tmp_path / "a.mp4"]
    done = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
    found = np.frombuffer(done.stdout, np.uint8).reshape(6, 12, 64, 3)
    row = made[:4].transpose(1, 2, 0, 3, 4).reshape(found.shape)
    assert np.abs(found.astype(int) - row).mean() < 8, "H.264 keeps a colour for four pixels"
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "none"))
    with pytest.raises(ClientError, match=r"^--out .*b\.mp4: found no ffmpeg.*: pip install imageio-ffmpeg; \.gif"):
        run("sample", "--tflite", moving, "--out", tmp_path / "b.mp4")


def test_a_walk_plays_clips_at_their_rate_and_ends_where_they_begin(run: Run, moving: str, tmp_path: Path) -> None:
    run("interpolate", "--tflite", moving, "--n", 2, "--out", tmp_path / "w.apng", "--scale", 1)
    with Image.open(tmp_path / "w.apng") as opened:
        assert opened.n_frames == 2 * 18, "from seed to seed three times the 6 frames"
        assert opened.info["duration"] == 125


def test_clips_play_in_a_terminal_and_stand_still_elsewhere(
    made: np.ndarray, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    two = [made[:1], made[1:2]]
    draw(two, None, on_stdout=True, fps=8)
    still = capfd.readouterr().out
    assert "\x1b[1A" not in still
    frames = [half_blocks(grid(made[:2, frame]).repeat(2, 0).repeat(2, 1)) for frame in range(6)]
    ours, terminal = pty.openpty()
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.extend(iter(lambda: _read(ours), b"")))
    reader.start()
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("LINES", "30")
    with os.fdopen(terminal, "w") as stream:
        monkeypatch.setattr("sys.stdout", stream)
        draw(two, None, on_stdout=True, fps=120)
    reader.join()
    os.close(ours)
    played = b"".join(read).decode().replace("\r\n", "\n").split("\x1b[12A")
    assert played[:7] == [*frames, frames[0]]
    assert len(played) == 1 + 3 * 6, "three times, and the first frame stays"


def _read(file: int) -> bytes:
    """What a terminal was written; nothing once it is closed."""
    try:
        return os.read(file, 1 << 16)
    except OSError:
        return b""
