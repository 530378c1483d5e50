"""A published version: what is in it, that all of it gives the generator's images, that it is whole or not there."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2

SEEDS = np.array([0, 1, 12345, 2**32 + 5, -1], np.int64)


@pytest.fixture(scope="module")
def version(repository: Path) -> Path:
    return repository / "digits" / "1"


@pytest.fixture(scope="module")
def served(version: Path):
    """`served(signature, name=value)` runs as TensorFlow Serving does: the v1 loader and a session."""
    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        definition = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(version)).signature_def

    def run(signature: str, **inputs: np.ndarray) -> np.ndarray:
        chosen = definition[signature]
        assert chosen.inputs.keys() == inputs.keys()
        (output,) = chosen.outputs.values()
        return session.run(output.name, {chosen.inputs[name].name: value for name, value in inputs.items()})

    yield run
    session.close()


def latents_of(seeds: np.ndarray, size: int) -> np.ndarray:
    rows = [
        tf.raw_ops.StatelessRandomNormalV2(shape=[size], key=[int(seed) % 2**64], counter=[0, 0], alg=1)
        for seed in seeds
    ]
    return np.stack(rows) if rows else np.zeros((0, size), np.float32)


def test_version_holds_what_the_contract_names(version: Path) -> None:
    found = {str(path.relative_to(version)) for path in version.rglob("*") if path.is_file()}
    assert found >= {
        "saved_model.pb",
        "fingerprint.pb",
        "variables/variables.index",
        "assets.extra/tf_serving_warmup_requests",
        "tflite/digits-float32.tflite",
        "tflite/digits-dynamic.tflite",
        "manifest.json",
        "contact_sheet.png",
    }
    assert not [path for path in version.parent.iterdir() if path.name.startswith(".staging-")]


def test_every_signature_gives_the_images_of_keras(run_directory: Path, served) -> None:
    keras_model = keras.models.load_model(run_directory / "generator.keras")
    latents = latents_of(SEEDS, 32)
    expected = (np.asarray(keras_model(latents)) + 1) / 2
    images = served("serving_default", latents=latents)
    assert images.dtype == np.float32
    np.testing.assert_allclose(images, expected, atol=1e-5)
    pixels = served("uint8", latents=latents)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels / 255 - expected).max() <= 0.5 / 255 + 1e-5
    assert np.array_equal(served("seeds", seeds=SEEDS), pixels)
    for png, image in zip(served("png", latents=latents), pixels, strict=True):
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), image[..., 0])


def test_an_image_does_not_depend_on_its_batch(served) -> None:
    together = served("seeds", seeds=SEEDS)
    for seed, image in zip(SEEDS, together, strict=True):
        alone = served("seeds", seeds=np.array([seed]))
        assert np.abs(alone[0].astype(int) - image).max() <= 1


@pytest.mark.parametrize("signature", ["serving_default", "uint8", "png", "seeds"])
def test_an_empty_batch_gives_no_images_of_the_right_shape(signature: str, served) -> None:
    inputs = {"seeds": SEEDS[:0]} if signature == "seeds" else {"latents": np.zeros((0, 32), np.float32)}
    assert served(signature, **inputs).shape == ((0,) if signature == "png" else (0, 28, 28, 1))


@pytest.mark.parametrize("variant", ["float32", "dynamic"])
def test_tflite_runs_on_litert_with_builtins_and_a_static_batch(version: Path, variant: str, served) -> None:
    interpreter = Interpreter(model_path=str(version / "tflite" / f"digits-{variant}.tflite"))
    assert interpreter.get_signature_list() == {"generate": {"inputs": ["latents"], "outputs": ["images"]}}
    (latents,), (images,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert latents["shape_signature"].tolist() == [1, 32]
    assert images["shape_signature"].tolist() == [1, 28, 28, 1]
    generate = interpreter.get_signature_runner("generate")
    inputs = latents_of(SEEDS, 32)
    made = np.concatenate([generate(latents=row[None])["images"] for row in inputs])
    error = made - served("serving_default", latents=inputs)
    assert np.abs(error).max() < (1e-5 if variant == "float32" else 0.2)
    assert np.sqrt(np.mean(error**2)) < 0.01


def test_dynamic_file_is_a_quarter_of_the_float32_one(version: Path) -> None:
    sizes = {path.stem: path.stat().st_size for path in (version / "tflite").iterdir()}
    assert sizes["digits-float32"] > 1_500_000, "the weights are in it"
    assert sizes["digits-dynamic"] * 3.5 < sizes["digits-float32"]


def test_variables_are_stored_once(run_directory: Path, version: Path) -> None:
    weights = sum(w.nbytes for w in keras.models.load_model(run_directory / "generator.keras").get_weights())
    stored = (version / "variables" / "variables.data-00000-of-00001").stat().st_size
    assert weights <= stored < 1.1 * weights


def test_warm_up_has_every_signature_and_batch_size_and_replays(version: Path, served) -> None:
    sizes = set()
    for record in tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests")):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        assert request.model_spec.name == "digits"
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        (rows,) = {len(value) for value in inputs.values()}
        assert len(served(request.model_spec.signature_name, **inputs)) == rows
        sizes.add((request.model_spec.signature_name, rows))
    signatures = ("serving_default", "uint8", "png", "seeds")
    assert sizes == {(name, rows) for name in signatures for rows in (1, 4, 16, 64)}


def test_manifest_tells_shapes_parity_and_provenance(version: Path, run_directory: Path) -> None:
    manifest = json.loads((version / "manifest.json").read_text())
    assert (manifest["latent_size"], manifest["image_shape"]) == (32, [28, 28, 1])
    assert manifest["signatures"]["seeds"] == {
        "inputs": {"seeds": {"dtype": "int64", "shape": [None]}},
        "outputs": {"images": {"dtype": "uint8", "shape": [None, 28, 28, 1]}},
    }
    assert manifest["parity"]["tflite/float32"]["max_error"] <= 1e-5
    assert manifest["parity"]["tflite/dynamic"]["psnr_db"] >= 40
    assert manifest["provenance"]["run"] == json.loads((run_directory / "config.json").read_text())


def test_verify_passes_and_finds_a_flipped_byte_and_a_missing_file(version: Path, tmp_path: Path, command) -> None:
    intact = command("genexport", "verify", version)
    assert intact.returncode == 0, intact.stderr
    assert f"{version}: intact" in intact.stdout
    copy = tmp_path / "digits" / "1"
    shutil.copytree(version, copy)
    weights = copy / "variables" / "variables.data-00000-of-00001"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    changed = command("genexport", "verify", copy)
    assert changed.returncode == 1
    assert "variables.data-00000-of-00001: changed since it was published" in changed.stderr
    weights.unlink()
    assert "variables.data-00000-of-00001: missing" in command("genexport", "verify", copy).stderr


def test_show_tells_what_is_in_the_newest_version(repository: Path, command) -> None:
    shown = command("genexport", "show", repository / "digits").stdout
    assert "28×28×1 from 32 latents" in shown
    assert "seeds int64 (N) → images uint8 (N, 28, 28, 1)" in shown
    assert "tflite/digits-dynamic.tflite" in shown


def test_contact_sheet_shows_the_same_images_in_every_row(version: Path) -> None:
    with Image.open(version / "contact_sheet.png") as opened:
        sheet = np.asarray(opened.convert("L")).astype(int)
    rows = np.split(sheet[4:], 4)  # Keras, SavedModel, TFLite float32, TFLite dynamic
    first = rows[0][18:]
    assert first.std() > 20, "there are images on it"
    for row in rows[1:]:
        assert np.abs(row[18:] - first).mean() < 1


def test_next_number_is_taken_and_a_taken_number_refused(run_directory: Path, tmp_path: Path, command) -> None:
    arguments = ["genexport", "publish", run_directory / "generator.keras", "--repository", tmp_path, "--name", "mine"]
    assert command(*arguments, "--version", 41).stdout.strip() == str(tmp_path / "mine" / "41")
    refused = command(*arguments, "--version", 41)
    assert refused.returncode == 1
    assert "41: this version is there already" in refused.stderr
    both = [subprocess.Popen([Path(sys.executable).with_name("genexport"), *map(str, arguments[1:])]) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    assert sorted(path.name for path in (tmp_path / "mine").iterdir() if path.name.isdigit()) == ["41", "42", "43"]


def test_a_kill_leaves_no_version_and_the_next_publish_tidies_up(run_directory: Path, tmp_path: Path) -> None:
    base = tmp_path / "digits"
    arguments = [Path(sys.executable).with_name("genexport"), "publish", run_directory, "--repository", tmp_path]
    stages = ["saved_model.pb", "assets.extra/tf_serving_warmup_requests", "tflite/digits-dynamic.tflite"]
    for stage in stages:
        process = subprocess.Popen([*arguments, "--name", "digits"], stderr=subprocess.DEVNULL)
        while not list(base.glob(f".staging-*/{stage}")):
            assert process.poll() is None, f"published before {stage} was seen"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not [path for path in base.iterdir() if path.name.isdigit()]
        assert len(list(base.glob(".staging-*"))) == 1, "what the kill before left is gone"
    assert subprocess.run([*arguments, "--name", "digits"], capture_output=True).returncode == 0
    assert sorted(path.name for path in base.iterdir()) == [".lock", "1"]
