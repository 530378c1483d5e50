"""Packages and files of many images: emoji, arrays, IDX and TFRecord."""

from __future__ import annotations

import gzip
import io
import json
import os
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gentrain import sources
from gentrain.data.dataset import Frame
from gentrain.errors import TrainError
from gentrain.sources import fashion_mnist
from PIL import Image

FRAME = Frame(resolution=32)


def gradient(side: int = 40) -> np.ndarray:
    """Uint8 (side, side), dark on the left and bright on the right."""
    return np.tile(np.linspace(0, 255, side), (side, 1)).astype(np.uint8)


# Emoji


@pytest.fixture
def emoji(tmp_path: Path) -> Path:
    """A package of four emoji, one of them a skin variation, and one that another house has drawn."""
    folder = tmp_path / "package" / "img" / "google" / "64"
    folder.mkdir(parents=True)
    for name in ("1f600", "1f385", "1f385-1f3fb", "ffff"):
        Image.new("RGBA", (64, 64), (255, 0, 0, 0)).save(folder / f"{name}.png")
    listed = [
        {"image": "1f600.png", "category": "Smileys", "has_img_google": True},
        {
            "image": "1f385.png",
            "category": "People",
            "has_img_google": True,
            "skin_variations": {
                "1F3FB": {"image": "1f385-1f3fb.png", "has_img_google": True},
                "1F3FC": {"image": "1f385-1f3fc.png", "has_img_google": False},
            },
        },
        {"image": "1f602.png", "category": "Smileys", "has_img_google": True},
    ]
    (tmp_path / "package" / "emoji.json").write_text(json.dumps(listed))
    return tmp_path / "package"


def test_emoji_have_the_categories_of_their_package(emoji: Path) -> None:
    for source in (f"emoji:{emoji}", str(emoji), f"emoji:{emoji / 'img' / 'google'}"):
        data = sources.read(source, Frame(64, background="blue"))
        assert data.images[:, 5, 5].tolist() == [[0, 0, 255]] * 3
        assert data.class_counts() == {"People": 2, "Smileys": 1}
        assert [(s.file, s.reason) for s in data.skipped] == [
            ("ffff.png", "not in emoji.json"),
            ("1f602.png", "no such file"),
        ]


def test_a_package_of_several_sets_or_of_something_else_is_refused(emoji: Path) -> None:
    (emoji / "img" / "apple" / "64").mkdir(parents=True)
    with pytest.raises(TrainError, match=r"has the sets apple, google; name one, as in emoji:.*/img/apple"):
        sources.read(f"emoji:{emoji}", FRAME)
    (emoji / "img" / "apple" / "64").rmdir()
    (emoji / "emoji.json").write_text('{"name": "something else"}')
    with pytest.raises(TrainError, match=r"emoji.json: not the emoji.json of an emoji-datasource package"):
        sources.read(f"emoji:{emoji}", FRAME)
    with pytest.raises(TrainError, match="no emoji-datasource package"):
        sources.read(f"emoji:{emoji / 'img'}", FRAME)


# Arrays

RAMP = np.tile(gradient(8)[None, ..., None], (5, 1, 1, 3)) + np.arange(5, dtype=np.uint8)[:, None, None, None]


def saved(path: Path, **arrays: object) -> str:
    np.savez_compressed(path / "data.npz", **arrays)  # type: ignore[arg-type]
    return str(path / "data.npz")


def test_arrays_of_any_common_kind_are_the_same_images(tmp_path: Path) -> None:
    alpha = np.concatenate([RAMP, np.full_like(RAMP[..., :1], 255)], axis=-1)
    floats = RAMP.astype(np.float32) / 255
    for name, images in {
        "images": RAMP,
        "x": RAMP.astype(np.int64),
        "x_train": floats,
        "arr_0": floats * 2 - 1,
        "train_images": np.asfortranarray(alpha),
    }.items():
        data = sources.read(saved(tmp_path, **{name: images}), FRAME)
        assert np.array_equal(data.images, RAMP), name
        assert data.labels is None
    assert np.array_equal(sources.read(saved(tmp_path, x=RAMP[..., 0]), FRAME).images, RAMP[..., :1])
    notes = sources.read(saved(tmp_path, x=floats * 2 - 1), FRAME).notes
    assert notes == ("images from x, no labels", "images are floats, taken as from -1 to 1")


