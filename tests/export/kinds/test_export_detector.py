"""A detector is published: pictures in, scores and verdicts out, in every file; and what a version of it says."""

from __future__ import annotations

import base64
import io
import json
import shutil
import urllib.request
from pathlib import Path

import detector
import grpc
import numpy as np
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from click.testing import CliRunner
from genclient import Client
from genexport.cli import cli
from genexport.errors import ExportError
from genexport.kinds import load
from genexport.kinds.kind import Source
from genexport.repository import manifest
from genexport.savedmodel.saved_model import ServingSession
from genexport.verify import verify
from PIL import Image
from real_server import free_port, genserve
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

TINTS = np.array([(255, 0, 0), (0, 0, 255), (120, 120, 120), (128, 0, 200)], np.uint8)
PICTURES = np.broadcast_to(TINTS[:, None, None], (4, detector.SIDE, detector.SIDE, 3)).copy()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return detector.run(tmp_path_factory.mktemp("runs") / "det")


@pytest.fixture(scope="module")
def version(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    done = CliRunner().invoke(cli, ["publish", str(run), "--repository", str(models), "--name", "det"])
    assert done.exit_code == 0, done.output
    return models / "det" / "1"


@pytest.fixture(scope="module")
def served(version: Path):
    with ServingSession(version) as model:
        yield model


def test_a_server_gives_them_to_the_official_stubs_to_rest_and_to_the_client(version: Path) -> None:
    expected, rest = detector.scores(PICTURES), free_port()
    options = ("--rest_api_port", rest, "--model_name", "det", "--model_base_path", version.parent)
    with genserve(*options, models=("det",)) as address:
        with grpc.insecure_channel(address) as channel:
            predict = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict
            for count in (0, 4):
                request = predict_pb2.PredictRequest()
                request.model_spec.name, request.model_spec.signature_name = "det", "detect"
                floats = PICTURES[:count].astype(np.float32) / np.float32(255)
                request.inputs["images"].CopyFrom(tf.make_tensor_proto(floats))
                found = {name: tf.make_ndarray(tensor) for name, tensor in predict(request, timeout=30).outputs.items()}
                np.testing.assert_allclose(found["scores"], expected[:count], atol=1e-5)
                assert found["generated"].dtype == bool
                assert found["generated"].tolist() == (expected[:count] < detector.THRESHOLD).tolist()
        with io.BytesIO() as file:
            Image.fromarray(PICTURES[1]).save(file, "PNG")
            instances = [{"image_bytes": {"b64": base64.b64encode(file.getvalue()).decode()}}]
        body = json.dumps({"signature_name": "encoded", "instances": instances}).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{rest}/v1/models/det:predict", body, timeout=30) as response:
            (row,) = json.load(response)["predictions"]
        assert row["generated"] is True
        assert row["scores"] == pytest.approx(float(expected[1]), abs=1e-3)
        with Client(address, "det") as client:
            found = client.detect(PICTURES)
        assert found.scores == pytest.approx(expected, abs=1e-5)
        assert found.generated.tolist() == [False, True, False, True]


def test_scores_and_verdicts_come_from_floats_and_from_files_of_any_size(served: ServingSession) -> None:
    expected = detector.scores(PICTURES)
    assert (expected < detector.THRESHOLD).tolist() == [False, True, False, True]
    floats = {"images": PICTURES.astype(np.float32) / np.float32(255)}
    for name in ("serving_default", "detect"):
        np.testing.assert_allclose(served.run(name, floats, "scores"), expected, atol=1e-5)
        assert served.run(name, floats, "generated").tolist() == [False, True, False, True]
    wide = [Image.new("RGB", (200, 90), tuple(map(int, tint))) for tint in TINTS]
    files = {"image_bytes": np.array([_file(picture, "PNG") for picture in wide], object)}
    np.testing.assert_allclose(served.run("encoded", files, "scores"), expected, atol=1e-5)
    files = {"image_bytes": np.array([_file(picture, "JPEG") for picture in wide], object)}
    np.testing.assert_allclose(served.run("encoded", files, "scores"), expected, atol=0.02)


def test_pictures_are_cut_as_interface_json_says(served: ServingSession) -> None:
    picture = Image.new("RGB", (64, 32), (0, 0, 255))
    picture.paste((255, 0, 0), (16, 0, 48, 32))  # the middle, which is all that a centred crop keeps
    (score,) = served.run("encoded", {"image_bytes": np.array([_file(picture, "PNG")], object)}, "scores")
    assert score == pytest.approx(1 / (1 + np.exp(-detector.STEEPNESS)), abs=2e-3)  # Lanczos rounds at the edge


def test_an_empty_batch_has_no_scores_and_no_verdicts(served: ServingSession) -> None:
    nothing = {"images": np.zeros((0, detector.SIDE, detector.SIDE, 3), np.float32)}
    scores, verdicts = (served.run("detect", nothing, output) for output in ("scores", "generated"))
    assert (scores.shape, verdicts.shape, verdicts.dtype) == ((0,), (0,), bool)


def test_devices_get_the_same_scores_and_the_threshold(version: Path) -> None:
    expected, ones = detector.scores(PICTURES), PICTURES[:, None].astype(np.float32) / np.float32(255)
    for variant in ("float32", "float16", "dynamic"):
        file = version / "tflite" / f"det-{variant}.tflite"
        detect = Interpreter(model_path=str(file)).get_signature_runner("detect")
        assert detect.get_input_details()["images"]["shape"].tolist() == [1, detector.SIDE, detector.SIDE, 3]
        scores = np.concatenate([detect(images=one)["scores"] for one in ones])
        np.testing.assert_allclose(scores, expected, atol=0.01)
        start = (content := file.read_bytes()).index(b'{"detector_sha256"')
        said, _ = json.JSONDecoder().raw_decode(content[start:].decode(errors="replace"))
        assert (said["signature"], said["variant"], said["name"]) == ("detect", variant, "det")
        assert (said["threshold"], said["false_alarms"]) == (detector.THRESHOLD, detector.FALSE_ALARMS)
        assert said["interface"]["inputs"][0]["preprocessing"]["crop"] == "center"
    session = onnxruntime.InferenceSession(version / "onnx" / "det-float32.onnx", providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(["scores"], {"images": ones[:, 0]})[0], expected, atol=1e-5)
    assert session.get_modelmeta().custom_metadata_map["threshold"] == str(detector.THRESHOLD)


def test_a_version_says_how_it_judges_and_what_it_cannot_know(version: Path) -> None:
    found = manifest.check(version)
    assert (found["kind"], found["threshold"], found["false_alarms_interval"]) == ("detector", 0.3, [0.03, 0.08])
    assert found["signatures"]["detect"]["outputs"]["generated"] == {"dtype": "bool", "shape": [None]}
    assert found["examples"] == {"count": 48, "source": "examples.npz"}
    assert json.loads((version / "assets.extra/interface.json").read_text())["task"] == "fake-detection"
    card = (version / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "pipeline_tag: image-classification" in card
    assert "5% are (with 95% confidence 3% to 8%)" in card
    assert "A score is not evidence." in card
    assert "tflite/det-dynamic.tflite" in card


def test_list_show_rollback_and_verify_know_detectors(version: Path, tmp_path: Path) -> None:
    shutil.copytree(version, tmp_path / "det" / "1")
    at = ["--repository", str(tmp_path)]
    shutil.copytree(version, tmp_path / "det" / "2")
    assert CliRunner().invoke(cli, ["rollback", "det", "1", *at]).exit_code == 0
    listed = CliRunner().invoke(cli, ["list", *at]).output
    assert "threshold 0.3, 5% false alarms (3% to 8%)" in listed
    assert "copy of 1" in listed
    assert "judged by a detector" in CliRunner().invoke(cli, ["show", str(tmp_path / "det")]).output
    files = {"tflite/float32", "tflite/float16", "tflite/dynamic", "onnx/float32"}
    assert set(verify(version)) == {"savedmodel", "savedmodel/detect", "savedmodel/encoded", *files}
    entries = manifest.read(tmp_path / "det" / "3") | {"threshold": 0.9}
    (tmp_path / "det/3/reference.npz").unlink()
    examples = detector.examples()
    np.savez(tmp_path / "det/3/reference.npz", pixels=examples, scores=np.roll(detector.scores(examples), 1))
    manifest.write(tmp_path / "det" / "3", {key: value for key, value in entries.items() if key != "files"})
    with pytest.raises(ExportError, match="savedmodel: scores differ from Keras by 0"):
        verify(tmp_path / "det" / "3")


def test_what_is_no_detector_is_refused_in_one_line(run: Path, tmp_path: Path) -> None:
    cases = [
        ({"threshold": 1.5}, "interface.json: .*threshold and false_alarms have to be from 0 to 1, found 1.5"),
        ({"role": "images"}, "expected a detector, image → scores; found image → images"),
    ]
    broken = tmp_path / "broken"
    shutil.copytree(run, broken)
    for changed, message in cases:
        (broken / "interface.json").write_text(json.dumps(detector.interface(**changed)), encoding="utf-8")
        with pytest.raises(ExportError, match=message):
            load(Source(broken))
    described = detector.interface()
    described["inputs"][0]["shape"] = [None, 8, 8, 3]
    (broken / "interface.json").write_text(json.dumps(described), encoding="utf-8")
    with pytest.raises(ExportError, match=r"expected images \(N, 8, 8, 3\) and one score each; found images \(N, 16"):
        load(Source(broken))
    (broken / "detector.keras").unlink()
    with pytest.raises(ExportError, match=r"no detector.keras; gentrain detector … --run .* makes one"):
        load(Source(broken))
    at = ["--repository", str(tmp_path / "m"), "--name", "det", "--files", "int8"]
    error = CliRunner().invoke(cli, ["publish", str(run), *at]).exception
    assert str(error) == "--files int8: of a detector there are float32, onnx, float16, dynamic"


def test_without_known_false_alarms_nothing_is_said_of_them(tmp_path: Path) -> None:
    run = detector.run(tmp_path / "det", false_alarms=None, false_alarms_interval=None, threshold=None)
    _, model = load(Source(run))
    assert model.operating_point.as_json() == {"threshold": 0.5}
    assert model.operating_point.text() == "threshold 0.5"


def _file(picture: Image.Image, kind: str) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return buffer.getvalue()


def test_a_file_of_fewer_bits_that_differs_is_left_out_unless_it_is_asked_for(run: Path, tmp_path: Path) -> None:
    given = ["publish", str(run), "--repository", str(tmp_path), "--name", "det", "--limit", "float16=0", "--no-onnx"]
    done = CliRunner().invoke(cli, [*given, "--files", "float16"])
    assert done.exit_code == 1
    assert "tflite/float16: scores differ from Keras" in str(done.exception)
    done = CliRunner().invoke(cli, given)
    assert done.exit_code == 0, done.output
    about = json.loads((tmp_path / "det" / "1" / "manifest.json").read_text())
    assert "tflite/float16" in about["left_out"]
    assert "tflite/det-float16.tflite" not in about["files"]
    assert "tflite/det-float32.tflite" in about["files"]
