"""Batches are the same wherever the images lie, and go to as many devices as there are."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from gentrain.data import stream

LABELS = np.arange(50, dtype=np.int32) % 7


@pytest.fixture
def images(tmp_path: Path) -> np.memmap:
    """50 images of noise in a file."""
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (50, 8, 8, 3), np.uint8))
    return np.load(tmp_path / "images.npy", mmap_mode="r")


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any data set is too large to be held in memory."""
    monkeypatch.setattr(stream, "LARGEST_IN_MEMORY_BYTES", 0)


def drawn(number: int = 12, first_batch: int = 3, **columns: np.ndarray) -> list[dict[str, np.ndarray]]:
    batches = stream.batches(columns, batch_size=6, seed=5, first_batch=first_batch)
    return list(itertools.islice(batches.as_numpy_iterator(), number))


def test_labels_go_with_their_images(images: np.memmap) -> None:
    for drawn_batch in drawn(images=images, labels=LABELS):
        batch, labels = drawn_batch["images"], drawn_batch["labels"]
        assert (batch.dtype, batch.shape, labels.dtype, labels.shape) == (np.uint8, (6, 8, 8, 3), np.int32, (6,))
        for image, label in zip(batch, labels, strict=True):
            (number,) = np.flatnonzero((images == image).all(axis=(1, 2, 3)))
            assert LABELS[number] == label


@pytest.mark.parametrize(("count", "seed"), [(40, 0), (200, 0), (200, 5), (1000, 0)])
def test_few_images_are_shuffled_well(count: int, seed: int) -> None:
    """What stands beside an image in one epoch, and where it stands in the next, cannot be told."""
    values = np.arange(count, dtype=np.uint16)
    numbers = values.view(np.uint8).reshape(count, 1, 1, 2)
    epochs = stream.batches({"images": numbers}, batch_size=count, seed=seed, first_batch=0).take(100)
    orders = np.stack([batch["images"].view(np.uint16).ravel() for batch in epochs.as_numpy_iterator()])
    assert np.array_equal(np.sort(orders), np.tile(values, (100, 1)))
    places = np.argsort(orders)
    for one, other in ((orders[:, :-1], orders[:, 1:]), (places[:-1], places[1:])):
        correlation = np.corrcoef(one.ravel(), other.ravel())[0, 1]
        assert abs(correlation) < 4 / np.sqrt(one.size) + 1 / count
    deviation = count / np.sqrt(12 * 100)  # of the mean of 100 places
    assert places.mean(axis=0).std() == pytest.approx(deviation, rel=0.35)


@pytest.mark.parametrize("kind", ["file", "slice of a file", "memory"])
def test_large_data_give_the_same_batches_as_small(
    images: np.memmap, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"file": images, "slice of a file": images[7:40], "memory": np.array(images)}[kind]
    depths = np.random.default_rng(1).normal(size=(len(chosen), 2, 3)).astype(np.float32)
    np.save(tmp_path / "depths.npy", depths)
    columns = {"labels": LABELS[: len(chosen)], "depths": np.load(tmp_path / "depths.npy", mmap_mode="r")}
    small = drawn(images=chosen, **columns)
    monkeypatch.setattr(stream, "LARGEST_IN_MEMORY_BYTES", 0)
    for batch, other in zip(small, drawn(images=chosen, **columns), strict=True):
        assert batch.keys() == other.keys() == {"images", "labels", "depths"}
        for name, column in batch.items():
            assert column.dtype == other[name].dtype
            assert np.array_equal(column, other[name]), name


@pytest.mark.usefixtures("large")
def test_a_stream_goes_on_when_its_file_is_removed(images: np.memmap) -> None:
    iterator = stream.batches({"images": images}, batch_size=6, seed=5, first_batch=3).as_numpy_iterator()
    first = next(iterator)["images"]
    Path(images.filename).unlink()
    rest = [batch["images"] for batch in itertools.islice(iterator, 30)]
    assert np.array_equal([first, *rest[:11]], [batch["images"] for batch in drawn(images=np.array(images))])


@pytest.mark.usefixtures("large")
def test_a_file_cut_short_stops_the_stream_with_its_name(images: np.memmap) -> None:
    iterator = stream.batches({"images": images}, batch_size=50, seed=0, first_batch=0).as_numpy_iterator()
    with open(images.filename, "r+b") as file:
        file.truncate(5000)
    with pytest.raises(tf.errors.OpError, match=r"images.npy: ends before image"):
        list(itertools.islice(iterator, 40))


TWO_DEVICES = """
import sys, numpy as np, tensorflow as tf
from gentrain.data import stream
cpus = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpus[0], [tf.config.LogicalDeviceConfiguration()] * 2)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
for stream.LARGEST_IN_MEMORY_BYTES in (0, 2**30):
    batches = stream.batches({"images": np.load(sys.argv[1], mmap_mode="r")}, batch_size=6, seed=5, first_batch=3)
    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.OFF
    iterator = iter(strategy.experimental_distribute_dataset(batches.with_options(options)))
    for _ in range(12):
        parts = strategy.experimental_local_results(next(iterator)["images"])
        assert [part.shape[0] for part in parts] == [3, 3]
        sys.stdout.buffer.write(np.concatenate(parts).tobytes())
"""


def test_two_devices_share_each_batch_of_small_and_of_large_data(images: np.memmap) -> None:
    done = subprocess.run([sys.executable, "-c", TWO_DEVICES, images.filename], capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    assert done.stdout == 2 * b"".join(batch["images"].tobytes() for batch in drawn(images=images))