def test_labels_keep_their_meaning(tmp_path: Path) -> None:
    data = sources.read(saved(tmp_path, x=RAMP, y=np.array([[7], [3], [9], [3], [7]])), FRAME)
    assert data.class_names == ("3", "7", "9")
    assert data.labels.tolist() == [1, 0, 2, 0, 1]
    assert "number 3 has label 0" in data.notes[1]
    names = np.array(["cat", "dog", "bird"])
    data = sources.read(saved(tmp_path, images=RAMP, labels=np.array([2, 0, 0, 2, 2]), class_names=names), FRAME)
    assert data.class_counts() == {"cat": 2, "bird": 3}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": RAMP}, "no array images or x or .*; it has pictures"),
        ({"x": RAMP, "y": np.arange(4)}, r"y has the shape \(4,\), expected \(5,\)"),
        ({"x": RAMP, "y": np.arange(5) / 2}, "y holds float64, expected integers"),
        (
            {"x": RAMP, "y": np.arange(5), "class_names": np.array(["a", "b"])},
            "y go from 0 to 4, but class_names has 2",
        ),
        ({"x": RAMP, "y": np.array([None] * 5)}, "y holds Python objects"),
        ({"x": np.moveaxis(RAMP, -1, 1)}, "expected .*; channels come last"),
        ({"x": RAMP[:0]}, r"x has the shape \(0, 8, 8, 3\)"),
        ({"x": np.full((2, 8, 8), np.nan)}, "not finite"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(tmp_path: Path, arrays: dict, message: str) -> None:
    with pytest.raises(TrainError, match=message):
        sources.read(saved(tmp_path, **arrays), FRAME)


def test_a_damaged_npz_is_an_error(tmp_path: Path) -> None:
    path = Path(saved(tmp_path, x=np.random.default_rng(0).integers(0, 256, (40, 16, 16), np.uint8)))
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[2000] ^= 255
    for content in (whole[:3000], bytes(flipped), b"", b"text"):
        path.write_bytes(content)
        with pytest.raises(TrainError, match=r"data.npz: damaged, or no .npz file"):
            sources.read(str(path), FRAME)


# IDX


def idx(path: Path, array: np.ndarray, magic: int | None = None) -> None:
    header = struct.pack(f">I{array.ndim}I", magic or 0x800 + array.ndim, *array.shape)
    with (gzip.open if path.suffix == ".gz" else open)(path, "wb") as file:
        file.write(header + array.tobytes())


def test_idx_images_find_their_labels(tmp_path: Path) -> None:
    idx(tmp_path / "train-images-idx3-ubyte.gz", RAMP[..., 0])
    idx(tmp_path / "train-labels-idx1-ubyte.gz", np.array([1, 2, 3, 1, 2], np.uint8))
    idx(tmp_path / "t10k-images-idx3-ubyte", RAMP[:2, ..., 1])
    data = sources.read(str(tmp_path), FRAME)
    assert np.array_equal(data.images, RAMP[..., :1])
    assert (data.class_names, data.labels.tolist()) == (("1", "2", "3"), [0, 1, 2, 0, 1])
    assert data.notes[0] == "t10k-images-idx3-ubyte is left out"
    data = sources.read(str(tmp_path / "t10k-images-idx3-ubyte"), FRAME)
    assert (len(data.images), data.labels) == (2, None)
    assert "no t10k-labels-idx1-ubyte beside the images" in data.notes[0]


def test_idx_files_that_are_not_what_they_say_are_refused(tmp_path: Path) -> None:
    images, labels = tmp_path / "a-images-idx3-ubyte.gz", tmp_path / "a-labels-idx1-ubyte.gz"
    idx(images, RAMP[..., 0])
    idx(labels, np.zeros(4, np.uint8))
    with pytest.raises(TrainError, match=r"a-labels-idx1-ubyte.gz: 4 labels for 5 images"):
        sources.read(str(images), FRAME)
    idx(labels, np.zeros(5, np.uint8), magic=0x803)
    with pytest.raises(TrainError, match="magic number 00000803, expected 00000801"):
        sources.read(str(images), FRAME)
    labels.unlink()
    whole = images.read_bytes()
    images.write_bytes(whole[:-20])
    with pytest.raises(TrainError, match=r"a-images-idx3-ubyte.gz: damaged or cut short"):
        sources.read(str(images), FRAME)
    images.write_bytes(whole + gzip.compress(b"more"))
    with pytest.raises(TrainError, match="longer than its header says"):
        sources.read(str(images), FRAME)


def test_fashion_mnist_comes_from_debians_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fashion_mnist, "DEBIAN", tmp_path / "train-images-idx3-ubyte.gz")
    idx(tmp_path / "train-images-idx3-ubyte.gz", RAMP[..., 0])
    idx(tmp_path / "train-labels-idx1-ubyte.gz", np.array([9, 0, 1, 5, 9], np.uint8))
    data = sources.read("fashion-mnist", FRAME)
    assert (data.source, data.class_counts()["Ankle boot"], len(data.class_names)) == ("fashion-mnist", 2, 4)


