"""The ONNX file: the generator's images by ONNX Runtime, for any batch, without TensorFlow."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from genexport.errors import ExportError
from genexport.generator.load import load
from genexport.options import Options
from genexport.publish import publish
from genexport.repository import manifest
from genexport.verify import verify
from keras import layers

onnx = pytest.importorskip("onnx", reason="pip install '.[onnx]'")
onnxruntime = pytest.importorskip("onnxruntime", reason="pip install '.[onnx]'")


@pytest.fixture(scope="module")
def file(repository: Path) -> Path:
    return repository / "digits" / "1" / "onnx" / "digits-float32.onnx"


@pytest.fixture(scope="module")
def conditional(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a version of a conditional generator, two above which is the generator."""
    folder = tmp_path_factory.mktemp("conditional")
    return publish(load(conditional_generator(folder)), folder, "mine", options=Options(files=("float32", "onnx")))


def conditional_generator(folder: Path) -> Path:
    """Two classes, one dark and one bright, names of inputs that are not ours, and an up-sampling."""
    keras.utils.set_random_seed(2)
    noise, kind = keras.Input((6,), name="noise"), keras.Input((), dtype="int32", name="kind")
    light = layers.Embedding(2, 1, embeddings_initializer=keras.initializers.Constant([[-3.0], [3.0]]))(kind)
    x = layers.UpSampling2D()(layers.Reshape((4, 2, 8))(layers.Dense(64)(noise)))
    x = layers.Add()([layers.Conv2D(3, 3, padding="same")(x), layers.Reshape((1, 1, 1))(light)])
    path = folder / "conditional.keras"
    keras.Model([noise, kind], layers.Activation("sigmoid")(x)).save(path)
    return path


def test_it_gives_keras_images_for_any_batch(file: Path, run_directory: Path) -> None:
    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    (latents,), (images,) = session.get_inputs(), session.get_outputs()
    assert (latents.name, latents.type, latents.shape) == ("latents", "tensor(float)", ["N", 32])
    assert (images.name, images.type, images.shape) == ("images", "tensor(float)", ["N", 28, 28, 1])
    model = keras.models.load_model(run_directory / "generator.keras")
    for rows in (1, 3, 65):
        z = np.random.default_rng(rows).normal(size=(rows, 32)).astype(np.float32)
        (made,) = session.run(None, {"latents": z})
        np.testing.assert_allclose(made, (np.asarray(model(z)) + 1) / 2, atol=1e-5)


def test_it_is_valid_and_says_what_it_is(file: Path) -> None:
    model = onnx.load(file)
    onnx.checker.check_model(model, full_check=True)
    facts = {entry.key: entry.value for entry in model.metadata_props}
    assert (facts["name"], facts["latent_size"]) == ("digits", "32")
    assert "StatelessRandomNormalV2" in facts["seed"]
    assert {opset.domain for opset in model.opset_import} <= {"", "ai.onnx.ml"}
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx.ml"}, "no ops of TensorFlow's own"


def test_it_runs_without_tensorflow(file: Path) -> None:
    program = (
        "import sys, numpy, onnxruntime; s = onnxruntime.InferenceSession(sys.argv[1]); "
        "i = s.run(None, {'latents': numpy.zeros((2, 32), 'f4')})[0]; "
        "print(i.shape, 'tensorflow' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, file], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(2, 28, 28, 1) False"


def test_it_is_in_the_manifest_with_its_difference(file: Path) -> None:
    found = manifest.read(file.parents[1])
    assert 0 < found["parity"]["onnx/float32"]["max_error"] <= 1e-5
    assert found["files"]["onnx/digits-float32.onnx"]["bytes"] == file.stat().st_size > 1_500_000


def test_a_conditional_one_takes_labels(conditional: Path) -> None:
    session = onnxruntime.InferenceSession(str(conditional / "onnx" / "mine-float32.onnx"))
    assert [(value.name, value.type) for value in session.get_inputs()] == [
        ("latents", "tensor(float)"),
        ("labels", "tensor(int32)"),
    ]
    latents, labels = np.zeros((2, 6), np.float32), np.array([0, 1], np.int32)
    (dark, bright) = session.run(["images"], {"latents": latents, "labels": labels})[0]
    assert dark.shape == (8, 4, 3)
    assert dark.max() < 0.1 < 0.9 < bright.min()
    assert "onnx/float32" in verify(conditional)


def test_without_its_packages_a_version_has_none_and_one_that_was_asked_for_says_what_to_install(
    conditional: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = load(conditional.parents[1] / "conditional.keras")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # as Python treats what is not installed
    with pytest.raises(ExportError, match=r"ONNX needs onnxruntime; in genline's checkout: pip install"):
        publish(generator, tmp_path, "mine", options=Options(onnx=True))
    told: list[str] = []
    folder = publish(generator, tmp_path, "mine", report=told.append)
    assert "no ONNX file: onnxruntime is not installed (in genline's checkout: pip install '.[onnx]')" in told
    assert not (folder / "onnx").exists()
    assert "onnx/float32" not in manifest.read(folder)["parity"]
    said: list[str] = []
    assert "onnx/float32" not in verify(conditional, said.append)
    assert (
        "the ONNX file is not run: onnxruntime is not installed (in genline's checkout: pip install '.[onnx]')" in said
    )
