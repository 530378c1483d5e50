"""A real server of models that make pictures of pictures, the same in .tflite files, and pictures for them."""

from __future__ import annotations

import pytest
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
