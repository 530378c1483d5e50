"""Directions of classes: found by the run's own classifier, where it has one, and beside the strongest."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from genexport.compare.frechet import Features
from genexport.describe import class_directions, directions
from genexport.generator.load import Generator, load
from keras import layers
from PIL import Image

Z, SIDE = 4, 8
NAMES = ["dark", "bright", "never"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose second latent makes pictures bright, with a classifier of dark, bright and what never comes."""
    folder = tmp_path_factory.mktemp("run")
    latents = keras.Input((Z,), name="latents")
    bright = layers.Dense(1, kernel_initializer=keras.initializers.Constant([[0.0], [2.0], [0.0], [0.3]]))(latents)
    pixels = layers.Conv2D(1, 1, activation="tanh", kernel_initializer="ones", name="images")(
        layers.UpSampling2D(SIDE)(layers.Reshape((1, 1, 1))(bright))
    )
    keras.Model(latents, pixels).save(folder / "generator.keras")
    (folder / "config.json").write_text("{}")
    described = {"class_names": NAMES, "source": "x", "count": 9, "image_shape": [SIDE, SIDE, 1], "fingerprint": "x"}
    (folder / "dataset.json").write_text(json.dumps(described))
    keras.Sequential([keras.Input((SIDE, SIDE, 1)), layers.GlobalAveragePooling2D()]).save(folder / "features.keras")
    np.savez(folder / "features.npz", **head(folder, kernel=[[-1.0, 1.0, 0.0]], bias=[0.5, -0.5, -9.0]))
    return folder


def head(folder: Path, **more: object) -> dict[str, object]:
    """What features.npz holds, as far as it is read."""
    return {"mean": np.zeros(1), "covariance": np.ones((1, 1)), **{name: np.array(one) for name, one in more.items()}}


def classifier_of(run: Path, generator: Generator) -> class_directions.Classifier | str | None:
    return class_directions.classifier_of(generator, run, Features.of(run))


def test_what_leads_to_a_class_stands_beside_the_strongest_with_its_name(run: Path, tmp_path: Path) -> None:
    generator = load(run)
    classifier = classifier_of(run, generator)
    assert isinstance(classifier, class_directions.Classifier)
    found, reason = directions.write(generator, tmp_path, classifier)
    assert not reason
    assert [each.get("class") for each in found] == [None] * Z + ["dark", "bright"]
    dark, bright = (np.array(each["latents"]) for each in found[Z:])
    np.testing.assert_allclose(bright, [0, 0.99, 0, 0.15], atol=0.06)
    np.testing.assert_allclose(dark, -bright, atol=0.06)
    np.testing.assert_allclose(found[Z + 1]["strength"], found[0]["strength"], rtol=0.02)
    with Image.open(tmp_path / directions.FILE) as drawn:
        rows = np.split(np.asarray(drawn.convert("L"))[4:], Z + 2)
    assert [row[-SIDE, 8] < 100 < row[-SIDE, -8] for row in rows[Z:]] == [False, True], "seed 0 from −3 to +3"


def test_where_there_can_be_none_it_is_said_why_or_nothing_is_expected(run: Path, tmp_path: Path) -> None:
    generator = load(run)
    for name in ("features.keras", "dataset.json", "features.npz"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    assert class_directions.classifier_of(generator, None, None) is None
    assert "gentrain evaluate" in str(class_directions.classifier_of(generator, tmp_path, None))
    np.savez(tmp_path / "features.npz", **head(run, kernel=np.zeros((1, 2)), bias=np.zeros(2)))
    assert classifier_of(tmp_path, generator) == "the run's feature net tells 2 classes, and dataset.json names 3"
    np.savez(tmp_path / "features.npz", **head(run))
    assert classifier_of(tmp_path, generator) == "the run's feature net is no classifier of them"
    (tmp_path / "dataset.json").write_text('{"class_names": []}')
    assert classifier_of(tmp_path, generator) is None
    (tmp_path / "dataset.json").unlink()
    assert classifier_of(tmp_path, generator) is None
    (tmp_path / "dataset.json").write_text("{")
    assert classifier_of(tmp_path, generator) is None
