"""The encoder of a run is published with its generator: signatures and files from pictures to latents."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from encoders import SIDE, Z, run_of, told
from genexport import kinds
from genexport.errors import ExportError
from genexport.kinds.kind import Source
from genexport.options import Options
from genexport.publish import publish
from genexport.repository import manifest
from genexport.savedmodel.saved_model import ServingSession
from genexport.tflite import convert
from genexport.verify import verify
from keras import layers
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2

FILES = ("float32", "onnx", "dynamic", "int8")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run_of(tmp_path_factory.mktemp("runs") / "blots")


@pytest.fixture(scope="module")
def version(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    _, model = kinds.load(Source(run))
    assert "becomes the signature invert" in model.notes[-1]
    root = tmp_path_factory.mktemp("models")
    return publish(model, root, "blots", run=run, options=Options(files=FILES))


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 1), np.uint8)


@pytest.fixture(scope="module")
def expected(run: Path, pictures: np.ndarray) -> dict[str, Any]:
    """By Keras alone."""
    found = keras.models.load_model(run / "encoder.keras")(pictures / np.float32(127.5) - 1)
    return {name: np.asarray(values) for name, values in found.items()}


def test_a_server_gives_latents_and_classes_of_pictures_and_of_files(
    version: Path, pictures: np.ndarray, expected: dict[str, Any]
) -> None:
    assert manifest.check(version)["signatures"]["invert"] == {
        "inputs": {"image": {"dtype": "float32", "shape": [None, SIDE, SIDE, 1]}},
        "outputs": {
            "labels": {"dtype": "int32", "shape": [None]},
            "latents": {"dtype": "float32", "shape": [None, Z]},
        },
    }
    files = np.array([png(pixels[..., 0]) for pixels in pictures])
    with ServingSession(version) as served:
        for name, given in (
            ("invert", {"image": pictures / np.float32(255)}),
            ("invert_encoded", {"image_bytes": files}),
        ):
            np.testing.assert_allclose(served.run(name, given, "latents"), expected["latents"], atol=1e-5)
            np.testing.assert_array_equal(served.run(name, given, "labels"), expected["labels"])
        assert served.run("invert", {"image": np.zeros((0, SIDE, SIDE, 1))}, "latents").shape == (0, Z)


def test_warm_up_has_a_request_of_each_batch_size(version: Path) -> None:
    records = tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests"))
    sizes: dict[str, list[int]] = {}
    for record in records.as_numpy_iterator():
        request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
        size = next(iter(request.inputs.values())).tensor_shape.dim[0].size
        sizes.setdefault(request.model_spec.signature_name, []).append(size)
    assert sizes["invert"] == sizes["invert_encoded"] == [1, 4, 16, 64]


@pytest.mark.parametrize("variant", ["float32", "dynamic", "int8"])
def test_a_file_gives_them_on_a_device_and_says_what_it_is(
    variant: str, version: Path, pictures: np.ndarray, expected: dict[str, Any]
) -> None:
    file = version / "tflite" / f"blots-invert-{variant}.tflite"
    if variant == "int8":  # whose ranges are those of pictures that the generator draws
        with np.load(version / "reference.npz") as kept:
            pictures, expected = kept["invert_image"], {"latents": kept["invert_latents"]}
    given = {"image": pictures / np.float32(255)}
    found = convert.run(file, given, None, "invert", "latents")
    np.testing.assert_allclose(found, expected["latents"], atol=1e-5 if variant == "float32" else 0.05)
    if variant == "float32":
        np.testing.assert_array_equal(convert.run(file, given, None, "invert", "labels"), expected["labels"])
    assert b'"task": "inversion"' in file.read_bytes()
    needs = manifest.check(version)["tflite"][f"invert-{variant}"]
    assert ("CONV_2D" in needs["float32_ops"]) == (variant != "int8"), "int8 computes in integers"


def test_an_onnx_file_gives_them_too_of_any_batch(
    version: Path, pictures: np.ndarray, expected: dict[str, Any]
) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(version / "onnx" / "blots-invert-float32.onnx"))
    names = [output.name for output in session.get_outputs()]
    for count in (1, 5):
        found = dict(zip(names, session.run(None, {"image": pictures[:count] / np.float32(255)}), strict=True))
        np.testing.assert_allclose(found["latents"], expected["latents"][:count], atol=1e-5)
        np.testing.assert_array_equal(found["labels"], expected["labels"][:count])
    about = session.get_modelmeta().custom_metadata_map
    assert json.loads(about["interface"])["task"] == "inversion"


def test_manifest_card_and_interface_describe_it(version: Path) -> None:
    found = manifest.check(version)
    assert {"savedmodel/invert", "savedmodel/invert_encoded", "tflite/invert-float32"} <= found["parity"].keys()
    assert found["encoder"]["psnr"] == 20.5
    assert set(found["encoder"]["changed_classes"]) == {what for what in found["parity"] if "invert" in what}
    card = (version / "MODEL_CARD.md").read_text()
    assert "genclient invert photo.jpg --model blots" in card
    row = next(line for line in card.splitlines() if line.startswith("| tflite/float32 "))
    assert f"{found['files']['tflite/blots-float32.tflite']['bytes'] / 1000:.1f} kB" in row, "without the other file"


def test_verify_runs_it_beside_what_keras_gave(version: Path, tmp_path: Path) -> None:
    import shutil

    files = {"tflite/invert-dynamic", "tflite/invert-int8", "onnx/invert-float32"}
    assert {"savedmodel/invert", *files} <= verify(version).keys()
    copy = tmp_path / "1"
    shutil.copytree(version, copy)
    with np.load(copy / "reference.npz") as stored:
        reference = dict(stored)
    reference["invert_latents"] += 0.5
    np.savez(copy / "reference.npz", **reference)
    manifest.write(copy, {key: value for key, value in manifest.check(version).items() if key != "files"})
    with pytest.raises(ExportError, match="savedmodel/invert: pictures drawn of its latents differ from Keras"):
        verify(copy)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda run: told(run, generator_sha256="0"), "of another state of the generator"),
        (lambda run: (run / "encoder.json").unlink(), "does not say of which generator it is"),
        (lambda run: (run / "encoder.keras").write_bytes(b"PK"), "encoder.keras"),
        (
            lambda run: keras.Sequential([keras.Input((SIDE, SIDE, 1)), layers.Flatten()]).save(run / "encoder.keras"),
            "",
        ),
    ],
)
def test_an_encoder_that_does_not_go_with_it_is_passed_over_in_one_line(spoil: Any, said: str, tmp_path: Path) -> None:
    run = run_of(tmp_path / "run")
    spoil(run)
    kind, model = kinds.load(Source(run))
    assert model.encoder is None
    assert said in model.notes[-1]
    assert f"passed over, and gentrain encoder {run} trains it anew" in model.notes[-1]
    assert "\n" not in model.notes[-1]
    assert "invert" not in kind.endpoints(model)


def flat() -> Any:
    """A model that gives something else."""
    return keras.Sequential([keras.Input((SIDE, SIDE, 1)), layers.Flatten()])


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()