def test_fashion_mnist_without_files_or_network_names_both_ways_to_it(tmp_path: Path) -> None:
    script = (
        "import pathlib, sys; from gentrain import cli; from gentrain.sources import fashion_mnist\n"
        "fashion_mnist.DEBIAN = pathlib.Path('nowhere/file'); sys.argv[1:] = ['data', 'fashion-mnist']; cli.main()"
    )
    environment = os.environ | {"KERAS_HOME": str(tmp_path), "https_proxy": "http://127.0.0.1:9"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == ""
    error = done.stderr.splitlines()[-1]
    assert error.startswith("gentrain: fashion-mnist: install Debian's dataset-fashion-mnist")
    assert "let keras.datasets.fashion_mnist download it, which failed now" in error


# TFRecord


def record(**features: bytes | int) -> bytes:
    import tensorflow as tf

    def feature(value: bytes | int) -> Any:
        if isinstance(value, bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    named = {name.replace("__", "/"): feature(value) for name, value in features.items()}
    return tf.train.Example(features=tf.train.Features(feature=named)).SerializeToString()


def write_records(path: Path, records: list[bytes], compression: str = "") -> None:
    import tensorflow as tf

    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for content in records:
            writer.write(content)


def png(value: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(file, "PNG")
    return file.getvalue()


def test_records_are_read_from_a_file_a_folder_or_a_pattern(tmp_path: Path) -> None:
    named = [
        record(image__encoded=png(i), image__class__label=5 - i, image__class__text=b"abc"[i:][:1]) for i in range(3)
    ]
    write_records(tmp_path / "train.tfrecord-00000-of-00002", named[:2])
    write_records(tmp_path / "train.tfrecord-00001-of-00002", named[2:], "GZIP")
    for source in (tmp_path, tmp_path / "train*", f"tfrecord:{tmp_path}/*"):
        data = sources.read(str(source), FRAME)
        assert data.images[:, 0, 0, 0].tolist() == [0, 1, 2]
        assert [data.class_names[label] for label in data.labels] == ["a", "b", "c"]
        assert "number 3 has label 0" in data.notes[0]


def test_records_without_an_image_or_a_label_change_no_other(tmp_path: Path) -> None:
    path = tmp_path / "data.tfrecord"
    write_records(
        path,
        [
            record(image=png(1), label=4),
            record(label=7),
            b"junk",
            record(image=png(2), label=4),
            record(image=png(3), label=6),
        ],
    )
    data = sources.read(str(path), FRAME)
    assert [(s.file, s.reason) for s in data.skipped] == [
        ("data.tfrecord record 1", "no encoded image; it has label"),
        ("data.tfrecord record 2", "not a tf.train.Example"),
    ]
    assert [data.class_names[label] for label in data.labels] == ["4", "4", "6"]
    write_records(path, [record(image=png(1), label=4), record(image=png(2))])
    data = sources.read(str(path), FRAME)
    assert (data.labels, data.notes) == (None, ("1 records have no label, so there are no classes",))
    write_records(
        path,
        [
            record(image=png(1), label=4, image__class__text=b"cat"),
            record(image=png(2), label=4, image__class__text=b"dog"),
        ],
    )
    with pytest.raises(TrainError, match="label 4 is named cat and dog"):
        sources.read(str(path), FRAME)


def test_a_damaged_record_is_named_by_file_and_number(tmp_path: Path) -> None:
    path = tmp_path / "data.tfrecord"
    write_records(path, [record(image=png(i)) for i in range(4)])
    whole = path.read_bytes()
    damaged = bytearray(whole)
    damaged[len(whole) // 2 + 40] ^= 255
    for content, number in ((bytes(damaged), 2), (whole[:-3], 3)):
        path.write_bytes(content)
        with pytest.raises(TrainError, match=f"data.tfrecord: record {number} is damaged or cut short"):
            sources.read(str(path), FRAME)


def test_shards_of_other_splits_are_not_mixed_in(tmp_path: Path) -> None:
    write_records(tmp_path / "data-train.tfrecord-00000-of-00002", [record(image=png(1)), record(image=png(2))])
    write_records(tmp_path / "data-train.tfrecord-00001-of-00002", [record(image=png(3))])
    write_records(tmp_path / "data-validation.tfrecord-00000-of-00001", [record(image=png(9))])
    for split, values in (("train", [1, 2, 3]), ("val", [9]), ("all", [1, 2, 3, 9])):
        data = sources.read(str(tmp_path), Frame(32, split=split))
        assert data.images[:, 0, 0, 0].tolist() == values
    assert "not taken: validation (1 files); --split chooses" in sources.read(str(tmp_path), FRAME).notes
