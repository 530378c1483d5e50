"""What folders, tables and names of files mean: the same in a folder, a zip and a tar archive, reported in one line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

import pytest
from gentrain import sources
from gentrain.data.dataset import Dataset, Frame
from gentrain.errors import TrainError, UsageError
from PIL import Image

FRAME = Frame(16)


def blobs(root: Path, names: Iterable[str]) -> Path:
    """Grey 16×16 images of these names, the first of value 0, the next of 1 …"""
    for i, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (16, 16), i).save(root / name, "PNG")
    return root


def packed(root: Path) -> list[str]:
    """The folder itself, and archives of it."""
    found = [str(root)]
    for kind in ("zip", "tar", "gztar"):
        found.append(shutil.make_archive(str(root.parent / f"packed-{kind}"), kind, root.parent, root.name))
    return found


def labelled(data: Dataset) -> dict[str, list[int]]:
    """Class → the values of its images; "" where there are no classes."""
    values = data.images[:, 0, 0, 0]
    if data.labels is None:
        return {"": values.tolist()}
    return {name: values[data.labels == i].tolist() for i, name in enumerate(data.class_names)}


PETS = ("{}/cat/a.png", "{}/cat/b.png", "{}/dog/a.png")
CAT_DOG = {"cat": [0, 1], "dog": [2]}


def pets(*folders: str) -> list[str]:
    return [name.format(folder) for folder in folders for name in PETS]


LAYOUTS = {
    "split folders": (pets("train", "validation", "test"), {}, CAT_DOG, "train"),
    "any spelling and case": (pets("Training_set", "VALID", "eval2017"), {}, CAT_DOG, "train"),
    "within data": (pets("data/train", "data/dev"), {}, CAT_DOG, "train"),
    "chosen": (pets("train", "val"), {"split": "validation"}, {"cat": [3, 4], "dog": [5]}, "validation"),
    "all": (pets("train", "val"), {"split": "all"}, {"cat": [0, 1, 3, 4], "dog": [2, 5]}, "all"),
    "images of splits in a folder": (["train/images/a.png", "test/images/a.png"], {}, {"": [0]}, "train"),
    "splits without classes": (["train/a.png", "train/b.png", "test/a.png"], {}, {"": [0, 1]}, "train"),
    "one split": (pets("test"), {}, CAT_DOG, "test"),
    "splits in classes": (
        ["cat/train/a.png", "dog/test/b.png", "dog/train/c.png"],
        {},
        {"cat": [0], "dog": [2]},
        "train",
    ),
    "a class called test": (["cat/a.png", "dog/a.png", "test/a.png"], {}, {"cat": [0], "dog": [1], "test": [2]}, ""),
    "numbered tests": (["test1/a.png", "test2/a.png"], {}, {"test1": [0], "test2": [1]}, ""),
    "wrapped": (pets("outer/my_dataset"), {}, CAT_DOG, ""),
    "wrapped deep": (pets("a/b/c/d"), {}, CAT_DOG, ""),
    "beside the system's files": ([*pets("my_dataset"), "__MACOSX/x/._a.png", ".hidden/a.png"], {}, CAT_DOG, ""),
    "a split in itself, as archives unpack": (
        pets("training_set/training_set", "test_set/test_set"),
        {},
        CAT_DOG,
        "train",
    ),
    "domains of splits": (
        ["trainA/a.png", "trainA/b.png", "trainB/a.png", "testA/a.png", "testB/a.png"],
        {},
        {"A": [0, 1], "B": [2]},
        "train",
    ),
    "beside a disk station's thumbnails": (
        [*pets("my_dataset"), "my_dataset/cat/@eaDir/a.png/THUMB_M.png"],
        {},
        CAT_DOG,
        "",
    ),
    "numbered shards": (["00000/img00000000.png", "00001/img00001000.png"], {}, {"": [0, 1]}, ""),
    "no classes requested": (pets("x"), {"labels": "none"}, {"": [0, 1, 2]}, ""),
    "names": (["cat.0.png", "cat.1.png", "dog.0.png"], {"labels": "from-name"}, CAT_DOG, ""),
    "names of many kinds": (["a/cat (1).png", "a/cat_02.png", "b/dog3.png"], {"labels": "from-name"}, CAT_DOG, ""),
    "a pattern": (["1_cat_x.png", "2_cat_x.png", "3_dog_x.png"], {"labels": r"from-name:\d_([a-z]+)"}, CAT_DOG, ""),
}


@pytest.mark.parametrize(("names", "options", "classes", "split"), LAYOUTS.values(), ids=LAYOUTS)
def test_folders_mean_the_same_wherever_they_lie(tmp_path: Path, names, options, classes, split) -> None:
    for source in packed(blobs(tmp_path / "photos", names)):
        data = sources.read(source, Frame(16, **options))
        assert (labelled(data), data.split) == (classes, split), source
        assert data.describe()["split"] == split


def csv(header: str, *rows: str) -> str:
    return "\n".join((header, *rows)) + "\n"


FLAT = ("a.png", "b.png", "c.png")
LABELS = csv("file_name,label", "a.png,cat", "b.png,cat", "c.png,dog")
LINES = [{"file_name": f"{name}.png", "label": label} for name, label in (("a", "cat"), ("b", "cat"), ("c", "dog"))]
SPLITS = csv("file_name,label,split", "a.png,cat,train", "b.png,cat,Train", "c.png,dog,train", "d.png,dog,val")
TABLES = {
    "metadata.csv": (FLAT, {"metadata.csv": LABELS}),
    "semicolons and a mark": (FLAT, {"labels.csv": "\ufeff" + LABELS.replace("file_name", "Image").replace(",", ";")}),
    "no endings": (FLAT, {"labels.csv": csv("id,breed", "a,cat", "b,cat", "c,dog", "d,dog")}),
    "jsonl": (FLAT, {"metadata.jsonl": "\n".join(map(json.dumps, LINES))}),
    "one in each split": (
        ("train/a.png", "train/b.png", "train/c.png", "test/a.png"),
        {"train/metadata.csv": LABELS, "test/metadata.csv": csv("file_name,label", "a.png,dog")},
    ),
    "a column of splits": ((*FLAT, "d.png"), {"metadata.csv": SPLITS}),
    "of images in a folder": (
        ("train/a.jpg", "train/b.jpg", "train/c.jpg"),
        {"train.csv": csv("image_id,label", "a,cat", "b.jpg,cat", "c,dog")},
    ),
    "before folders": (
        ("x/a.png", "x/b.png", "y/c.png"),
        {"metadata.csv": csv("file_name,label", "x/a.png,cat", "x/b.png,cat", r"y\c.png,dog")},
    ),
}


@pytest.mark.parametrize(("names", "tables"), TABLES.values(), ids=TABLES)
def test_labels_come_from_a_table_beside_the_images(tmp_path: Path, names, tables) -> None:
    root = blobs(tmp_path / "photos", names)
    for name, text in tables.items():
        (root / name).write_text(text, encoding="utf-8")
    for source in packed(root):
        data = sources.read(source, FRAME)
        assert labelled(data) == CAT_DOG, source
        assert data.understood.split("classes from ")[1].startswith(Path(next(iter(tables))).name)


def test_what_a_table_does_not_say_is_told(tmp_path: Path) -> None:
    table = blobs(tmp_path, FLAT) / "metadata.csv"
    table.write_text(csv("file_name,label,weather", "a.png,3,sun", "b.png,1,", "gone.png,1,sun"))
    data = sources.read(str(tmp_path), FRAME)
    assert labelled(data) == {"1": [1], "3": [0]}
    assert [(s.file, s.reason) for s in data.skipped] == [("c.png", "not in metadata.csv")]
    assert "metadata.csv names 1 images that are not there" in data.notes
    data = sources.read(str(tmp_path), Frame(16, labels="weather"))
    assert labelled(data) == {"sun": [0]}
    assert ("b.png", "without a label in metadata.csv") in [(s.file, s.reason) for s in data.skipped]
    with pytest.raises(TrainError, match=r"metadata.csv: no column colour; it has file_name, label, weather"):
        sources.read(str(tmp_path), Frame(16, labels="colour"))
    table.write_text(csv("file_name,text", "a.png,a cat", "b.png,a dog", "c.png,a cow"))
    data = sources.read(str(tmp_path), FRAME)
    assert labelled(data) == {"": [0, 1, 2]}
    assert "metadata.csv has the columns text: --labels takes one" in data.notes[0]
    table.write_text(csv("file_name,label", "a.png,owl", "b.png,cat", "c.png,dog"))
    assert sources.read(str(tmp_path), FRAME).class_names == ("cat", "dog", "owl")
    table.write_text(csv("file_name,label", "elsewhere.png,owl"))
    assert "left out: 1 .csv" in sources.read(str(tmp_path), FRAME).understood
    table.write_text(csv("file_name,label", "a.png,cat", "a.png,dog"))
    with pytest.raises(TrainError, match=r"a.png has two labels: cat and dog"):
        sources.read(str(tmp_path), FRAME)


def test_stylegans_json_has_the_labels_of_its_shards(tmp_path: Path) -> None:
    names = [f"{i // 2:05}/img{i:08}.png" for i in range(4)]
    root = blobs(tmp_path / "wrapped", [f"set/{name}" for name in names])
    labels = [[names[0], 7], [names[1], 3], [names[2], 7]]
    (root / "set" / "dataset.json").write_text(json.dumps({"labels": labels}))
    for source in packed(root):
        data = sources.read(source, FRAME)
        assert labelled(data) == {"3": [1], "7": [0, 2]}
        assert [(s.file, s.reason) for s in data.skipped] == [(names[3], "not in dataset.json")]
        assert "classes from dataset.json" in data.understood
    (root / "set" / "dataset.json").write_text('{"labels": null}')
    data = sources.read(str(root), FRAME)
    assert labelled(data) == {"": [0, 1, 2, 3]}
    assert "dataset.json has no labels, so there are no classes" in data.notes


def test_splits_that_are_not_there_are_refused(tmp_path: Path) -> None:
    root = blobs(tmp_path / "photos", pets("train", "val"))
    with pytest.raises(TrainError, match=r"no split test; there are train \(3\), validation \(3\): --split names one"):
        sources.read(str(root), Frame(16, split="test"))
    with pytest.raises(TrainError, match="has no splits, and --split test asks for one"):
        sources.read(str(root / "train"), Frame(16, split="test"))
    assert "not taken: validation (3 images); --split chooses" in sources.read(str(root), FRAME).notes


def test_patterns_that_find_no_class_are_wrong_use_and_names_that_do_not_fit_are_told(tmp_path: Path) -> None:
    for wrong in ("from-name:[", "from-name:cat", "from-name:(a)(b)"):
        with pytest.raises(UsageError, match="labels: "):
            Frame(16, labels=wrong)
    data = sources.read(str(blobs(tmp_path, ["cat.1.png", "cat.2.png", "other.png"])), Frame(16, labels="from-name"))
    assert [(s.file, s.reason) for s in data.skipped] == [
        ("other.png", "its name does not fit the pattern of --labels")
    ]
    (tmp_path / "other.png").unlink()
    blobs(tmp_path, ["dog.1.png", "dog.2.png"])
    assert (
        "names of files look like 2 classes (cat, dog): --labels from-name takes these"
        in sources.read(str(tmp_path), FRAME).notes
    )
    assert not sources.read(str(blobs(tmp_path / "of one image each", ["a1.png", "b1.png"])), FRAME).notes


def test_what_was_understood_is_one_line_that_a_human_can_check(tmp_path: Path, command) -> None:
    root = blobs(tmp_path / "photos", [*pets("train", "test"), "train/cat/inside/c.png"])
    for name in ("train/cat/a.mov", "train/cat/b.MOV", "notes.txt", "train/dog/README"):
        (root / name).write_text("no image")
    done = command("gentrain", "data", root, "--resolution", "16", "--crop", "pad", cwd=tmp_path)
    line = (
        "  split train; classes from folder names (not from those inside, such as inside): cat (3), dog (1); "
        "left out: 2 .mov, 1 without an ending, 1 .txt"
    )
    assert line in done.stdout.splitlines()
