"""`gentrain augment`: a folder of pictures a class, without near-copies, and an answer whether they help."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import click
import keras
import numpy as np
import pytest
from gentrain import sources
from gentrain.cli import cli
from gentrain.commands.augmentation import pictures, verdict
from gentrain.commands.study import classifier
from gentrain.data.dataset import Dataset, Frame
from gentrain.errors import TrainError
from gentrain.metrics.generate import generate
from keras import layers

SIDE, NAMES, COUNTS = 12, ("across", "down", "T/box"), (40, 20, 12)
NET = ["--set", "generator_width=4", "--set", "discriminator_width=4", "--set", "latent_size=4"]
NET += ["--set", "loss=bce", "--set", "gamma=0.0"]  # compiled in a quarter of the time
SMALL = ["--kimg", "0.3", "--repeats", "1", "--steps", "20", *NET]


def shapes(seed: int = 0) -> Dataset:
    """Three easy classes of unequal size in noise, so that every image differs from every other."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 60, (sum(COUNTS), SIDE, SIDE, 1), np.uint8)
    labels = np.repeat(np.arange(3, dtype=np.int32), COUNTS)
    for image, label in zip(images, labels, strict=True):
        top, left = rng.integers(1, 6, 2)
        height, width = ((2, 6), (6, 2), (5, 5))[label]
        image[top : top + height, left : left + width] += 150
    return Dataset("shapes", images, labels, NAMES)


