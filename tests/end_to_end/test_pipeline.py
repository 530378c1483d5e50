"""From a run directory to images: the same seed is the same image on every way that genline offers."""

from __future__ import annotations

import shutil
from pathlib import Path

import grpc
import numpy as np
import tensorflow as tf
from gentrain import sources
from gentrain.data.dataset import Frame
from PIL import Image
from tensorflow_serving.apis import get_model_status_pb2, model_service_pb2_grpc, predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as prediction_grpc


def sample(command, out: Path, *options: object) -> np.ndarray:
    """The images that `genclient sample --out out.npz` fetched, as floats in [0, 1]."""
    done = command("genclient", "sample", "--n", 16, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(out)
    with np.load(out) as fetched:
        assert fetched["images"].dtype == np.uint8
        return fetched["images"].astype(np.float64) / 255


def test_one_seed_is_one_image_by_every_signature_and_on_the_device(
    target: str, repository: Path, tmp_path: Path, command
) -> None:
    server = ["--target", target, "--model", "digits", "--seed", 5]
    images = sample(command, tmp_path / "served.npz", *server)
    assert images.shape == (16, 28, 28, 1)
    for signature in ("uint8", "png", "seeds"):
        other = sample(command, tmp_path / f"{signature}.npz", *server, "--signature", signature)
        assert np.abs(other - images).mean() < 0.001, signature
    for variant, limit in (("float32", 0.001), ("dynamic", 0.02)):
        file = repository / "digits" / "1" / "tflite" / f"digits-{variant}.tflite"
        other = sample(command, tmp_path / f"{variant}.npz", "--tflite", file, "--seed", 5)
        assert np.abs(other - images).mean() < limit, variant


def test_other_seeds_are_other_images_and_a_range_is_its_parts(target: str, tmp_path: Path, command) -> None:
    server = ["--target", target, "--model", "digits"]
    first = sample(command, tmp_path / "a.npz", *server, "--seed", 0)
    later = sample(command, tmp_path / "b.npz", *server, "--seed", 4)
    assert np.abs(first - later).mean() > 0.01
    assert np.abs(first[4:] - later[:12]).max() < 0.005, "image i of seed s is image 0 of seed s + i"


def test_a_sheet_of_sixteen_is_written_by_default(target: str, tmp_path: Path, command) -> None:
    sheets = []
    for seed in (0, 100):
        out = tmp_path / f"{seed}.png"
        arguments = ["--n", 16, "--target", target, "--model", "digits", "--seed", seed, "--out", out]
        assert command("genclient", "sample", *arguments).returncode == 0
        with Image.open(out) as sheet:
            assert min(sheet.size) >= 4 * 28
            sheets.append(np.asarray(sheet.convert("L"), np.float64))
    assert np.abs(sheets[0] - sheets[1]).mean() > 2


def test_a_stub_of_tensorflow_serving_gets_the_same_images(target: str, tmp_path: Path, command) -> None:
    latents = np.stack(
        [tf.raw_ops.StatelessRandomNormalV2(shape=[32], key=[seed], counter=[0, 0], alg=1) for seed in range(16)]
    )
    with grpc.insecure_channel(target) as channel:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "digits"
        request.inputs["latents"].CopyFrom(tf.make_tensor_proto(latents))
        reply = prediction_grpc.PredictionServiceStub(channel).Predict(request, timeout=30)
        status = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(
            get_model_status_pb2.GetModelStatusRequest(model_spec=request.model_spec), timeout=30
        )
    assert (reply.model_spec.version.value, reply.model_spec.signature_name) == (1, "serving_default")
    assert status.model_version_status[0].state == get_model_status_pb2.ModelVersionStatus.AVAILABLE
    images = tf.make_ndarray(reply.outputs["images"])
    fetched = sample(command, tmp_path / "ours.npz", "--target", target, "--model", "digits", "--seed", 0)
    assert np.abs(images - fetched).max() <= 0.5 / 255 + 1e-6


def test_client_knows_what_the_server_has(target: str, command) -> None:
    told = command("genclient", "info", "--target", target, "--model", "digits")
    assert told.returncode == 0, told.stderr
    for signature in ("serving_default", "uint8", "png", "seeds"):
        assert signature in told.stdout
    assert "32" in told.stdout
    assert command("genclient", "status", "--target", target, "--model", "digits").returncode == 0


def test_one_model_of_a_running_server_is_added_read_back_and_taken_away(target, repository, command, tmp_path):
    config = tmp_path / "more.config"
    twin = f'config {{ name: "twin" base_path: "{repository}/digits" model_platform: "tensorflow" }}'
    config.write_text(f"model_config_list {{ {twin} }}")
    merged = command("genclient", "reload", config, "--merge", "--target", target, "--timeout", 60)
    assert merged.returncode == 0, merged.stderr
    shown = command("genclient", "reload", "--show", "--target", target).stdout
    assert [line.split('"')[1] for line in shown.splitlines() if "name:" in line] == ["digits", "twin"]
    for name in ("digits", "twin"):
        done = command(
            "genclient", "sample", "--n", 1, "--target", target, "--model", name, "--out", tmp_path / "a.npz"
        )
        assert done.returncode == 0, done.stderr
    (tmp_path / "whole.config").write_text(shown)
    assert command("genclient", "reload", tmp_path / "whole.config", "--target", target).returncode == 0
    assert command("genclient", "reload", "--remove", "twin", "--target", target).returncode == 0
    assert "twin" not in command("genclient", "reload", "--show", "--target", target).stdout
    again = command("genclient", "reload", "--remove", "twin", "--target", target)
    assert (again.returncode, "Model twin is not in the config" in again.stderr) == (64 + 5, True)


def test_shards_that_the_client_wrote_are_images_to_train_on(repository: Path, tmp_path: Path, command) -> None:
    file = repository / "digits" / "1" / "tflite" / "digits-float32.tflite"
    images = sample(command, tmp_path / "images.npz", "--tflite", file)
    for out in ("%06d.tar", "%06d.tfrecord"):
        folder = tmp_path / out.rpartition(".")[2]
        options = ["--n", 16, "--tflite", file, "--out", folder / out, "--shard-size", 10]
        assert command("genclient", "sample", *options).returncode == 0
        data = sources.read(str(folder), Frame(32))
        assert np.array_equal(np.asarray(data.images), np.rint(images * 255))
    folder, sheet = tmp_path / "folder", tmp_path / "sheet.png"
    for out in (folder, sheet):
        assert command("genclient", "sample", "--n", 16, "--tflite", file, "--out", out).returncode == 0
    sheet.rename(folder / sheet.name)
    shutil.copy(repository / "digits" / "1" / "contact_sheet.png", folder)
    data = sources.read(str(folder), Frame(32))
    assert np.array_equal(np.asarray(data.images), np.rint(images * 255))
    assert {entry.file for entry in data.skipped} == {"sheet.png", "contact_sheet.png"}
