"""What a user types first: the base install, without TensorFlow, and `make demo`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[2]
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python"]


@pytest.fixture(scope="module")
def base_install(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh virtual environment with `pip install .` and nothing else."""
    folder = tmp_path_factory.mktemp("base") / "venv"
    venv.create(folder)
    subprocess.run([*PIP, folder / "bin" / "python", "install", "--quiet", ROOT], check=True)
    return folder / "bin"


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(argument) for argument in arguments], capture_output=True, text=True, timeout=120)


def test_base_install_is_the_client_alone(base_install: Path) -> None:
    listed = run(*PIP, base_install / "python", "list", "--format", "freeze").stdout.lower()
    packages = {line.partition("==")[0].partition(" ")[0] for line in listed.splitlines()}
    assert packages >= {"genline", "click", "grpcio", "numpy", "pillow", "protobuf"}
    assert not [name for name in packages if "tensor" in name or "keras" in name]
    site = next((base_install.parent / "lib").glob("python*/site-packages"))
    own = [
        path
        for path in site.iterdir()
        if not path.name.startswith(("pip", "setuptools", "pkg_resources", "_distutils"))
    ]
    size = sum(f.stat().st_size for path in own for f in ([path] if path.is_file() else path.rglob("*")) if f.is_file())
    assert size < 125e6


def test_client_runs_without_tensorflow_and_the_others_say_what_to_install(base_install: Path, tmp_path: Path) -> None:
    for name in ("gentrain", "genexport", "genserve", "genclient"):
        helped = run(base_install / name, "--help")
        assert helped.returncode == 0, helped.stderr
        assert "Usage: " in helped.stdout
    (tmp_path / "models" / "1").mkdir(parents=True)
    (tmp_path / "images").mkdir()
    for i in range(4):
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(tmp_path / "images" / f"{i}.png")
    for extra, arguments in (
        ("train", ["gentrain", "fit", "--data", "digits", "--run", tmp_path / "run"]),
        ("train", ["gentrain", "fit", "--data", tmp_path / "images", "--run", tmp_path / "run2"]),
        ("export", ["genexport", "publish", tmp_path, "--repository", tmp_path, "--name", "x"]),
        ("serve", ["genserve", "--model_base_path", tmp_path / "models", "--port", free_port()]),
        ("device", ["genclient", "sample", "--tflite", ROOT / "pyproject.toml", "--out", tmp_path / "out.png"]),
    ):
        told = run(base_install / str(arguments[0]), *arguments[1:])
        assert told.returncode != 0
        line = told.stderr.splitlines()[-1]
        assert line.endswith("pip install ai-edge-litert" if extra == "device" else f"pip install '.[{extra}]'")
        assert "Traceback" not in told.stderr


def make(target: str, **variables: object) -> str:
    """Run make with these variables, in the environment that runs the tests: `make install` would make the same."""
    command = ["make", "--old-file=.venv/installed", target, f"BIN={Path(sys.executable).parent}"]
    command += [f"{name}={value}" for name, value in variables.items()]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=550)
    assert done.returncode == 0, done.stderr
    return done.stdout


UNPENALISED = "--kimg 0.512 --loss bce --set gamma=0"  # compiled in a quarter of the time


def test_demo_goes_from_images_to_images_and_a_second_one_reuses_them(tmp_path: Path) -> None:
    folders = {
        "RUN": tmp_path / "runs" / "digits",
        "MODELS": tmp_path / "models",
        "OUT": tmp_path / "out" / "digits.png",
    }
    variables = {**folders, "PRESET": "quick", "ARGS": UNPENALISED, "PORT": free_port()}
    said = make("demo", **variables)
    with Image.open(variables["OUT"]) as sheet:
        assert min(sheet.size) >= 4 * 28
    assert str(variables["OUT"]) in said
    generator = (tmp_path / "runs" / "digits" / "generator.keras").stat().st_mtime_ns
    make("demo", **variables)
    assert [path.name for path in (tmp_path / "models" / "digits").iterdir() if path.name.isdigit()] == ["1"]
    assert (tmp_path / "runs" / "digits" / "generator.keras").stat().st_mtime_ns == generator
    with socket.socket() as probe:
        assert probe.connect_ex(("localhost", int(str(variables["PORT"])))) != 0, "the server is stopped"


