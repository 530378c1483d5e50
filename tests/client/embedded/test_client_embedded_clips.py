"""Clips by the C programs: numbered frames, the same pixels as the Python runner's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import clips
import numpy as np
import pytest
from embedded import NEEDS_COMPILER
from genclient import DeviceGenerator
from genclient.images.grid import grid
from PIL import Image

pytestmark = NEEDS_COMPILER


def near(files: list[Path], expected: np.ndarray) -> bool:
    """Whether the files hold these frames, but for rounding."""
    found = np.stack([np.asarray(Image.open(file)) for file in files])
    return found.shape == expected.shape and np.abs(found.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("variant", ["float32", "int8"])
def test_clips_of_seeds_are_numbered_frames(variant: str, programs: Path, clip_models: Path, tmp_path: Path) -> None:
    file = clip_models / "models" / "moving" / "1" / "tflite" / f"moving-{variant}.tflite"
    made = np.concatenate([batch.images for batch in DeviceGenerator(str(file)).stream(range(3, 6))])
    subprocess.run([programs / "gensample", file, "3-5", "out.ppm"], check=True, cwd=tmp_path, timeout=60)
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"out-0{i}.ppm" for i in range(clips.FRAMES)]
    assert near(sorted(tmp_path.iterdir()), np.stack([grid(made[:, frame]) for frame in range(clips.FRAMES)]))
    done = subprocess.run([programs / "gensample", file, "3", "-"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "gensample: OUT: found -, expected a name, since a clip has 6 frames\n"


def test_a_clip_of_a_picture_is_numbered_frames(programs: Path, clip_models: Path, tmp_path: Path) -> None:
    file = clip_models / "models" / "alive" / "1" / "tflite" / "alive-float32.tflite"
    pixels = clips.pictures(1, seed=9)
    Image.fromarray(pixels[0]).save(tmp_path / "in.ppm")
    command = [programs / "gentranslate", file, "in.ppm", "frames.d/x"]
    (tmp_path / "frames.d").mkdir()
    subprocess.run(command, check=True, cwd=tmp_path, timeout=60)
    files = [tmp_path / "frames.d" / f"x-0{i}" for i in range(clips.STILL_FRAMES)]
    assert near(files, DeviceGenerator(str(file)).animate(pixels)[0])
