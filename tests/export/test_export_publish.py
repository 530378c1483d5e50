"""A published version: what is in it, that all of it gives the generator's images, that it is whole or not there."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from genexport.errors import ExportError
from genexport.repository import manifest
from genexport.verify import verify
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2

VARIANTS = ("float32", "float16", "dynamic", "int8", "micro")
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
        *(f"tflite/digits-{variant}.tflite" for variant in VARIANTS),
        "onnx/digits-float32.onnx",
        "manifest.json",
        "manifest.json.sha256",
        "reference.npz",
        "contact_sheet.png",
        "directions.png",
        "MODEL_CARD.md",
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


def test_verify_passes_and_finds_a_flipped_byte_and_a_missing_file(
    version: Path, tmp_path: Path, command, genexport
) -> None:
    intact = genexport("verify", version)
    assert intact.exit_code == 0, intact.output
    assert f"{version}: intact" in intact.stdout
    assert manifest.read(version)["parity"].keys() <= {line.split()[0] for line in intact.stdout.splitlines()}
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


def test_verify_runs_the_files_and_finds_one_that_gives_other_images(version: Path, tmp_path: Path) -> None:
    """Somebody who swaps a file and seals the version again does not get away with it."""
    copy = tmp_path / "1"
    shutil.copytree(version, copy)
    with np.load(copy / "reference.npz") as stored:
        reference = dict(stored)
    np.savez(copy / "reference.npz", **{**reference, "images": reference["images"][::-1]})
    manifest.write(copy, {key: value for key, value in manifest.read(copy).items() if key != "files"})
    with pytest.raises(ExportError, match="savedmodel: pixels differ from Keras by"):
        verify(copy)


def test_show_tells_what_is_in_the_newest_version(repository: Path, command) -> None:
    shown = command("genexport", "show", repository / "digits").stdout
    assert "28×28×1 from 32 latents" in shown
    assert "seeds int64 (N) → images uint8 (N, 28, 28, 1)" in shown
    assert "tflite/digits-dynamic.tflite" in shown
    header, *rows = [line.split() for line in shown.splitlines() if "dB" in line or "PSNR" in line]
    assert header[-2:] == ["PSNR", "size"]
    sizes = {row[0]: row[-2:] for row in rows}
    bytes_ = (repository / "digits" / "1" / "tflite" / "digits-dynamic.tflite").stat().st_size
    assert float(sizes["tflite/dynamic"][0]) == round(bytes_ / 1000)


def test_contact_sheet_shows_the_same_images_in_every_row(version: Path) -> None:
    with Image.open(version / "contact_sheet.png") as opened:
        sheet = np.asarray(opened.convert("L")).astype(int)
    rows = np.split(sheet[4:], 8)  # Keras, SavedModel, five TFLite files, ONNX
    first = rows[0][18:]
    assert first.std() > 20, "there are images on it"
    for row in rows[1:]:
        assert np.abs(row[18:] - first).mean() < 2


def test_directions_are_of_unit_length_at_right_angles_and_strongest_first(version: Path, run_directory: Path) -> None:
    found = manifest.read(version)["directions"]
    axes = np.array([direction["latents"] for direction in found])
    np.testing.assert_allclose(axes @ axes.T, np.eye(10), atol=1e-5)
    assert (axes[np.arange(10), np.abs(axes).argmax(axis=1)] > 0).all()
    strengths = [direction["strength"] for direction in found]
    assert strengths == sorted(strengths, reverse=True)
    model = keras.models.load_model(run_directory / "generator.keras")
    z = latents_of(np.arange(500, 628), 32)

    def change(axis: np.ndarray) -> float:
        step = np.float32(0.02) * axis.astype(np.float32)
        return float(np.sqrt(np.mean(((np.asarray(model(z + step)) - np.asarray(model(z - step))) / 0.08) ** 2)))

    others = np.linalg.svd(axes)[2][10:]  # the 22 directions at right angles to all of them
    assert min(change(axis) for axis in axes[:3]) > max(change(axis) for axis in others)
    assert abs(change(axes[0]) / strengths[0] - 1) < 0.15, "the strength is what a pixel changes by, on other seeds too"
    with Image.open(version / "directions.png") as opened:
        assert opened.size == (7 * 60 + 4, 8 * 78 + 4)
        shown = np.asarray(opened.convert("L"))[22:78:2, 4:60:2] / 255
    farthest = np.asarray(model(latents_of(np.array([0]), 32) - 3 * axes[:1].astype(np.float32)))[0, ..., 0]
    np.testing.assert_allclose(shown, (farthest + 1) / 2, atol=0.02, err_msg="seed 0, three steps back")


def test_a_full_disk_publishes_nothing_and_says_so_in_one_line(run_directory: Path, tmp_path: Path, command) -> None:
    # As if the disk were full after a megabyte of a file.
    limit_files = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))"
    source = run_directory / "generator.keras"
    arguments = ["genexport", "publish", source, "--repository", tmp_path / "models", "--name", "digits"]
    full = command(*arguments, first=limit_files)
    assert full.returncode == 1
    assert full.stderr.splitlines()[-1].startswith("genexport: ")
    assert "Traceback" not in full.stderr
    assert [path.name for path in (tmp_path / "models" / "digits").iterdir()] == [".lock"]


def test_limits_are_options_and_wrong_ones_are_refused_before_anything_is_loaded(tmp_path: Path, command) -> None:
    for text, reason in (
        ("float16", "expected NAME=VALUE, NAME being one of savedmodel, float32, float16, dynamic_db"),
        ("int4=3", "expected NAME=VALUE"),
        ("float16=a lot", "expected a number"),
        ("float16=nan", "expected 0 or more"),
    ):
        refused = command("genexport", "publish", tmp_path, "--name", "x", "--limit", text)
        assert refused.returncode == 2
        assert reason in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
