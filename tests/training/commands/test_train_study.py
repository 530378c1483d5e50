"""The augmentation study: who sees which image, what is compared, and that it can be stopped and gone on with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import click
import keras
import numpy as np
import pytest
import tensorflow as tf
from gentrain import sources
from gentrain.cli import cli
from gentrain.commands.study import classifier, results, split, synthetic
from gentrain.commands.study.options import ALL, ARMS, Options, parse_sizes
from gentrain.commands.study.run import Study
from gentrain.data.dataset import Dataset, Frame
from gentrain.errors import TrainError
from keras import layers
from PIL import Image, ImageStat

SIDE, EACH, NAMES = 12, 50, ("across", "down", "square")
NET = ["--set", "generator_width=4", "--set", "discriminator_width=4", "--set", "latent_size=4"]
NET += ["--set", "loss=bce", "--set", "gamma=0.0"]  # compiled in a quarter of the time


def shapes(seed: int = 0) -> Dataset:
    """Three easy classes in noise, so that every image differs from every other."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (3 * EACH, SIDE, SIDE, 1), np.uint8)
    labels = np.repeat(np.arange(3, dtype=np.int32), EACH)
    for image, label in zip(images, labels, strict=True):
        top, left = rng.integers(1, 6, 2)
        height, width = ((2, 6), (6, 2), (5, 5))[label]
        image[top : top + height, left : left + width] += 150
    return Dataset("shapes", images, labels, NAMES)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shapes as a file."""
    path, dataset = tmp_path_factory.mktemp("data") / "shapes.npz", shapes()
    np.savez(path, images=dataset.images, labels=dataset.labels, class_names=np.array(NAMES))
    return path


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conditional generator that was never trained: images of one grey each."""
    latents, labels = keras.Input((4,), name="latents"), keras.Input((), dtype="int32", name="labels")
    x = layers.Concatenate()([latents, layers.Flatten()(layers.Embedding(3, 2)(labels))])
    x = layers.Dense(SIDE * SIDE, activation="tanh")(x)
    path = tmp_path_factory.mktemp("generator") / "generator.keras"
    keras.Model([latents, labels], layers.Reshape((SIDE, SIDE, 1), name="images")(x)).save(path)
    return path


class Killed(NamedTuple):
    """A study's folder and command, its results when it was killed, and the command's second go."""

    out: Path
    arguments: list[str]
    before: list[dict]
    went_on: subprocess.CompletedProcess[str]


def study(data: Path, out: Path, *options: object) -> list[str]:
    small = ["--n", "5", "--seeds", "1", "--steps", "40", "--synthetic", "20"]
    return ["augment-study", "--data", str(data), "--out", str(out), *small, *map(str, options)]


def done(out: Path) -> list[dict]:
    path = out / "study.json"
    return json.loads(path.read_text())["results"] if path.exists() else []


