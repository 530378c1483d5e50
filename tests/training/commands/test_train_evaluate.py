"""`gentrain evaluate` on a real, short run: what it writes, what it prints, and what it refuses."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from gentrain import sources
from gentrain.commands import subject
from gentrain.data import holdout
from gentrain.data.dataset import Frame
from PIL import Image

METRICS = ["frechet", "kernel", "precision", "recall", "density", "coverage"]
Evaluate = Callable[..., tuple[int, str, str]]


@pytest.fixture
def evaluate(gentrain: Callable[..., tuple[int, str, str]]) -> Evaluate:
    """`evaluate(…)` runs the command in this process, where TensorFlow is loaded: exit code, stdout, stderr."""
    return lambda *arguments: gentrain("evaluate", *arguments)


@pytest.fixture
def run(run_directory: Path, tmp_path: Path) -> Path:
    """A copy of the short run, to be written into."""
    return Path(shutil.copytree(run_directory, tmp_path / "run"))


def test_numbers_stand_beside_their_reference_and_are_the_same_again(run: Path, evaluate: Evaluate) -> None:
    code, out, err = evaluate(run, "--samples", 300)
    assert code == 0, err
    first = json.loads((run / "metrics.json").read_text())
    assert list(first["metrics"]) == METRICS
    assert first["metrics"]["frechet"]["value"] > 5 * first["metrics"]["frechet"]["floor"]
    assert first["features"]["name"] == "classifier"
    assert first["features"]["accuracy"] > 0.96
    assert (first["samples"], first["snapshot"]) == (300, "last")
    assert first["kimg"] == pytest.approx(4, abs=0.6)
    assert first["nearest"]["pixels"] > 0.5
    assert [line.split()[0] for line in out.splitlines()[1:7]] == METRICS
    assert "to go" in err
    second = first["second"]
    assert second["features"]["name"] == "random"
    assert list(second["metrics"]) == ["frechet", "kernel", "recall", "coverage"]
    assert second["metrics"]["frechet"]["value"] > 5 * second["metrics"]["frechet"]["floor"]
    assert f"{second['metrics']['frechet']['floor']:.4g}" in out.splitlines()[1]
    assert "2nd net: random" in out
    assert "one good image again and again (precision, density)" in out
    assert "none of 5000 images was held out" in out
    assert f"{first['metrics']['frechet']['floor']:.4g}" in out
    with Image.open(run / "nearest.png") as picture:
        assert np.asarray(picture).std() > 50
    assert {"features.keras", "features.npz"} <= {path.name for path in run.iterdir()}

    assert evaluate(run, "--samples", 300)[0] == 0
    again = json.loads((run / "metrics.json").read_text())
    assert {**again, "seconds": 0} == {**first, "seconds": 0}


def test_the_best_snapshot_is_measured_if_one_was_kept(run: Path, evaluate: Evaluate) -> None:
    options = ["--samples", 50, "--features", "random"]
    code, _, err = evaluate(run, *options, "--snapshot", "best")
    assert code == 1
    assert "no best snapshot" in err.replace("the run has kept ", "")
    (run / "best").mkdir()
    shutil.copy(run / "generator.keras", run / "best")
    (run / "best" / "best.json").write_text('{"kimg": 3.5}')
    assert evaluate(run, *options)[0] == 0
    found = json.loads((run / "metrics.json").read_text())
    assert (found["snapshot"], found["kimg"], found["features"]["name"]) == ("best", 3.5, "random")
    assert evaluate(run, *options, "--snapshot", "last", "--out", run / "last.json")[0] == 0
    assert json.loads((run / "last.json").read_text())["snapshot"] == "last"


def test_a_run_is_measured_by_those_held_out_that_its_best_snapshot_was_not_chosen_by(
    run: Path, evaluate: Evaluate
) -> None:
    digits, config = sources.read("digits", Frame(32)), json.loads((run / "config.json").read_text())
    assert subject.find(run).unseen(digits) is None
    config["settings"]["held_out"] = 150
    (run / "config.json").write_text(json.dumps(config | {"data": "moved/away"}))
    np.testing.assert_array_equal(subject.find(run, "digits").unseen(digits), holdout.split(digits, 150)[1])
    code, out, err = evaluate(run, "--data", "digits", "--samples", 100)
    assert code == 0, err
    found = json.loads((run / "metrics.json").read_text())
    assert (found["held_out"], found["reference"], found["samples"], found["unknown"]) == (150, 75, 100, "")
    assert found["originality"]["floor"] == 1
    assert found["originality"]["value"] > 0.7, "what has hardly begun to learn copies nothing"
    assert "originality" in out
    assert "was held out" not in out


def test_other_images_than_the_runs_are_refused(run: Path, evaluate: Evaluate, tmp_path: Path) -> None:
    digits = sources.read("digits", Frame(32))
    np.savez(tmp_path / "other.npz", images=digits.images[:500], labels=digits.labels[:500])
    code, out, err = evaluate(run, "--data", tmp_path / "other.npz")
    assert (code, out) == (1, "")
    assert "not the images" in err
    assert not (run / "metrics.json").exists()


def test_a_bare_generator_is_measured_against_the_images_named(run: Path, evaluate: Evaluate, tmp_path: Path) -> None:
    options = ["--samples", 50, "--features", "random"]
    code, out, err = evaluate(run / "generator.keras", *options, "--data", "digits")
    assert code == 0, err
    assert out.splitlines()[1].startswith("frechet")
    assert not (run / "metrics.json").exists()
    assert evaluate(run / "generator.keras", *options, "--data", "digits", "--out", tmp_path / "own" / "m.json")[0] == 0
    assert json.loads((tmp_path / "own" / "m.json").read_text())["kimg"] is None
    assert (tmp_path / "own" / "nearest.png").exists()


def test_mistakes_are_reported_in_one_line(run: Path, evaluate: Evaluate, tmp_path: Path) -> None:
    (tmp_path / "broken.keras").write_bytes(b"PK not a model")
    (tmp_path / "text.txt").write_text("text")
    for code, message, arguments in [
        (1, "no run", [tmp_path / "nowhere"]),
        (1, "no run", [tmp_path]),
        (1, "a .keras file", [tmp_path / "text.txt"]),
        (1, "not a Keras model", [tmp_path / "broken.keras", "--data", "digits"]),
        (2, "needs --data", [run / "generator.keras"]),
        (2, "no snapshots", [run / "generator.keras", "--data", "digits", "--snapshot", "best"]),
        (2, "go together", [run, "--features", "inception"]),
        (2, "go together", [run, "--weights", tmp_path / "text.txt"]),
        (2, "samples", [run, "--samples", 1]),
        (
            1,
            "text.txt: no weights of InceptionV3",
            [run, "--features", "inception", "--weights", tmp_path / "text.txt"],
        ),
    ]:
        found, out, err = evaluate(*arguments)
        last = err.splitlines()[-1]
        assert (found, out) == (code, ""), arguments
        assert last.startswith("gentrain: "), arguments
        assert message in last, arguments
    assert not (run / "metrics.json").exists()


def test_a_generator_of_another_shape_is_refused(run: Path, evaluate: Evaluate) -> None:
    import keras

    latents = keras.Input((4,), name="latents")
    keras.Model(latents, keras.layers.Reshape((2, 2, 1))(latents)).save(run / "generator.keras")
    code, _, err = evaluate(run, "--features", "random", "--samples", 20)
    assert code == 1
    assert "20 × 2 × 2 × 1, expected 20 × 28 × 28 × 1" in err


def test_a_conditional_generator_is_scored_class_by_class(evaluate: Evaluate, tmp_path: Path) -> None:
    """One that shows a black image for every class but 3, for which it shows a real 3."""
    import keras

    digits = sources.read("digits", Frame(32))
    assert digits.labels is not None
    pictures = np.full((10, 784), -1, np.float32)
    pictures[3] = digits.images[digits.labels == 3][7].ravel() / 127.5 - 1
    latents, labels = keras.Input((4,), name="latents"), keras.Input((), dtype="int32", name="labels")
    x = keras.layers.Embedding(10, 784, weights=[pictures])(labels)
    x = keras.layers.Add()([x, keras.layers.Dense(784, kernel_initializer="zeros")(latents)])
    file = tmp_path / "generator.keras"
    keras.Model([latents, labels], keras.layers.Reshape((28, 28, 1))(x)).save(file)

    code, out, err = evaluate(file, "--data", "digits", "--samples", 200, "--out", tmp_path / "metrics.json")
    assert code == 0, err
    found = json.loads((tmp_path / "metrics.json").read_text())
    assert found["class_accuracy"].keys() == set("0123456789")
    assert found["class_accuracy"]["3"] == 1.0
    assert 0.05 < found["metrics"]["accuracy"]["value"] < 0.4
    assert found["metrics"]["accuracy"]["floor"] == found["features"]["accuracy"]
    assert "100.0% of 3" in out


def test_interrupted_it_writes_nothing(run: Path) -> None:
    gentrain = Path(sys.executable).with_name("gentrain")
    process = subprocess.Popen(
        [gentrain, "evaluate", run, "--features", "random"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("features: random"):
            process.send_signal(signal.SIGINT)
            break
    out, err = process.communicate(timeout=180)
    assert process.returncode == 130, err
    assert out == ""
    assert not (run / "metrics.json").exists()
    assert not (run / "nearest.png").exists()
    assert not list(run.glob(".tmp-*"))
