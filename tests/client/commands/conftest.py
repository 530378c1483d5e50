"""A real server of models that make pictures of pictures, the same in .tflite files, and pictures for them; and files
of models that make clips.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from clips import Done
from genclient.cli.program import cli
from negatives import publish, save
from real_server import genserve


@pytest.fixture(scope="session")
def negatives(tmp_path_factory):
    """A model alone, one with hints and one with latents, in a repository; the first and the last in files too."""
    folder = tmp_path_factory.mktemp("negatives")
    publish(folder)
    return folder


@pytest.fixture(scope="session")
def address(negatives):
    """The address of a server of all three."""
    options = ("--model_config_file", negatives / "models.config", "--allow_version_labels_for_unavailable_models")
    with genserve(*options, models=("negative", "hinted", "varied")) as address:
        yield address


@pytest.fixture
def photos(tmp_path):
    """Six pictures of several kinds and sizes, two of one name, in a folder and one below it."""
    folder = tmp_path / "photos"
    save(folder / "a.png")
    save(folder / "b.jpg", 40, 24, 1, quality=95)
    save(folder / "c.webp", 20, 33, 2, lossless=True)
    save(folder / "c.png", shift=3)
    save(folder / "deep/a.png", 9, 9, 4)
    save(folder / "d.bmp", shift=5)
    return folder


@pytest.fixture(scope="session")
def moving(clip_models: Path) -> str:
    """The file that makes clips of latents."""
    return str(clip_models / "models" / "moving" / "1" / "tflite" / "moving-float32.tflite")


@pytest.fixture(scope="session")
def alive(clip_models: Path) -> str:
    """The file that makes clips of pictures."""
    return str(clip_models / "models" / "alive" / "1" / "tflite" / "alive-float32.tflite")


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """`run("sample", …)`: the command in this process; errors are raised."""

    def run(*arguments: object) -> Done:
        code = cli.main(list(map(str, arguments)), prog_name="genclient", standalone_mode=False)
        return Done(*capfd.readouterr(), code or 0)

    return run
