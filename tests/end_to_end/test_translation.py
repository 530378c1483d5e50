"""One picture becomes one picture, whatever runs the model: a server by gRPC and REST, LiteRT, a browser, C."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import embedded
import grpc
import keras
import numpy as np
import pytest
import tensorflow as tf
import tinted
from genclient import DeviceGenerator
from PIL import Image
from real_server import free_port, genserve
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as prediction_grpc
from translators import SIDE
from web_page import MISSING, chromium, installed, served

DOTS = ((3, 4, (210, 47, 39)), (12, 9, (63, 127, 209)))
"""Column, row and colour of each dot; the colours are two that the page offers."""


def near(found: np.ndarray, expected: np.ndarray) -> None:
    """No pixel differs by more than 2 of 255."""
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= 2


def read(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


@pytest.fixture(scope="module")
def file(translator: Path) -> Path:
    """The model for devices."""
    return translator / "models" / "colour" / "1" / "tflite" / "colour-float32.tflite"


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture that is neither of the model's size nor of its proportions."""
    path = tmp_path_factory.mktemp("picture") / "waves.png"
    tinted.waves(150, 97).save(path)
    return path


@pytest.fixture(scope="module")
def hints() -> bytes:
    """Dots of colour as a PNG file whose opaque pixels they are."""
    pixels, content = np.zeros((SIDE, SIDE, 4), np.uint8), io.BytesIO()
    for x, y, colour in DOTS:
        pixels[y - 1 : y + 2, x - 1 : x + 2] = (*colour, 255)
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


@pytest.fixture(scope="module")
def expected(translator: Path, picture: Path, hints: bytes) -> np.ndarray:
    """What Keras makes of the picture's middle as Pillow brings it to size: uint8 (H, W, 3)."""
    with Image.open(picture) as opened:
        left = (opened.width - opened.height) // 2
        box = (left, 0, left + opened.height, opened.height)
        small = opened.resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)
    given = np.asarray(small, np.float32), np.asarray(Image.open(io.BytesIO(hints)), np.float32)
    image, dots = (pixels[np.newaxis] / 127.5 - 1 for pixels in given)
    made = keras.models.load_model(translator / "run" / "generator.keras")([image, dots])
    return np.rint((np.asarray(made)[0] + 1) * 127.5).astype(np.uint8)


@pytest.fixture(scope="module")
def ports(translator: Path) -> Iterator[tuple[int, int]]:
    """The ports of a server that has it, for gRPC and REST."""
    grpc_port, rest_port = free_port(), free_port()
    options = ("--rest_api_port", rest_port, "--model_name", "colour")
    base = translator / "models" / "colour"
    with genserve(*options, "--model_base_path", base, models=("colour",), port=grpc_port):
        yield grpc_port, rest_port


def test_a_stub_of_tensorflow_serving_gets_it(
    ports: tuple[int, int], picture: Path, hints: bytes, expected: np.ndarray
) -> None:
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "colour", "png"
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto([picture.read_bytes()]))
    request.inputs["hints_bytes"].CopyFrom(tf.make_tensor_proto([hints]))
    with grpc.insecure_channel(f"localhost:{ports[0]}") as channel:
        reply = prediction_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)
    near(read(tf.make_ndarray(reply.outputs["png_bytes"])[0]), expected)


@pytest.mark.skipif(not shutil.which("curl"), reason="no curl: tests/install-tools.sh installs it")
def test_curl_gets_it_by_rest_in_base64(
    ports: tuple[int, int], picture: Path, hints: bytes, expected: np.ndarray, tmp_path: Path
) -> None:
    encoded = {"image_bytes": picture.read_bytes(), "hints_bytes": hints}
    instance = {name: {"b64": base64.b64encode(content).decode()} for name, content in encoded.items()}
    (tmp_path / "request.json").write_text(json.dumps({"signature_name": "png", "instances": [instance]}))
    address = f"http://localhost:{ports[1]}/v1/models/colour:predict"
    command = ["curl", "--silent", "--fail", "--data", f"@{tmp_path}/request.json", address]
    answer = json.loads(subprocess.run(command, capture_output=True, check=True, timeout=60).stdout)
    near(read(base64.b64decode(answer["predictions"][0]["b64"])), expected)


def test_litert_in_python_makes_it(file: Path, picture: Path, hints: bytes, expected: np.ndarray) -> None:
    near(DeviceGenerator(str(file)).translate([picture], hints=hints)[0], expected)


@pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}: run tests/install-tools.sh")
def test_a_browser_makes_it(translator: Path, picture: Path, expected: np.ndarray, tmp_path: Path) -> None:
    web = installed(tmp_path / "source")
    done = web(translator / "models" / "colour", tmp_path / "site" / "colour", "--file", "float32")
    assert done.returncode == 0, done.stderr
    with served(tmp_path / "site") as server, chromium(web, "--disable-gpu") as page:
        page.open(f"{server.origin}/colour/")
        page.choose_file(picture)
        page.wait("#pad-words[hidden]")
        for x, y, colour in DOTS:
            page.click(f'#colours [value="#{bytes(colour).hex()}"]')
            page.stroke(((x + 0.5) / SIDE, (y + 0.5) / SIDE))
        near(page.pixels("#made"), expected)


@pytest.mark.skipif(embedded.UNFIT is not None, reason=embedded.UNFIT or "")
def test_the_c_program_makes_it(file: Path, picture: Path, expected: np.ndarray, tmp_path: Path) -> None:
    with Image.open(picture) as opened:
        opened.save(tmp_path / "picture.ppm")
    dots = [part for x, y, colour in DOTS for part in ("-d", f"{x},{y},{bytes(colour).hex()}")]
    program = embedded.build(tmp_path) / "gentranslate"
    command = [program, *dots, file, tmp_path / "picture.ppm", tmp_path / "made.ppm"]
    subprocess.run(command, check=True, timeout=60)
    near(embedded.pixels(tmp_path / "made.ppm"), expected)