def test_held_out_images_are_the_same_for_every_seed_and_in_no_draw() -> None:
    dataset = shapes()
    parts = split.hold_out(dataset)
    assert np.array_equal(parts.test, split.hold_out(dataset).test)
    assert np.array_equal(np.bincount(dataset.labels[parts.test]), [EACH // 5] * 3)
    for size in (5, 20, ALL):
        for seed in (0, 1):
            drawn = parts.draw(size, seed)
            assert not set(drawn) & set(parts.test)
            assert np.array_equal(np.bincount(dataset.labels[drawn]), [parts.images_a_class(size)] * 3)
    assert set(parts.draw(5, 0)) < set(parts.draw(20, 0)) < set(parts.draw(ALL, 0))
    assert set(parts.draw(5, 0)) != set(parts.draw(5, 1))
    assert np.array_equal(parts.draw(ALL, 0), parts.draw(ALL, 1))


def test_of_copies_one_takes_part() -> None:
    once = shapes()
    count = len(once.images)
    images, labels = (np.concatenate([whole, whole]) for whole in (once.images, once.labels))
    twice = Dataset("twice", images, labels, NAMES, first_alike=np.tile(np.arange(count), 2))
    parts = split.hold_out(twice)
    assert np.array_equal(parts.test, split.hold_out(once).test)
    assert max(pool.max() for pool in parts.pools) < count


def test_sizes_beyond_what_is_there_are_left_out_with_a_note() -> None:
    parts = split.hold_out(shapes())
    sizes, notes = split.possible((5, 41, 40, ALL), parts)
    assert sizes == (5, ALL), "40 a class are all there are"
    assert len(notes) == 1
    assert "41" in notes[0]
    assert parse_sizes(" 5, all,5") == (5, ALL)


def test_classical_augmentation_moves_images_and_mirrors_only_when_asked() -> None:
    images = np.zeros((200, SIDE, SIDE, 1), np.float32)
    images[:, :, : SIDE // 2] = 255
    for flip, mirrored in ((False, 0), (True, 100)):
        moved = classifier.augment(tf.constant(images), tf.constant([0, 1], tf.int64), flip).numpy()
        right = moved[:, :, SIDE // 2 :].mean(axis=(1, 2, 3)) > moved[:, :, : SIDE // 2].mean(axis=(1, 2, 3))
        assert abs(right.sum() - mirrored) <= 30 * flip
        assert len(np.unique(moved.reshape(200, -1), axis=0)) == 200
        assert 0.35 < (moved > 127).mean() < 0.65
    again = classifier.augment(tf.constant(images), tf.constant([0, 1], tf.int64), True).numpy()
    assert np.array_equal(moved, again)


def test_classifier_learns_and_is_the_same_for_the_same_seed() -> None:
    dataset, other = shapes(), shapes(seed=1)
    assert dataset.labels is not None
    images, labels = np.concatenate([dataset.images] * 2), np.concatenate([dataset.labels] * 2)
    order = classifier.in_turn([len(dataset.images)] * 2, 80, 32, seed=3)
    trained = [classifier.train(images, labels, order, 3, seed=3, classical=True, flip=False) for _ in range(2)]
    for one, two in zip(*(model.get_weights() for model in trained), strict=True):
        assert np.array_equal(one, two)
    assert classifier.right(trained[0], other.images, other.labels).mean() > 0.8
    wrong = (other.labels + 1) % 3
    assert classifier.right(trained[0], other.images, wrong).mean() < 0.2


def test_table_gives_mean_and_deviation_and_what_synthetic_images_add() -> None:
    found = {"real": {5: [0.5, 0.7, 0.6]}, "real + synthetic": {5: [0.6, 0.9, 0.6], ALL: [0.875]}}
    table = results.table(found, (5, ALL), {5: 5, ALL: 40}).splitlines()
    assert [cell.strip() for cell in table[0].split("|")[1:-1]] == ["real images a class", "real", "real + synthetic"]
    assert [cell.strip() for cell in table[2].split("|")[1:-1]] == ["5", "60.0 ± 10.0", "70.0 ± 17.3"]
    assert [cell.strip() for cell in table[3].split("|")[1:-1]] == ["all (40)", "–", "87.5"]
    assert "+10.0 ± 10.0" in results.gains(found, (5, ALL), {5: 5, ALL: 40})


@pytest.fixture(scope="module")
def killed(data: Path, tmp_path_factory: pytest.TempPathFactory, command, forked) -> Killed:
    """A study that trains a generator, killed between two classifiers, and the same command once more."""
    out = tmp_path_factory.mktemp("study") / "shapes"
    arguments = study(data, out, "--kimg", "0.6", *NET)
    told = out.with_name("told.txt")
    with told.open("wb") as stderr:
        running = forked.start("gentrain", *arguments, stderr=stderr)
    while "seed 0, synthetic" not in told.read_text():
        assert running.poll() is None, told.read_text()
        time.sleep(0.005)
    running.kill()
    assert running.wait(60) == -signal.SIGKILL
    assert done(out), told.read_text()
    return Killed(out, arguments, done(out), command("gentrain", *arguments))


def test_killed_study_goes_on_with_what_is_missing(killed: Killed) -> None:
    assert killed.went_on.returncode == 0, killed.went_on.stderr
    assert 2 <= len(killed.before) < len(ARMS)
    assert done(killed.out)[: len(killed.before)] == killed.before
    assert [(r["n"], r["seed"], r["arm"]) for r in done(killed.out)] == [(5, 0, arm.name) for arm in ARMS]
    assert all(0 <= r["accuracy"] <= 1 for r in done(killed.out))
    assert "training a generator" not in killed.went_on.stderr or "building" not in killed.went_on.stderr


def test_generator_is_trained_on_the_drawn_images_alone(killed: Killed, data: Path) -> None:
    dataset = sources.read(str(data), Frame(32))
    drawn = split.hold_out(dataset).draw(5, 0)
    seen = np.load(killed.out / "generators" / "n5-seed0.npz")
    assert np.array_equal(seen["images"], dataset.images[drawn])
    assert np.array_equal(seen["labels"], dataset.labels[drawn])
    trained = json.loads((killed.out / "generators" / "n5-seed0" / "config.json").read_text())
    assert trained["image_count"] == 15
    assert trained["settings"]["conditional"]


def test_table_and_figure_are_written_and_the_table_printed(killed: Killed) -> None:
    assert killed.went_on.stdout == (killed.out / "study.md").read_text()
    settings = ", ".join(change.replace("=", " ") for change in NET[1::2])
    assert f"0.6 kimg (preset small, {settings})" in killed.went_on.stdout
    for arm in ARMS:
        assert f" {arm.name} |" in killed.went_on.stdout
    with Image.open(killed.out / "study.png") as picture:
        assert ImageStat.Stat(picture.convert("L")).stddev[0] > 5


def test_finished_study_is_printed_again_without_tensorflow(killed: Killed, tmp_path: Path, command) -> None:
    environment = os.environ | {"PYTHONPATH": str(no_tensorflow(tmp_path))}
    again = command("gentrain", *killed.arguments, env=environment)
    assert again.stdout == killed.went_on.stdout, again.stderr


def test_changed_options_are_refused_by_name_but_more_sizes_and_seeds_are_not(killed: Killed, command) -> None:
    refused = command("gentrain", *killed.arguments, "--steps", "41", "--flip")
    assert refused.returncode == 1
    assert "steps 40 (now 41)" in refused.stderr
    assert "flip False (now True)" in refused.stderr
    assert Options("x", sizes=(5,)).fixed() == Options("x", sizes=(6, ALL), seeds=9).fixed()


def test_given_generator_serves_all_and_the_table_says_what_that_means(
    data: Path, generator: Path, tmp_path: Path
) -> None:
    images, labels = synthetic.draw(generator, (SIDE, SIDE, 1), classes=3, count=4, seed=0)
    assert images.shape == (12, SIDE, SIDE, 1)
    assert np.array_equal(labels, np.repeat([0, 1, 2], 4))
    assert not np.array_equal(images, synthetic.draw(generator, (SIDE, SIDE, 1), 3, 4, seed=1)[0])
    with pytest.raises(TrainError, match="the data has"):
        synthetic.draw(generator, (SIDE, SIDE, 3), 3, 4, seed=0)
    with pytest.raises(TrainError, match="of 9 classes"):
        synthetic.draw(generator, (SIDE, SIDE, 1), 9, 4, seed=0)
    notes: list[str] = []
    options = Options(str(data), (5, 99), seeds=1, generator=str(generator))
    begun = Study(options, tmp_path / "study", sources.read, notes.append, show=None)
    assert "has seen whatever it was trained on" in begun.text()
    assert len(notes) == 1
    assert "n = 99 left out" in notes[0]


def no_tensorflow(folder: Path) -> Path:
    """A place on Python's path where TensorFlow cannot be imported from."""
    package = folder / "without" / "tensorflow"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('not here')\n")
    return package.parent


def test_what_a_study_cannot_be_made_of_is_refused_and_leaves_no_trace(data: Path, tmp_path: Path) -> None:
    unlabelled, single = tmp_path / "unlabelled.npz", tmp_path / "single.npz"
    np.savez(unlabelled, images=shapes().images)
    np.savez(single, images=shapes().images, labels=np.zeros(3 * EACH, np.int32), class_names=np.array(["one"]))
    plain = tmp_path / "plain.keras"
    keras.Sequential([keras.Input((4,), name="latents"), layers.Dense(3)]).save(plain)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").touch()
    out = tmp_path / "out"
    for arguments, code, words in (
        (study(unlabelled, out), 1, "no classes"),
        (study(single, out), 1, "at least two"),
        (study(data, out, "--n", "1,20"), 2, "--n"),
        (study(data, out, "--n", "few"), 2, "few"),
        (study(data, out, "--n", "4000"), 2, "40 images"),
        (study(data, out, "--seeds", "0"), 2, "--seeds"),
        (study(data, out, "--set", "nothing=1"), 2, "nothing"),
        (study(data, out, "--generator", plain), 1, "labels"),
        (study(data, out, "--generator", tmp_path / "missing.keras"), 1, "missing.keras"),
        (study(data, out, "--generator", plain, "--kimg", "3"), 2, "--kimg"),
        (study(data, tmp_path / "full"), 1, "holds other things"),
    ):
        with pytest.raises((TrainError, click.ClickException), match=words) as refusal:
            cli.main(arguments, standalone_mode=False)
        assert refusal.value.exit_code == code
        assert not out.exists()