def test_demo_translate_goes_from_drawings_to_translated_outlines(tmp_path: Path) -> None:
    write_drawings(tmp_path / "openmoji" / "package")
    sets = {"batch": 8, "gamma": 0, "held_out": 4, "kimg_per_tick": 0.064, "kimg_per_evaluation": 0}
    sets |= {"generator_width": 4, "discriminator_width": 4}
    length = ["--kimg", "0.064", "--resolution", "16", "--loss", "bce"]
    arguments = " ".join([*length, *(f"--set {name}={value}" for name, value in sets.items())])
    folders = {"RUN": tmp_path / "run", "MODELS": tmp_path / "models", "OUT": tmp_path / "out" / "colour.png"}
    make("demo-translate", OPENMOJI=tmp_path / "openmoji", **folders, ARGS=arguments, PORT=free_port())
    drawn = {part: len(list((tmp_path / "openmoji" / part / "colour").iterdir())) for part in ("train", "test")}
    assert sum(drawn.values()) == COUNT
    with Image.open(tmp_path / "openmoji" / "train" / "colour" / "0001.png") as colour:
        assert colour.getpixel((32, 16)) == (255, 0, 0)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["preset"] == "translate"
    with Image.open(folders["OUT"]) as sheet:
        assert sheet.info["model"] == "colour"
        assert int(sheet.info["pictures"]) == drawn["test"] // 7
    assert list((tmp_path / "models" / "colour" / "1" / "tflite").iterdir())


def test_demo_detect_goes_from_pictures_to_verdicts(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "pictures").mkdir()
    for number, pixels in enumerate(rng.integers(0, 256, (60, 16, 16), np.uint8)):
        Image.fromarray(pixels).save(tmp_path / "pictures" / f"{number:02}.png")
    sets = {"batch": 8, "gamma": 0, "held_out": 0, "kimg_per_tick": 0.064}
    sets |= {"generator_width": 4, "discriminator_width": 4}
    length = ["--kimg", "0.064", "--resolution", "16", "--loss", "bce"]
    arguments = " ".join([*length, *(f"--set {name}={value}" for name, value in sets.items())])
    folders = {"FAKING": tmp_path / "faking", "DETECTOR": tmp_path / "det", "MODELS": tmp_path / "models"}
    folders |= {"JUDGED": tmp_path / "judged", "DATA": tmp_path / "pictures"}
    said = make("demo-detect", **folders, PRESET="quick", ARGS=arguments, DETECTING="--steps 20", PORT=free_port())
    verdicts = [line.split() for line in said.splitlines() if line.endswith(".png") and "%" in line]
    assert sorted(Path(row[-1]).name.partition("-")[0] for row in verdicts) == 8 * ["generated"] + 8 * ["real"]
    assert {row[1] for row in verdicts} <= {"generated", "real"}
    assert all(Path(row[-1]).name.startswith("real") for row in verdicts[:8]), said  # noise before smooth patches


COUNT = 120


def write_drawings(package: Path) -> None:
    """A package as npm's openmoji, of rectangles."""
    for folder, fill in (("black", "none"), ("color", "#ff0000")):
        (package / folder / "svg").mkdir(parents=True)
        for number in range(COUNT):
            drawn = f'<rect x="1" y="1" width="14" height="{5 + number / 12}" stroke="black" fill="{fill}"/>'
            svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">{drawn}</svg>'
            (package / folder / "svg" / f"{number:04}.svg").write_text(svg)
    about = {"skintone": "", "group": "objects"}
    drawings = [
        {"hexcode": f"{number:04}", "annotation": f"square {chr(97 + number % 26)}{number // 26}x", **about}
        for number in range(COUNT)
    ]
    (package / "data").mkdir()
    (package / "data" / "openmoji.json").write_text(json.dumps(drawings))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        return probe.getsockname()[1]
