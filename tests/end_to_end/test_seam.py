"""A task from outside goes through all rooms: its condition trains, and its file of the client fetches.

The package has two small files, one a room: a blurred picture as a condition, which the generator adds to what it
draws, and the task that sends a picture beside seeds. genexport knows it by the roles in interface.json alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from genclient import Client, DeviceGenerator
from genclient.latents import latents
from genclient.tasks import registry

BLURRED = Path(__file__).parents[1] / "support" / "blurred.py"
TASK = """
from genclient.tasks import IMAGE, IMAGES, LATENTS, PNG, SEEDS, Task

SHARPEN = Task("sharpen", inputs=[LATENTS, SEEDS, IMAGE], outputs=[IMAGES, PNG])
"""
ENTRY_POINTS = "[gentrain.conditions]\nblurred = blurred:Blurred\n[genclient.tasks]\nsharpen = sharpen:SHARPEN\n"
SIDE, SIZE = 16, 6
SETS = [f"latent_size={SIZE}", "generator_width=4", "discriminator_width=4", "batch=8", "precision=float32", "gamma=0"]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """`run("gentrain", …)`: a command where the package is installed, as pip leaves it."""
    package = tmp_path_factory.mktemp("package")
    (package / "blurred.py").write_text(BLURRED.read_text())
    (package / "sharpen.py").write_text(TASK)
    information = package / "sharpen-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: sharpen\nVersion: 1\n")
    (information / "entry_points.txt").write_text(ENTRY_POINTS)
    environment = os.environ | {"PYTHONPATH": str(package)}

    def started(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        command = [Path(sys.executable).with_name(name), *map(str, arguments)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return done

    return started


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Squares of random colours, uint8 (48, 16, 16, 3)."""
    colours = np.random.default_rng(5).integers(0, 256, (48, 4, 4, 3), np.uint8)
    return colours.repeat(4, axis=1).repeat(4, axis=2)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory, run: Run, pictures: np.ndarray, genexport) -> Path:
    """Trained a few steps by `gentrain fit`, published and verified by genexport, where the package is not installed.

    Gives the version's folder.
    """
    folder = tmp_path_factory.mktemp("seam")
    np.savez(folder / "pictures.npz", images=pictures)
    settings = [part for setting in ["conditions=blurred", *SETS] for part in ("--set", setting)]
    fit = [
        "fit",
        "--data",
        folder / "pictures.npz",
        "--run",
        folder / "run",
        "--kimg",
        0.064,
        "--loss",
        "bce",
        *settings,
    ]
    run("gentrain", *fit)
    options = ["--repository", folder / "models", "--name", "sharpen", "--files", "float32"]
    done = genexport("publish", folder / "run", *options)
    assert done.exit_code == 0, done.output
    version = Path(done.stdout.strip())
    assert genexport("verify", version).exit_code == 0
    return version


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> None:
    """The task as a program registers it, for one test."""
    monkeypatch.setattr(registry, "_registered", [])
    names: dict[str, registry.Task] = {}
    exec(TASK, names)
    registry.register(names["SHARPEN"])


@pytest.fixture(scope="module")
def target(published: Path) -> Iterator[str]:
    """The address of a server that has it."""
    socket = published.parents[2] / "socket"
    options = ["--port", "0", "--grpc_socket_path", socket, "--model_name", "sharpen"]
    genserve = Path(sys.executable).with_name("genserve")
    server = subprocess.Popen([genserve, *options, "--model_base_path", published.parent])
    try:
        with Client(f"unix:{socket}", "sharpen") as client:
            client.wait(120)
        yield f"unix:{socket}"
    finally:
        server.terminate()
        assert server.wait(60) == 0


@pytest.fixture(scope="module")
def expected(published: Path, pictures: np.ndarray) -> np.ndarray:
    """What Keras draws of the first five pictures with seeds 3 to 7, in [0, 255]."""
    generator = keras.models.load_model(published.parents[2] / "run" / "generator.keras")
    image = pictures[:5].astype(np.float32) / 127.5 - 1
    images = generator({"latents": latents(np.arange(3, 8), SIZE), "blurred": image}).numpy()
    return (images + 1) * 127.5


def test_the_manifest_says_what_the_run_said(published: Path) -> None:
    manifest = json.loads((published / "manifest.json").read_text())
    interface = json.loads((published.parents[2] / "run" / "interface.json").read_text())
    assert manifest["interface"] == interface
    assert interface["task"] == "image-to-image"
    assert [tensor["role"] for tensor in interface["inputs"]] == ["latents", "image"]
    assert set(manifest["signatures"]) == {"serving_default", "uint8", "png", "seeds"}


@pytest.mark.parametrize("signature", ["auto", "serving_default", "uint8", "seeds"])
def test_a_server_gives_keras_images(
    signature: str, task: None, target: str, pictures: np.ndarray, expected: np.ndarray
) -> None:
    with Client(target, "sharpen") as client:
        images = client.run(seeds=range(3, 8), image=pictures[:5], signature=signature)["images"]
    np.testing.assert_allclose(images, expected, atol=1.01)


def test_a_device_gives_keras_images(task: None, published: Path, pictures: np.ndarray, expected: np.ndarray) -> None:
    device = DeviceGenerator(str(published / "tflite" / "sharpen-float32.tflite"))
    np.testing.assert_allclose(device.run(seeds=range(3, 8), image=pictures[:5])["images"], expected, atol=1.01)


def test_the_command_gives_keras_images(
    run: Run, target: str, pictures: np.ndarray, expected: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "pictures.npy", pictures[:5])
    options = ["--seed", 3, "--n", 5, "--input", f"image={tmp_path}/pictures.npy", "--out", tmp_path / "out.npz"]
    run("genclient", "sample", "--target", target, "--model", "sharpen", *options)
    with np.load(tmp_path / "out.npz") as arrays:
        np.testing.assert_allclose(arrays["images"], expected, atol=1.01)
