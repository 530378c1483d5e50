"""Between the run and the files: classes, limits, licences and examples arrive where they belong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from described import metadata_of
from file_generators import Z, conditional, loaded
from genexport.compare.parity import Limits
from genexport.describe import directions
from genexport.errors import ExportError
from genexport.generator.load import Generator, load
from genexport.kinds.generator import proof
from genexport.options import Options
from genexport.publish import publish
from genexport.repository import manifest
from keras import layers


@pytest.fixture(scope="module", autouse=True)
def few_seeds() -> Iterator[None]:
    """The directions are not what is tried here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(directions, "MOST_SEEDS", 64)
        yield


NAMES = ["night", "dusk"]


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> tuple[Generator, Path]:
    """Version 1 of a run's conditional generator, whose class 1 alone is moved by the rounding to float16."""
    run, told = tmp_path_factory.mktemp("run"), []
    conditional(run)
    (run / "model.keras").rename(run / "generator.keras")
    (run / "config.json").write_text("{}")
    described = {"class_names": NAMES, "source": "x", "count": 3, "image_shape": [8, 8, 3], "fingerprint": "x"}
    (run / "dataset.json").write_text(json.dumps(described))
    generator = load(run)
    net = keras.Sequential([keras.Input(generator.image_shape), layers.GlobalAveragePooling2D()])
    net.save(run / "features.keras")
    real = np.asarray(net(generator.images(*generator.examples(256, 10**6).values())))
    np.savez(run / "features.npz", mean=real.mean(axis=0) + 0.1, covariance=np.cov(real, rowvar=False))
    options = Options(files=("float32", "float16"), limits=Limits(float16=3e-5))
    published = publish(generator, run / "models", "two", report=told.append, run=run, options=options)
    assert any("embedding" in line and "stay in float32" in line for line in told), "a class that fails alone is found"
    return generator, published


def test_every_class_is_among_the_examples(version) -> None:
    with np.load(version[1] / "reference.npz") as stored:
        assert np.array_equal(stored["labels"], np.arange(256) % 2)
        assert len(stored["latents"]) == 256


def test_the_rise_of_frechet_distance_is_measured_by_the_runs_own_network(version) -> None:
    found = manifest.read(version[1])["parity"]
    measured = {what for what, difference in found.items() if difference["frechet_rise"] is not None}
    assert measured == {"savedmodel", "tflite/float32", "tflite/float16"}
    assert abs(found["tflite/float16"]["frechet_rise"]) < 1e-3


def test_a_file_that_is_wrong_from_the_17th_image_on_is_refused(version) -> None:
    generator, folder = version
    inputs, expected = proof.reference(generator, 256)
    for first in (16, 255):
        other = expected.copy()
        other[first:] = 1 - other[first:]
        with pytest.raises(ExportError, match=r"^savedmodel: pixels differ"):
            proof.prove(folder, "two", inputs, other, Limits())
        with pytest.raises(ExportError, match=r"^tflite/float32: pixels differ"):
            proof.prove(folder, "two", inputs, other, Limits(savedmodel=2.0))


def test_a_file_can_be_refused_by_the_rise_of_frechet_distance_alone(version, tmp_path: Path) -> None:
    from genexport.compare.frechet import Features

    generator, folder = version
    inputs, expected = proof.reference(generator, 256)
    pixels = keras.Input(generator.image_shape)
    net = keras.Model(pixels, layers.GlobalAveragePooling2D()(pixels))
    real = np.asarray(net(expected + 0.01))
    features = Features(net, real.mean(axis=0), np.cov(real, rowvar=False))
    worse = np.clip(expected + 0.005, 0, 1)  # nearer to the real ones than the file is
    for rise, refused in ((0.5, True), (1e9, False)):
        wide = Limits(savedmodel=1, float32=1, float16=1, frechet_rise=rise)
        comparison = proof.Proof(folder, "two", inputs, worse, wide, features)
        if refused:
            with pytest.raises(
                proof.PastLimit, match=r"^tflite/float32: the Fréchet distance to real .* rises by"
            ) as found:
                comparison.file("float32")
            assert found.value.remedy.startswith("--limit frechet_rise=")
        else:
            comparison.file("float32")
            assert comparison.differences["tflite/float32"].frechet_rise > 0.5  # type: ignore[operator]


def test_verify_keeps_to_the_limits_of_the_version(version, tmp_path: Path) -> None:
    import shutil

    from genexport.verify import verify

    copy = tmp_path / "two" / "1"
    shutil.copytree(version[1], copy)
    known = {key: value for key, value in manifest.read(copy).items() if key != "files"}
    assert known["limits"]["float16"] == 3e-5
    for limit, holds in ((5e-3, True), (1e-9, False)):
        manifest.write(copy, {**known, "limits": {**known["limits"], "float16": limit}})
        if holds:
            assert verify(copy)["tflite/float16"].max_error > 1e-9
        else:
            with pytest.raises(ExportError, match=r"tflite/float16: pixels differ from Keras by .*, limit 1e-09$"):
                verify(copy)


def test_integers_are_calibrated_on_normal_latents_and_on_every_class(tmp_path: Path) -> None:
    from ai_edge_litert.tools import flatbuffer_utils
    from genexport.tflite import quantize

    latents, labels = keras.Input((Z,)), keras.Input((), dtype="int32")
    as_it_is = keras.initializers.Identity()
    x = layers.Dense(Z, kernel_initializer=as_it_is, use_bias=False, name="latents_again")(latents)
    levels = keras.initializers.Constant([[-7.0], [0.0], [9.0]])
    light = layers.Embedding(3, 1, embeddings_initializer=levels, name="level")(labels)
    x = layers.Reshape((2, 4, 1))(layers.Activation("tanh")(layers.Add()([x, light])))
    generator = loaded(x, [latents, labels], tmp_path)
    graph = flatbuffer_utils.read_model_from_bytearray(bytearray(quantize.calibrate(generator))).subgraphs[0]
    seen = {
        tensor.name.decode(): (float(tensor.quantization.min[0]), float(tensor.quantization.max[0]))
        for tensor in graph.tensors
        if tensor.quantization is not None and tensor.quantization.min is not None
    }
    from genexport.roles.latents import latents_of_seeds

    drawn = np.asarray(latents_of_seeds(np.arange(1_000_000, 1_000_200), Z))
    assert 3 < drawn.max() < 5
    shifted = drawn + np.array([-7, 0, 9])[np.arange(200) % 3][:, None]  # the converter fuses the sum into the layer
    (again,) = [span for name, span in seen.items() if "latents_again" in name]
    assert again == pytest.approx((shifted.min(), shifted.max()), abs=1e-5)
    (level,) = [span for name, span in seen.items() if "level" in name and span[1] == pytest.approx(9)]
    assert level == pytest.approx((-7, 9))


def test_class_names_stand_by_their_labels_from_the_run_to_the_picture(version, tmp_path: Path, command) -> None:
    from PIL import Image

    file = version[1] / "tflite" / "two-float32.tflite"
    assert metadata_of(file)["class_names"] == manifest.read(version[1])["class_names"] == NAMES
    brightness = []
    for name in NAMES:
        out = tmp_path / f"{name}.png"
        done = command("genclient", "sample", "--tflite", file, "--label", name, "--n", 1, "--out", out)
        assert done.returncode == 0, done.stderr
        with Image.open(out) as picture:
            brightness.append(np.asarray(picture.convert("L")).mean())
    assert brightness == pytest.approx([127.5, 170], abs=4)
