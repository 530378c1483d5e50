"""Generators from elsewhere: what genexport takes as they are, and what it refuses, naming the reason."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from genexport import parity, tflite
from genexport.errors import ExportError
from genexport.generator import load
from genexport.publish import publish
from keras import layers


def save(model: keras.Model, folder: Path) -> Path:
    file = folder / "model.keras"
    model.save(file)
    return file


def sigmoid_generator() -> keras.Model:
    """As many tutorials have it: Sequential, an input without a name of ours, pixels in [0, 1]."""
    return keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(4 * 4 * 3, kernel_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=1)),
            layers.Reshape((4, 4, 3)),
            layers.Conv2DTranspose(3, 4, 2, padding="same", activation="sigmoid"),
        ]
    )


def conditional_generator() -> keras.Model:
    latents = keras.Input((6,), name="latents")
    labels = keras.Input((), dtype="int32", name="labels")
    # One class is dark, one bright: a label that went astray would be seen.
    light = layers.Embedding(2, 1, embeddings_initializer=keras.initializers.Constant([[-3.0], [3.0]]))(labels)
    x = layers.Dense(4 * 4 * 8)(latents)
    x = layers.Reshape((4, 4, 8))(x)
    x = layers.Conv2DTranspose(1, 4, 2, padding="same")(x)
    x = layers.Add()([x, layers.Reshape((1, 1, 1))(light)])
    return keras.Model([latents, labels], layers.Activation("tanh")(x))


def test_a_sequential_sigmoid_generator_is_published_with_its_own_range(tmp_path: Path) -> None:
    generator = load(save(sigmoid_generator(), tmp_path))
    assert generator.output_range == (0.0, 1.0)
    folder = publish(generator, tmp_path / "models", "mine")
    latents = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    made = tflite.run(folder / "tflite" / "mine-float32.tflite", (latents,))
    np.testing.assert_allclose(made, np.asarray(generator.model(latents)), atol=1e-5)


def test_a_generator_in_bytes_is_scaled_down(tmp_path: Path) -> None:
    inner = sigmoid_generator()
    model = keras.Model(inner.inputs, layers.Rescaling(255.0)(inner.outputs[0]))
    generator = load(save(model, tmp_path))
    assert generator.output_range == (0.0, 255.0)
    latents = tf.random.stateless_normal((2, 6), seed=(0, 1))
    np.testing.assert_allclose(generator.images(latents), inner(latents), atol=1e-6)


def test_output_range_that_does_not_hold_is_refused(tmp_path: Path) -> None:
    inner = sigmoid_generator()
    model = keras.Model(inner.inputs, layers.Rescaling(3.0, offset=-1.5)(inner.outputs[0]))
    file = save(model, tmp_path)
    with pytest.raises(ExportError, match=r"pixels lie in \[-1\.\d+, 1\.\d+\], in none of"):
        load(file)
    with pytest.raises(ExportError, match=r"not within --output-range 0\.\.1"):
        load(file, "0..1")


def test_labels_go_through_every_signature_and_file(tmp_path: Path) -> None:
    folder = publish(load(save(conditional_generator(), tmp_path)), tmp_path / "models", "two")
    latents = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    labels = np.array([0, 1, 0, 1], np.int32)
    bright = [False, True, False, True]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        signatures = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(folder)).signature_def
        for name, lead in (("serving_default", latents), ("uint8", latents), ("seeds", np.arange(4))):
            inputs, outputs = signatures[name].inputs, signatures[name].outputs
            first = "seeds" if name == "seeds" else "latents"
            images = session.run(outputs["images"].name, {inputs[first].name: lead, inputs["labels"].name: labels})
            means = images.reshape(4, -1).mean(axis=1) / (1 if images.dtype == np.float32 else 255)
            assert (means > 0.5).tolist() == bright
    made = tflite.run(folder / "tflite" / "two-dynamic.tflite", (latents, labels))
    assert (made.mean(axis=(1, 2, 3)) > 0.5).tolist() == bright


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(3, 3)]), r"expected latents.*found .*\(N, 8, 8, 3\)"),
        (keras.Sequential([keras.Input((6,)), layers.Dense(5)]), r"expected one output of images.*found \(N, 5\)"),
        (
            keras.Sequential([keras.Input((6,)), layers.Dense(8 * 8 * 2), layers.Reshape((8, 8, 2))]),
            r"expected one output of images.*found \(N, 8, 8, 2\)",
        ),
    ],
)
def test_a_model_that_is_no_generator_is_told_what_was_expected(
    model: keras.Model, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ExportError, match=message):
        load(save(model, tmp_path))


def test_files_that_are_no_models_are_told_in_one_line(tmp_path: Path, command) -> None:
    (tmp_path / "text.keras").write_text("no model")
    (tmp_path / "run").mkdir()
    for source, message in (
        ("text.keras", "not a .keras file"),
        ("run", "no generator.keras in it"),
        ("nothing", "no such file"),
    ):
        done = command("genexport", "publish", tmp_path / source, "--repository", tmp_path / "models", "--name", "x")
        assert done.returncode == 1
        assert message in done.stderr.splitlines()[-1]
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "models").exists()


def test_a_layer_of_the_users_own_is_named(tmp_path: Path) -> None:
    class Glow(layers.Layer):
        def call(self, x):
            return x * 2

    model = keras.Sequential([keras.Input((6,)), layers.Dense(48), layers.Reshape((4, 4, 3)), Glow()])
    with pytest.raises(ExportError, match=r"code that is not in the file \(Glow\)"):
        load(save(model, tmp_path))
    model = keras.Sequential([keras.Input((6,)), layers.Dense(48), layers.Lambda(lambda x: x * 2)])
    with pytest.raises(ExportError, match=r"code that is not in the file \(Lambda\)"):
        load(save(model, tmp_path))


def test_an_op_that_tflite_lacks_fails_at_export_and_nothing_is_published(tmp_path: Path) -> None:
    latents = keras.Input((6,))
    x = layers.Reshape((4, 4, 3))(layers.Dense(48)(latents))
    x = keras.ops.tanh(keras.ops.erfinv(keras.ops.tanh(x) * 0.5))
    generator = load(save(keras.Model(latents, x), tmp_path))
    with pytest.raises(ExportError, match=r"(?i)no TFLite float32 file.*erfinv"):
        publish(generator, tmp_path / "models", "mine")
    assert sorted(path.name for path in (tmp_path / "models" / "mine").iterdir()) == [".lock"]


def test_a_file_past_its_limit_is_not_published_and_the_error_says_by_how_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generator = load(save(conditional_generator(), tmp_path))
    monkeypatch.setitem(parity.LIMITS, "dynamic", parity.Limit(min_psnr_db=200.0))
    with pytest.raises(ExportError, match=r"tflite/dynamic: \d+\.\d dB PSNR against Keras, limit 200\.0 dB"):
        publish(generator, tmp_path / "models", "mine")
    assert not list((tmp_path / "models" / "mine").glob("[0-9]*"))


def test_images_that_are_no_numbers_count_as_infinitely_far() -> None:
    expected = np.zeros((1, 2, 2, 1))
    difference = parity.compare(np.full_like(expected, np.nan), expected)
    for limit in (parity.Limit(max_error=1e-5), parity.Limit(min_psnr_db=10)):
        with pytest.raises(ExportError):
            parity.check("x", difference, limit)


def test_a_repository_that_cannot_be_written_is_told_in_one_line(run_directory: Path, tmp_path: Path, command) -> None:
    (tmp_path / "file").write_text("")
    done = command("genexport", "publish", run_directory, "--repository", tmp_path / "file", "--name", "digits")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"genexport: {tmp_path / 'file' / 'digits'}: cannot be written")


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b"])
def test_a_name_that_is_no_folder_is_refused(name: str, run_directory: Path, tmp_path: Path, command) -> None:
    done = command("genexport", "publish", run_directory, "--repository", tmp_path, "--name", name)
    assert done.returncode == 2
    assert f"--name {name!r}: expected letters" in done.stderr
