"""A version of a tiny generator, for the tests of versions and of what is in them."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import pytest
from genexport.generator.load import load
from genexport.options import Options
from genexport.publish import publish
from keras import layers


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generator of 8×8 pixels that has learnt nothing."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [
            keras.Input((4,)),
            layers.Dense(4 * 4 * 8, activation="relu"),
            layers.Reshape((4, 4, 8)),
            layers.Conv2DTranspose(1, 4, 2, padding="same", activation="tanh"),
        ]
    )
    file = tmp_path_factory.mktemp("tiny") / "tiny.keras"
    model.save(file)
    return file


@pytest.fixture(scope="session")
def published(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Version 1 of `tiny`."""
    root = tmp_path_factory.mktemp("models")
    told: list[str] = []
    folder = publish(load(tiny), root, "tiny", report=told.append, options=Options(onnx=False, batching=True))
    assert any("batching_parameters.txt" in line for line in told)
    return folder


@pytest.fixture
def base(published: Path, tmp_path: Path) -> Path:
    """A model `tiny` with the versions 1, 2 and 3, each whole."""
    for number in (1, 2, 3):
        shutil.copytree(published, tmp_path / "models" / "tiny" / str(number))
    return tmp_path / "models" / "tiny"
