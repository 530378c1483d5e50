"""Latents of a user's pictures: by a server's encoder or by a file, for what sample and interpolate take."""

from __future__ import annotations

import asyncio
import json

import encoders
import keras
import numpy as np
import pytest
import tensorflow as tf
from genclient import AsyncClient, Client, ClientError, DeviceGenerator
from genexport.kinds import load
from genexport.kinds.generator import inverted
from genexport.kinds.kind import Source
from PIL import Image
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2

SIDE, Z = encoders.SIDE, encoders.Z


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return encoders.run_of(tmp_path_factory.mktemp("inverting") / "run")


@pytest.fixture(scope="module")
def encoder(run):
    """uint8 pixels (N, H, W, 1) → latents and labels, by Keras."""
    model = keras.models.load_model(run / "encoder.keras")
    return lambda pixels: {name: np.asarray(v) for name, v in model(pixels / np.float32(127.5) - 1).items()}


@pytest.fixture(scope="module")
def file(run, tmp_path_factory):
    _, model = load(Source(run))
    path = tmp_path_factory.mktemp("files") / "blots-invert-float32.tflite"
    path.write_bytes(inverted._tflite(model, "blots", "float32"))
    return path


@pytest.fixture
def server(serve, tools, encoder):
    """A generator with an encoder beside it, which reads PNG files of its own size only."""

    def answer(request, context):
        given = request.inputs
        if "image" not in given and "image_bytes" not in given:
            return served.prediction.generate(request, context)
        if "image" in given:
            pixels = np.rint(tf.make_ndarray(given["image"]) * 255)
        else:
            pixels = np.stack([tf.io.decode_image(each).numpy() for each in tf.make_ndarray(given["image_bytes"])])
        response = predict_pb2.PredictResponse()
        response.model_spec.version.value = 3
        for name, array in encoder(pixels).items():
            response.outputs[name].CopyFrom(tools.as_values(array))
        return response

    outputs = {"latents": (types_pb2.DT_FLOAT, [-1, Z]), "labels": (types_pb2.DT_INT32, [-1])}
    table = tools.signature_table(z=tools.Z) | {
        "invert": ({"image": (types_pb2.DT_FLOAT, [-1, SIDE, SIDE, 1])}, outputs),
        "invert_encoded": ({"image_bytes": (types_pb2.DT_STRING, [-1])}, outputs),
    }
    served = serve(signatures=table, answer=answer)
    return served


@pytest.fixture
def pixels():
    return np.random.default_rng(3).integers(0, 256, (3, SIDE, SIDE, 1), np.uint8)


@pytest.mark.parametrize("by", ["server", "file"])
def test_pictures_become_an_archive_of_latents_and_classes(by, genclient, server, file, encoder, pixels, tmp_path):
    for number, image in enumerate(pixels):
        Image.fromarray(image[..., 0]).save(tmp_path / f"{number}.png")
    (tmp_path / "text.png").write_text("no picture")
    source = ("--target", server.target) if by == "server" else ("--tflite", file)
    done = genclient("invert", "0.png", "text.png", "1.png", "2.png", *source, "--out", "z.npz", "--classes", "a,b,c")
    expected = encoder(pixels)
    assert (done.returncode, done.stdout) == (1, b"z.npz\n")
    notes = done.stderr.decode()
    assert "text.png: not a picture that can be read" in notes
    assert f"2.png: class {'abc'[expected['labels'][2]]}" in notes
    with np.load(tmp_path / "z.npz") as found:
        np.testing.assert_allclose(found["latents"], expected["latents"], atol=1e-5)
        assert found["labels"].tolist() == expected["labels"].tolist()
        assert found["files"].tolist() == ["0.png", "1.png", "2.png"]
        assert ("model" in found) == (by == "server")
    if by == "server":
        assert {request.model_spec.signature_name for request in server.prediction.requests} == {"invert_encoded"}


def test_a_file_says_how_pictures_of_any_size_are_brought_to_its_own(file, encoder, pixels, tmp_path):
    large = np.kron(pixels[0, ..., 0], np.ones((4, 4), np.uint8))
    wide = np.concatenate([np.zeros((32, 20), np.uint8), large, np.zeros((32, 20), np.uint8)], axis=1)
    Image.fromarray(wide).save(tmp_path / "wide.png")
    small = Image.fromarray(large).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    found = DeviceGenerator(str(file)).invert([tmp_path / "wide.png"])
    np.testing.assert_allclose(found.latents, encoder(np.asarray(small)[None, ..., None])["latents"], atol=0.02)


def test_the_library_gives_them_to_threads_and_to_asyncio(server, encoder, pixels):
    expected = encoder(pixels)
    with Client(server.target) as client:
        found = client.invert(pixels)
        assert client.run(image=pixels).keys() == {"latents", "labels"}

    async def awaited():
        async with AsyncClient(server.target) as client:
            return await client.invert(pixels.astype(np.float32) / 255)

    for each in (found, asyncio.run(awaited())):
        np.testing.assert_allclose(each.latents, expected["latents"], atol=1e-5)
        assert each.labels.tolist() == expected["labels"].tolist()


def test_a_generator_stays_one_to_info_and_bench(genclient, server):
    facts = json.loads(genclient("info", "--target", server.target, "--format", "json").stdout)
    assert (facts["image"], facts["latents"], facts["images"]) == (None, 5, [6, 4, 3])
    assert facts["probe"]["received_bytes"] > 0
    done = genclient("bench", "--target", server.target, "--duration", 0.2, "--warm-up", 0)
    assert done.returncode == 0, done.stderr


def test_a_model_without_an_encoder_is_told_in_one_line(genclient, serve, tflite, pixels, tmp_path):
    Image.fromarray(pixels[0, ..., 0]).save(tmp_path / "0.png")
    for source in (("--target", serve().target), ("--tflite", tflite)):
        done = genclient("invert", "0.png", *source, "--out", "z.npz")
        assert done.returncode == 1
        assert len(done.stderr.splitlines()) == 1
        assert b"finds no latents of pictures" in done.stderr
    assert not (tmp_path / "z.npz").exists()
    with Client(serve().target) as client, pytest.raises(ClientError, match="gentrain encoder RUN makes it"):
        client.invert(pixels)
    assert b"ends in .npz" in genclient("invert", "0.png", "--out", "z.png").stderr


def test_options_say_which_signature_version_and_values_are_meant(genclient, server, file, encoder, pixels, tmp_path):
    Image.fromarray(pixels[0, ..., 0].astype(np.float32) / 255).save(tmp_path / "0.tif")
    ranged = ("0.tif", "--value-range", "0:1", "--out", "z.npz")
    for options in (("--signature", "invert", "--model-version", 3), ("--version-label", "stable")):
        done = genclient("invert", *ranged, "--target", server.target, *options)
        assert done.returncode == 0, done.stderr
    first, second = server.prediction.requests
    assert (first.model_spec.signature_name, first.model_spec.version.value) == ("invert", 3)
    assert second.model_spec.signature_name == "invert_encoded"
    assert "stable" in [asked.model_spec.version_label for asked in server.prediction.described]
    assert genclient("invert", *ranged, "--tflite", file, "--threads", 2).returncode == 0
    with np.load(tmp_path / "z.npz") as found:
        np.testing.assert_allclose(found["latents"], encoder(pixels[:1])["latents"], atol=0.02)
    assert b"--threads: found 2 without --tflite" in genclient("invert", *ranged, "--threads", 2).stderr
