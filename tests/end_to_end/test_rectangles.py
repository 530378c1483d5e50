"""Rectangles from a folder of pictures to the client's files: one short training of 24×16, in two classes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import keras
import numpy as np
import pytest
import tensorflow as tf
from killed import kill_after_a_checkpoint
from PIL import Image
from real_server import genserve
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

HEIGHT, WIDTH = 16, 24
FIT = ["--preset", "quick", "--resolution", f"{WIDTH}x{HEIGHT}", "--conditional", "--flip", "--batch", 8]
SMALL = ["generator_width=8", "discriminator_width=8", "latent_size=6", "augment=0"]
OFTEN = ["kimg_per_checkpoint=0.128", "kimg_per_tick=0.128", "kimg_per_evaluation=0"]
SETS = [part for change in (*SMALL, *OFTEN) for part in ("--set", change)]
LENGTH = ["--kimg", 0.768]


def fitted(data: Path, run: Path) -> list[object]:
    return ["fit", "--data", data, "--run", run, *FIT, *SETS, *LENGTH]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Skies over land, of many sizes, some upright: 24 by day and 24 by night."""
    folder, random = tmp_path_factory.mktemp("skies"), np.random.default_rng(0)
    for number in range(48):
        name = ("day", "night")[number % 2]
        size = (int(random.integers(40, 90)), int(random.integers(30, 60)))
        picture = Image.new("RGB", size, (90, 160, 250) if name == "day" else (10, 10, 40))
        picture.paste((40, 120, 40), (0, int(size[1] * random.uniform(0.4, 0.8)), *size))
        (folder / name).mkdir(exist_ok=True)
        picture.save(folder / name / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory, command) -> Path:
    run = tmp_path_factory.mktemp("runs") / "skies"
    done = command("gentrain", *fitted(data, run))
    assert done.returncode == 0, done.stderr
    return run


@pytest.fixture(scope="module")
def models(run: Path, tmp_path_factory: pytest.TempPathFactory, command) -> Path:
    models = tmp_path_factory.mktemp("models")
    options = ("--repository", models, "--name", "skies", "--files", "float32,int8")
    done = command("genexport", "publish", run, *options)
    assert done.returncode == 0, done.stderr
    return models


@pytest.fixture(scope="module")
def target(models: Path) -> Iterator[str]:
    config = models / "models.config"
    names = ("skies", "skies-critic")
    lines = (f'config {{ name: "{n}" base_path: "{models / n}" model_platform: "tensorflow" }}' for n in names)
    config.write_text(f"model_config_list {{ {' '.join(lines)} }}")
    with genserve("--model_config_file", config, models=names) as target:
        yield target


def weights(run: Path) -> list[np.ndarray]:
    return [
        array
        for name in ("generator", "discriminator")
        for array in keras.models.load_model(run / f"{name}.keras").get_weights()
    ]


def test_a_run_says_what_it_makes_and_its_pictures_are_of_that_size(run: Path, command) -> None:
    config = json.loads((run / "config.json").read_text())
    assert (config["settings"]["resolution"], config["image_shape"]) == ("24x16", [HEIGHT, WIDTH, 3])
    (output,) = json.loads((run / "interface.json").read_text())["outputs"]
    assert output["shape"] == [None, HEIGHT, WIDTH, 3]
    generator = keras.models.load_model(run / "generator.keras", safe_mode=True)
    assert all(type(layer).__module__.startswith("keras.src.layers.") for layer in generator.layers)
    assert min(layer.output.shape[1:3] for layer in generator.layers if len(layer.output.shape) == 4) == (4, 6)
    with Image.open(run / "samples" / "000000kimg.png") as grid:
        scale = grid.width // (8 * (WIDTH + 2) - 2)
        assert grid.size == (scale * (8 * (WIDTH + 2) - 2), scale * (2 * (HEIGHT + 2) - 2)), "a class a row"
    for arguments in (["evaluate", run, "--features", "random", "--samples", 48], ["report", run]):
        done = command("gentrain", *arguments)
        assert done.returncode == 0, done.stderr
    assert "24×16" in (run / "report.html").read_text()


def test_after_kill_9_it_goes_on_to_the_very_weights_of_an_undisturbed_run(
    run: Path, data: Path, tmp_path: Path, command, forked
) -> None:
    killed = tmp_path / "killed"
    process = forked.start("gentrain", *fitted(data, killed))
    assert kill_after_a_checkpoint(process, killed) < 768
    other = command("gentrain", *fitted(data, killed), "--resolution", "16x24")
    assert (other.returncode, "began with resolution 24x16 (now 16x24)" in other.stderr) == (1, True), other.stderr
    done = command("gentrain", *fitted(data, killed))
    assert done.returncode == 0, done.stderr
    assert "going on at" in done.stderr
    for found, expected in zip(weights(killed), weights(run), strict=True):
        assert np.array_equal(found, expected)


def test_official_stubs_get_rectangles_and_the_critic_takes_any_picture(
    target: str, run: Path, data: Path, models: Path
) -> None:
    latents = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)
    labels = np.int32([0, 1, 0])
    generator = keras.models.load_model(run / "generator.keras")
    expected = (generator([latents, labels]).numpy() + 1) / 2

    def predict(model: str, signature: str, **inputs: object) -> dict[str, np.ndarray]:
        request = predict_pb2.PredictRequest()
        request.model_spec.name, request.model_spec.signature_name = model, signature
        for name, value in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
        with grpc.insecure_channel(target) as channel:
            reply = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)
        return {name: tf.make_ndarray(output) for name, output in reply.outputs.items()}

    images = predict("skies", "serving_default", latents=latents, labels=labels)["images"]
    assert images.shape == (3, HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(images, expected, atol=1e-5)
    for png in predict("skies", "png", latents=latents, labels=labels)["png_bytes"]:
        assert tf.io.decode_png(png).shape == (HEIGHT, WIDTH, 3)
    upright = (data / "day" / "0.png").read_bytes()
    (name,) = {*predict("skies-critic", "encoded", image_bytes=[upright], labels=labels[:1])}
    shown = json.loads((models / "skies" / "1" / "manifest.json").read_text())
    assert shown["image_shape"] == [HEIGHT, WIDTH, 3], name


def test_the_client_lays_rectangles_out_and_writes_them_one_by_one(
    target: str, models: Path, tmp_path: Path, command
) -> None:
    served = ("--target", target, "--model", "skies")
    device = ("--tflite", models / "skies" / "1" / "tflite" / "skies-int8.tflite")
    for number, source in enumerate((served, device)):
        sample = ("genclient", "sample", *source, "--label", 1)
        out = tmp_path / f"{number}.png"
        done = command(*sample, "--n", 16, "--grid", "8x2", "--scale", 1, "--out", out)
        assert done.returncode == 0, done.stderr
        with Image.open(out) as grid:
            assert grid.size == (8 * WIDTH, 2 * HEIGHT)
        done = command(*sample, "--n", 3, "--out", tmp_path / f"{number}-folder")
        assert done.returncode == 0, done.stderr
        sizes = [Image.open(file).size for file in (tmp_path / f"{number}-folder").glob("*.png")]
        assert sizes == [(WIDTH, HEIGHT)] * 3
    done = command("genclient", "interpolate", *served, "--label", 1, "--out", tmp_path / "walk.gif", "--scale", 1)
    assert done.returncode == 0, done.stderr
    with Image.open(tmp_path / "walk.gif") as film:
        assert film.size[0] * HEIGHT == film.size[1] * WIDTH
