"""A kind from outside: one module, named by --import, and publish, show, list and verify know it, before ours."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from genexport import kinds
from genexport.cli import cli
from genexport.repository import manifest
from genexport.savedmodel.saved_model import ServingSession
from keras import layers

DETECTOR = """
from types import SimpleNamespace

import keras
import numpy as np
import tensorflow as tf
from genexport.compare import parity
from genexport.kinds import Kind, register
from genexport.repository import manifest
from genexport.savedmodel.saved_model import ServingSession, describe


class Detector(Kind):
    name = "detector"
    tasks = ("fake-detection",)

    def load(self, source):
        file = source.path / "detector.keras"
        network = keras.models.load_model(file)
        return SimpleNamespace(path=file, task="fake-detection", notes=("a note",), network=network)

    def endpoints(self, model):
        spec = tf.TensorSpec((None, 8, 8, 3), tf.float32, name="image")
        return {"serving_default": (lambda image: {"scores": model.network(image)[:, 0]}, [spec])}

    def examples(self, model, count):
        return {"image": tf.ones((count, 8, 8, 3)) * tf.linspace(0.0, 1.0, count)[:, None, None, None]}

    def compare(self, model, version):
        image = np.asarray(self.examples(model, 8)["image"])
        kept = {"image": image, "scores": np.asarray(model.network(image))[:, 0]}
        np.savez(version.folder / "reference.npz", **kept)
        found = {what: each.as_json() for what, each in self.verify(version.folder, {}, kept, version.report).items()}
        return {"name": version.name, "created": manifest.now(), "image_shape": [8, 8, 3],
                "signatures": describe(version.folder), "parity": found}

    def verify(self, folder, manifest, reference, report):
        with ServingSession(folder) as served:
            scores = served.run_all("serving_default", {"image": reference["image"]})
        found = parity.compare(scores, reference["scores"])
        parity.check("savedmodel", found, parity.Limits().of("savedmodel"))
        return {"savedmodel": found}

    def takes(self, manifest):
        return "scored by a detector"

    def quality(self, manifest):
        return "a detector"


register(Detector())
"""


def test_a_kind_from_outside_is_published_and_verified_by_one_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(kinds.KINDS, "detector", kinds.KINDS["detector"])  # ours again, for other tests
    (tmp_path / "detector_kind.py").write_text(DETECTOR)
    run = tmp_path / "run"
    run.mkdir()
    network = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(1, activation="sigmoid")])
    network.save(run / "detector.keras")
    image = {"name": "image", "role": "image", "dtype": "float32", "shape": [None, 8, 8, 3], "range": [0, 1]}
    scores = {"name": "scores", "role": "scores", "dtype": "float32", "shape": [None], "range": [0, 1]}
    described = {"version": 1, "task": "fake-detection", "inputs": [image], "outputs": [scores]}
    (run / "interface.json").write_text(json.dumps(described))

    def genexport(*arguments: object) -> str:
        done = CliRunner().invoke(cli, list(map(str, arguments)))
        assert done.exit_code == 0, done.output
        return done.output

    genexport(
        "publish",
        run,
        "--repository",
        tmp_path / "models",
        "--name",
        "fakes",
        "--import",
        tmp_path / "detector_kind.py",
    )
    version = tmp_path / "models" / "fakes" / "1"
    assert manifest.check(version)["kind"] == "detector"
    pictures = np.random.default_rng(0).random((3, 8, 8, 3)).astype(np.float32)
    with ServingSession(version) as served:
        found = served.run("serving_default", {"image": pictures})
    np.testing.assert_allclose(found, np.asarray(network(pictures))[:, 0], atol=1e-6)
    assert f"{version}: intact" in genexport("verify", version)
    assert "8×8×3 scored by a detector" in genexport("show", version)
    assert "a detector" in genexport("list", "--repository", tmp_path / "models")
