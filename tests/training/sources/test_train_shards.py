"""Shards and tables of many images: WebDataset, single arrays, and parquet as Hugging Face's `datasets` writes it."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from gentrain import sources
from gentrain.data.dataset import Frame
from gentrain.errors import TrainError
from PIL import Image

FRAME = Frame(32)
RAMP = (
    np.tile(np.linspace(0, 250, 8).astype(np.uint8)[:, None], (5, 8, 1, 3))
    + np.arange(5, dtype=np.uint8)[:, None, None, None]
)


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


# WebDataset


def tar(path: Path, **members: bytes) -> str:
    """A tar archive; `__` in a name stands for a dot, `___` for a slash."""
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name.replace("___", "/").replace("__", "."))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return str(path)


def test_samples_of_webdataset_have_their_labels(tmp_path: Path) -> None:
    digits = {"a__png": png(1), "a__cls": b"7", "b__cls": b"3\n", "b__png": png(2), "b__txt": b"a two"}
    named = {"x___a__jpg": png(1), "x___a__json": b'{"label": 1, "class_name": "cat"}', "x___b__jpg": png(2)}
    named |= {"x___b__json": b'{"label": 0, "class_name": "dog"}'}
    texts = {"a__left__png": png(1), "a__right__png": png(5), "a__cls": b"cat", "b__png": png(2), "b__cls": b"dog"}
    for name, members, classes in (
        ("digits.tar", digits, ("3", "7")),
        ("packed.tar.gz", digits, ("3", "7")),
        ("named.tar", named, ("dog", "cat")),
        ("texts.tar", texts, ("cat", "dog")),
    ):
        data = sources.read(tar(tmp_path / name, **members), FRAME)
        assert data.images[:, 0, 0, 0].tolist() == [1, 2], name
        first = "7" if "7" in classes else "cat"
        assert (data.class_names, data.class_names[data.labels[0]]) == (classes, first), name
    data = sources.read(tar(tmp_path / "some.tar", a__png=png(1), a__cls=b"3", b__png=png(2)), FRAME)
    assert (data.labels, data.notes) == (None, ("1 records have no label, so there are no classes",))


def test_shards_are_one_data_set_and_a_broken_one_is_named(tmp_path: Path) -> None:
    for i, name in enumerate(("train-000", "train-001", "test-000")):
        tar(tmp_path / f"{name}.tar", a__png=png(i), a__cls=b"%d" % i)
    for source in (tmp_path, tmp_path / "*.tar"):
        data = sources.read(str(source), FRAME)
        assert (data.images[:, 0, 0, 0].tolist(), data.class_names, data.split) == ([0, 1], ("0", "1"), "train")
    whole = (tmp_path / "train-001.tar").read_bytes()
    (tmp_path / "train-001.tar").write_bytes(b"no archive" * 100)
    with pytest.raises(TrainError, match=r"train-001.tar: damaged, cut short, or no tar archive"):
        sources.read(str(tmp_path), FRAME)
    (tmp_path / "cut.tar.gz").write_bytes(gzip.compress(whole)[:-30])
    with pytest.raises(TrainError, match=r"cut.tar.gz: damaged or cut short"):
        sources.read(str(tmp_path / "cut.tar.gz"), FRAME)


# Single arrays


def test_loose_arrays_are_images_and_their_labels_lie_beside(tmp_path: Path) -> None:
    floats = RAMP.astype(np.float64) / 255
    for name, images in (("x_train", RAMP), ("images", floats), ("picture", floats * 2 - 1), ("x", floats * 255)):
        np.save(tmp_path / f"{name}.npy", images)
        data = sources.read(str(tmp_path / f"{name}.npy"), FRAME)
        assert np.array_equal(data.images, RAMP), name
        assert data.labels is None
    np.save(tmp_path / "y_train.npy", np.array([7, 3, 9, 3, 7]))
    data = sources.read(str(tmp_path / "x_train.npy"), FRAME)
    assert data.class_counts() == {"3": 2, "7": 2, "9": 1}
    assert data.notes[0] == "labels from y_train.npy"
    (tmp_path / "broken.npy").write_bytes(b"no array")
    with pytest.raises(TrainError, match=r"broken.npy: damaged, or no .np[yz] file"):
        sources.read(str(tmp_path / "broken.npy"), FRAME)


def test_arrays_of_several_splits_are_distinguished(tmp_path: Path) -> None:
    arrays = {"x_train": RAMP, "y_train": np.zeros(5, int), "x_test": RAMP[:2], "y_test": np.ones(2, int)}
    path = str(tmp_path / "data.npz")
    np.savez(path, **arrays)
    for split, count, name in (("train", 5, "0"), ("test", 2, "1")):
        data = sources.read(path, Frame(32, split=split))
        assert (len(data.images), data.class_names, data.split) == (count, (name,), split)
    assert "not taken: x_test; --split chooses" in sources.read(path, FRAME).notes


# Parquet, as Hugging Face's `datasets` writes it


def parquet(path: Path, values: list[int], labels: list[Any], about: dict[str, Any] | None = None) -> None:
    images = [{"bytes": png(value), "path": f"{value}.png"} for value in values]
    table = pyarrow.table({"image": images, "label": labels})
    if about:
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": about}})})
    path.parent.mkdir(exist_ok=True)
    pyarrow.parquet.write_table(table, path)


def test_parquet_files_give_images_classes_and_splits(tmp_path: Path) -> None:
    about = {"image": {"_type": "Image"}, "label": {"names": ["cat", "dog", "owl"], "_type": "ClassLabel"}}
    parquet(tmp_path / "data" / "train-00000-of-00002.parquet", [1, 2], [1, 0], about)
    parquet(tmp_path / "data" / "train-00001-of-00002.parquet", [3], [1], about)
    parquet(tmp_path / "data" / "test-00000-of-00001.parquet", [9], [-1], about)
    for source in (tmp_path, tmp_path / "data"):
        data = sources.read(str(source), FRAME)
        assert data.images[:, 0, 0, 0].tolist() == [1, 2, 3]
        assert (data.class_counts(), data.split) == ({"cat": 1, "dog": 2}, "train")
    assert sources.read(str(tmp_path), Frame(32, split="test")).labels is None
    file = tmp_path / "plain.parquet"
    parquet(file, [1, 2], ["owl", "cat"])
    assert sources.read(str(file), FRAME).class_counts() == {"cat": 1, "owl": 1}
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"], "number": [1]}), file)
    with pytest.raises(TrainError, match=r"no column of images; it has text, number"):
        sources.read(str(file), FRAME)
    file.write_bytes(b"no parquet")
    with pytest.raises(TrainError, match=r"plain.parquet: damaged, or no parquet file"):
        sources.read(str(file), FRAME)


@pytest.mark.parametrize("place", ["", "deeper"])
def test_images_beside_parquet_files_are_what_is_meant(tmp_path: Path, place: str) -> None:
    parquet(tmp_path / "data" / "a.parquet", [1, 2, 3], [0, 0, 1])
    (tmp_path / place).mkdir(exist_ok=True)
    (tmp_path / place / "one.PNG").write_bytes(png(7))
    (tmp_path / place / "two.png").write_bytes(png(8))
    assert sorted(sources.read(str(tmp_path), FRAME).images[:, 0, 0, 0]) == [7, 8]


def test_without_pyarrow_a_line_says_what_to_install(tmp_path: Path, command) -> None:
    parquet(tmp_path / "data" / "a.parquet", [1], [0])
    (tmp_path / "pyarrow").mkdir()
    (tmp_path / "pyarrow" / "__init__.py").write_text("raise ImportError('not installed')\n")
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = command("gentrain", "data", tmp_path / "data" / "a.parquet", env=environment)
    assert done.returncode == 1
    assert done.stderr.endswith("parquet files need pyarrow: pip install pyarrow\n")
    assert len(done.stderr.splitlines()) == 1


def test_labels_that_a_source_does_not_have_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "images.npy", RAMP)
    for labels, line in (
        ("from-name", "has no names of files, from which --labels from-name takes classes"),
        ("breed", "has no table with a column breed, which --labels asks for"),
    ):
        with pytest.raises(TrainError, match=line):
            sources.read(str(tmp_path / "images.npy"), Frame(32, labels=labels))