def save(path: Path, dataset: Dataset) -> Path:
    np.savez(path, images=dataset.images, labels=dataset.labels, class_names=np.array(dataset.class_names))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`data.npz`, other images of the classes in `test.npz`, and `more`, where the rare classes were filled up."""
    folder = tmp_path_factory.mktemp("augment")
    save(folder / "data.npz", shapes())
    save(folder / "test.npz", shapes(seed=1))
    cli.main(command(folder), standalone_mode=False)
    return folder


def command(folder: Path, *options: object) -> list[str]:
    arguments = ["augment", "--data", folder / "data.npz", "--fill", "--out", folder / "more", *SMALL, *options]
    return list(map(str, arguments))


def manifest(folder: Path) -> dict:
    return json.loads((folder / "more" / "manifest.json").read_text())


def test_rare_classes_are_filled_up_and_the_folder_is_read_back_with_its_classes(folder: Path) -> None:
    read = sources.read(str(folder / "more"), Frame(32))
    assert read.class_counts() == {"T_box": 28, "down": 20}
    assert read.images.shape[1:] == (SIDE, SIDE, 1)


def test_manifest_has_what_makes_the_same_pictures_again(folder: Path) -> None:
    kept = manifest(folder)
    file = folder / "more" / kept["generator"]["file"]
    assert kept["generator"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    box = kept["classes"]["T/box"]
    assert (box["folder"], box["label"], box["count"]) == ("T_box", 2, 28)
    assert box["drawn"] == box["count"] + box["near_copies"]
    generator = keras.models.load_model(file, compile=False)
    again = generate(generator, 1, box["seeds"][-1], {"labels": np.array([2], np.int32)})
    images, _ = pictures.read(folder / "more", {2: "T_box"}, (SIDE, SIDE, 1))
    assert np.abs(images[-1].astype(int) - again[0]).max() <= 1
    seeds = [seed for one in kept["classes"].values() for seed in one["seeds"]]
    assert len(set(seeds)) == len(seeds)


def test_generator_and_classifiers_have_not_seen_the_test_images(folder: Path) -> None:
    trained = np.load(folder / "more" / ".generator.npz")
    assert np.array_equal(np.bincount(trained["labels"]), [32] * 3), "each class as often"
    seen = {image.tobytes() for image in trained["images"]}
    assert len(seen) == 32 + 16 + 10
    kept = manifest(folder)
    assert (kept["trained_on"], kept["tested_on"]) == (32 + 16 + 10, 8 + 4 + 2)
    assert {result["arm"] for result in kept["results"]} == set(kept["experiment"]["accuracy"])
    assert len(kept["results"]) == 4


def test_what_is_missing_is_made_again_the_same_and_nothing_else(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more, before = folder / "more", manifest(folder)
    pixels = {path.name: path.read_bytes() for path in (more / "down").iterdir()}
    kept = (more / "T_box").stat().st_mtime_ns
    shutil.rmtree(more / "down")
    cut = {**before, "results": before["results"][:3], "generators": []}
    (more / "manifest.json").write_text(json.dumps(cut))
    cli.main(command(folder), standalone_mode=False)
    out, err = capsys.readouterr()
    assert "kimg" not in err, "no training"
    assert err.count("classifier 1 of 1") == 1
    assert {path.name: path.read_bytes() for path in (more / "down").iterdir()} == pixels
    assert (more / "T_box").stat().st_mtime_ns == kept
    assert manifest(folder)["experiment"]["verdict"] in out
    assert "few images to test on: across (8), down (4), T/box (2)" in err


def test_a_run_lends_its_generator_and_a_dry_run_writes_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    run = ["augment", "--run", folder / "more" / ".generator", "--per-class", "5", "--out", out, "--dry-run"]
    with pytest.raises(TrainError, match="held out too few images to test on; --test"):
        cli.main(list(map(str, run)), standalone_mode=False)
    cli.main([*map(str, run), "--test", str(folder / "test.npz")], standalone_mode=False)
    plan = json.loads(capsys.readouterr().out)
    box = {"folder": "T_box", "real": 10, "tested": 12, "wanted": 5}
    assert plan["classes"]["T/box"] == box
    assert "kimg" not in plan["options"]
    assert not out.exists()


def test_pictures_of_a_generator_that_copies_are_left_out() -> None:
    dataset = shapes()
    labels = keras.Input((), dtype="int32", name="labels")
    flat = dataset.images[[0, 44, 64]].reshape(3, -1) / 127.5 - 1
    table = layers.Embedding(3, flat.shape[1], weights=[flat], embeddings_initializer="zeros")
    nothing = layers.Rescaling(0.0)(layers.Dense(flat.shape[1])(latents := keras.Input((4,), name="latents")))
    x = layers.Reshape((SIDE, SIDE, 1))(layers.Add()([layers.Flatten()(table(labels)), nothing]))
    copier = keras.Model([latents, labels], x)
    copier.get_layer(table.name).set_weights([flat])
    made = pictures.make(copier, dataset, np.arange(0, sum(COUNTS), 3)[1:], {1: 3}, most=3, seed=0)
    assert len(made[1].images) == 0
    assert made[1].near_copies == made[1].drawn == 3 * pictures.ROUNDS


def test_every_class_is_drawn_equally_often_and_half_of_it_generated() -> None:
    real, generated = np.repeat([0, 1], [90, 10]).astype(np.int32), np.repeat(np.int32(1), 80)
    order = classifier.by_class(real, generated, 400, 64, seed=0)
    labels = np.concatenate([real, generated])[order]
    assert (labels == 1).mean() == pytest.approx(0.5, abs=0.02)
    assert (order >= len(real)).mean() == pytest.approx(0.25, abs=0.02)


@pytest.mark.parametrize(
    ("better", "words"), [(0.2, "They help here: +"), (0.0, "as far as these test images"), (-0.2, "they harm: -")]
)
def test_answer_follows_from_the_interval(better: float, words: str) -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [300, 60]).astype(np.int32)
    chances = {"real": 0.6, "real + classical": 0.65, "real + synthetic": 0.65 + better}
    chances["real + classical + synthetic"] = 0.6 + better
    arms = {name: rng.random((5, 360)) < chance for name, chance in chances.items()}
    best = verdict.best(arms, labels)
    assert (best.without, best.with_) == ("real + classical", "real + synthetic")
    assert best.low <= best.points <= best.high
    assert words in verdict.sentence(best)


def test_rare_classes_count_as_much_as_others() -> None:
    labels = np.repeat([0, 1], [90, 10]).astype(np.int32)
    right = np.repeat([[True, False]], [90, 10], axis=1)
    assert verdict.accuracy(right, labels) == [0.5]
    assert "50.0 | 0.0 |" in verdict.table({"real": right}, labels, filled=[1])


def test_what_cannot_be_done_is_refused_in_one_line(folder: Path, tmp_path: Path) -> None:
    data, single, few, even = folder / "data.npz", tmp_path / "single.npz", tmp_path / "few.npz", tmp_path / "even.npz"
    whole = shapes()
    assert whole.labels is not None
    np.savez(tmp_path / "unlabelled.npz", images=whole.images)
    save(single, Dataset("", whole.images, np.zeros(sum(COUNTS), np.int32), ("one",)))
    save(few, Dataset("", whole.images[:61], whole.labels[:61], NAMES))
    save(even, Dataset("", whole.images[20:60], whole.labels[20:60], NAMES[:2]))
    (tmp_path / "photos").mkdir()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").touch()
    out = tmp_path / "out"
    some = ["--per-class", 5]
    for arguments, code, words in (
        (["--data", tmp_path / "unlabelled.npz", *some], 1, "no classes"),
        (["--data", single, *some], 1, "at least two"),
        (["--data", few, *some], 1, "class T/box has 1 images"),
        (["--data", even, "--fill"], 2, "all classes have 20"),
        (["--data", data, "--test", single, *some], 1, "class one is none of"),
        (["--data", data, "--test", data, *some], 1, "all its images are among"),
        (["--data", data], 2, "--per-class N and --fill"),
        (["--data", data, "--fill", *some], 2, "--per-class N and --fill"),
        (["--data", data, "--per-class", 0], 2, "--per-class must be"),
        (["--data", data, "--kimg", 1, "--minutes", 1, *some], 2, "both set the length"),
        (["--data", data, "--set", "nothing=1", *some], 2, "nothing"),
        (["--data", data, "--set", "kimg=1", *some], 2, "this command sets it"),
        (["--data", data, "--preset", "text", *some], 2, "other things than"),
        (["--run", folder / "more" / ".generator", "--kimg", 1, *some], 2, "nothing is trained"),
        (["--run", tmp_path / "nowhere", *some], 1, "no run"),
        (some, 2, "--data"),
        (["--data", data, "--out", tmp_path / "thesis", *some], 1, "holds other things"),
        (["--data", tmp_path / "photos", "--out", tmp_path / "photos" / "more", *some], 1, "inside the data"),
        (["--data", data, "--out", folder / "more", *SMALL, *some], 1, r"per_class None \(now 5\)"),
    ):
        with pytest.raises((TrainError, click.ClickException), match=words) as refusal:
            cli.main(list(map(str, ["augment", "--out", out, *arguments])), standalone_mode=False)
        assert refusal.value.exit_code == code, arguments
        assert not out.exists()
