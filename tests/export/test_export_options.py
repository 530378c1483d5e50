"""Every option of every command set to something other than its default, as a user would, and what comes of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click
import keras
import pytest
from ai_edge_litert.interpreter import Interpreter
from genexport.cli import cli
from genexport.commands.publish import publish as publish_command
from genexport.repository import manifest
from keras import layers

OWN = """
import keras

class Glow(keras.layers.Layer):
    def call(self, x):
        return x * 0.5 + 0.2
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run directory with a best and a last generator, a critic, and a layer of its own; all pixels lie in [0, 1]."""
    folder = tmp_path_factory.mktemp("options") / "run"
    (folder / "best").mkdir(parents=True)
    (folder / "own_glow.py").write_text(OWN)
    from genexport.generator.keras_file import import_classes

    glow = import_classes([str(folder / "own_glow.py")])["Glow"]
    for place, seed in ((folder, 1), (folder / "best", 2)):
        keras.utils.set_random_seed(seed)
        latents = keras.Input((4,), name="latents")
        x = layers.Reshape((4, 4, 8))(layers.Dense(128)(latents))
        x = layers.Conv2DTranspose(3, 4, 2, padding="same", activation="sigmoid")(x)
        keras.Model(latents, glow()(x)).save(place / "generator.keras")
    pixels = keras.Input((8, 8, 3))
    keras.Model(pixels, layers.Dense(1)(layers.Flatten()(pixels))).save(folder / "discriminator.keras")
    (folder / "config.json").write_text(json.dumps({"preset": "quick"}))
    described = {"class_names": [], "source": "x", "count": 3, "image_shape": [8, 8, 3], "fingerprint": "x"}
    (folder / "dataset.json").write_text(json.dumps(described))
    return folder


def names(command: click.Command) -> set[str]:
    return {option.name or "" for option in command.params if isinstance(option, click.Option) and not option.hidden}


def test_every_option_of_publish_has_its_effect(run: Path, tmp_path: Path, command) -> None:
    root = tmp_path / "elsewhere"
    (root / "opts" / "3").mkdir(parents=True)
    given = {
        "repository": ["--repository", root],
        "name": ["--name", "opts"],
        "version": ["--version", 7],
        "keep": ["--keep", 1],
        "snapshot": ["--snapshot", "last"],
        "output_range": ["--output-range", "0..255"],
        "imports": ["--import", run / "own_glow.py"],
        "limits": ["--limit", "dynamic_db=21.5", "--limit", "float32=0.25"],
        "files": ["--files", "dynamic, float32"],
        "target": ["--for", "npu"],
        "onnx": ["--onnx"],
        "discriminator": ["--no-discriminator"],
        "batching": ["--batching"],
        "licence": ["--licence", "cc-by-4.0"],
    }
    # What is said of models by other hands is tried on such, in generator/test_export_foreign.py and
    # kinds/test_export_image_to_image.py.
    foreign = {"latents", "one_hot", "image_shape", "output", "activation", "pixels", "examples"}
    assert given.keys() | foreign == names(publish_command), "an option without a test"
    done = command("genexport", "publish", run, *(part for parts in given.values() for part in parts))
    assert done.returncode == 0, done.stderr
    folder = root / "opts" / "7"
    assert done.stdout.strip() == str(folder)
    assert sorted(path.name for path in root.iterdir()) == ["opts"], "no critic"
    assert {path.name for path in (root / "opts").iterdir()} == {"7", "batching_parameters.txt", ".lock"}
    found = manifest.check(folder)
    assert found["provenance"]["snapshot"] == "last"
    assert found["output_range_of_the_generator"] == [0.0, 255.0]
    assert (found["limits"]["dynamic_db"], found["limits"]["float32"]) == (21.5, 0.25)
    assert {path.name for path in (folder / "tflite").iterdir()} == {"opts-dynamic.tflite", "opts-float32.tflite"}
    assert (folder / "onnx" / "opts-float32.onnx").exists()
    kinds = [op["op_name"] for op in Interpreter(str(folder / "tflite" / "opts-float32.tflite"))._get_ops_details()]
    assert "TRANSPOSE_CONV" in kinds
    assert found["data"]["licence"] == "cc-by-4.0"
    card = (folder / "MODEL_CARD.md").read_text()
    assert "license: cc-by-4.0" in card
    assert "| licence | cc-by-4.0 |" in card
    listed = command("genexport", "list", "opts", "--repository", root)
    assert "7 *" in listed.stdout
    shutil.copytree(folder, root / "opts" / "8")
    back = command("genexport", "rollback", "opts", 7, "--repository", root)
    assert back.stdout.strip() == str(root / "opts" / "9")


def test_the_other_commands_have_no_options_but_those_tried_above() -> None:
    others = {name: names(command) for name, command in cli.commands.items() if name != "publish"}
    assert others == {"list": {"repository"}, "show": set(), "verify": set(), "rollback": {"repository"}}


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--files", "int4"], "'int4': expected one or more of float32, onnx, float16, dynamic, int8, micro"),
        (["--files", ""], "'': expected one or more of float32"),
        (["--files", "onnx,int8", "--no-onnx"], "--files names onnx, and --no-onnx leaves it out"),
        (["--for", "gpu"], "'gpu' is not one of 'cpu', 'npu'"),
    ],
)
def test_wrong_choices_of_files_are_refused_before_anything_is_loaded(
    arguments: list[str], reason: str, tmp_path: Path, command
) -> None:
    refused = command("genexport", "publish", tmp_path, "--name", "x", *arguments)
    assert refused.returncode == 2
    assert reason in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
