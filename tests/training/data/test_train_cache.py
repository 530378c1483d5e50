"""Decoded images are kept on the disk: decoded once, whole or not at all, whoever else is at it."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gentrain import sources
from gentrain.data import cache
from gentrain.data.dataset import Contents, Dataset, Frame, Skipped, Source
from gentrain.errors import TrainError
from PIL import Image

FRAME = Frame(resolution=16)


@pytest.fixture
def entries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where entries appear, in a cache of this test's own."""
    monkeypatch.setenv("GENLINE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "images"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three images of class a, two of class b, and a broken one."""
    for name, value in (("a/1", 10), ("a/2", 20), ("a/3", 30), ("b/1", 40), ("b/2", 50)):
        path = tmp_path / "photos" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((16, 16), value, np.uint8)).save(path)
    (tmp_path / "photos" / "b" / "broken.png").write_text("no image")
    return tmp_path / "photos"


def counted(images: np.ndarray, identity: str = "one") -> tuple[Source, list[int]]:
    """A source of these images, and how often it was decoded."""
    decodings: list[int] = []

    def decode(frame, append, show) -> Contents:
        decodings.append(1)
        for image in images:
            append(image[None])
        return Contents(np.arange(len(images), dtype=np.int32), ("é", "b", "c"), (Skipped("x", "y"),), ("note",))

    return Source("counted", identity, decode), decodings


def read(source: Source, frame: Frame = FRAME) -> Dataset:
    return cache.decoded(source, frame, lambda done, total: None)


def test_columns_beside_images_and_labels_are_kept_and_count(entries: Path) -> None:
    images, depths = np.full((3, 8, 8, 1), 7, np.uint8), np.arange(12, dtype=np.float32).reshape(3, 2, 2)

    def of(**columns: np.ndarray) -> Source:
        def decode(frame, append, show) -> Contents:
            append(images)
            return Contents(columns=columns)

        return Source("pairs", repr(columns), decode)

    first, again, plain, other = (read(of(**c)) for c in ({"depth": depths}, {"depth": depths}, {}, {"depth": -depths}))
    for dataset in (first, again):
        assert dataset.columns.keys() == {"depth"}
        assert isinstance(dataset.columns["depth"], np.memmap)
        np.testing.assert_array_equal(dataset.columns["depth"], depths)
    assert plain.columns == {}
    assert first.fingerprint == again.fingerprint
    assert len({first.fingerprint, plain.fingerprint, other.fingerprint}) == 3
    with pytest.raises(ValueError, match="2 depth for 3 images"):
        read(of(depth=depths[:2]))


def visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


IMAGES = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), np.uint8)


def test_a_second_start_finds_the_same_data_without_decoding(entries: Path) -> None:
    source, decodings = counted(IMAGES)
    first, second = read(source), read(source)
    assert len(decodings) == 1
    for data in (first, second):
        assert isinstance(data.images, np.memmap)
        assert not data.images.flags.writeable
        assert np.array_equal(data.images, IMAGES)
    assert first.describe() == second.describe()
    assert (second.labels.tolist(), second.class_names) == ([0, 1, 2], ("é", "b", "c"))
    assert (second.skipped, second.notes) == ((Skipped("x", "y"),), ("note",))
    in_memory = Dataset("other name", IMAGES, np.arange(3, dtype=np.int32), ("é", "b", "c"))
    assert second.fingerprint == in_memory.fingerprint


def test_another_frame_or_other_images_are_decoded_anew(entries: Path) -> None:
    source, decodings = counted(IMAGES)
    for frame in (FRAME, Frame(8), Frame(16, 3), Frame(16, crop="none"), Frame(16, background="black")):
        read(source, frame)
    read(counted(IMAGES, "two")[0])
    assert len(decodings) == 5
    assert len(visible(entries)) == 6


def test_one_image_in_colour_is_seen_wherever_it_stands(entries: Path) -> None:
    for place in range(4):
        images = np.full((3, 8, 8, 3), 9, np.uint8)
        images[place : place + 1, 1, 1, 0] = 200
        assert read(counted(images, str(place))[0]).grey_in_colour == (place == 3)


def test_a_changed_a_new_and_a_removed_file_are_noticed(entries: Path, photos: Path) -> None:
    def seen() -> list[int]:
        return sources.read(str(photos), FRAME).images[:, 0, 0, 0].tolist()

    assert seen() == seen() == [10, 20, 30, 40, 50]
    Image.fromarray(np.full((16, 16), 99, np.uint8)).save(photos / "a" / "2.png")
    assert seen() == [10, 99, 30, 40, 50]
    shutil.copy(photos / "a" / "2.png", photos / "b" / "3.png")
    assert seen() == [10, 99, 30, 40, 50, 99]
    (photos / "a" / "1.png").rename(photos / "b" / "0.png")
    assert seen() == [99, 30, 10, 40, 50, 99]
    (photos / "b" / "broken.png").unlink()
    assert sources.read(str(photos), FRAME).skipped == ()


def test_a_damaged_entry_is_decoded_again(entries: Path) -> None:
    source, decodings = counted(IMAGES)
    read(source)
    (entry,) = visible(entries)
    for number, (name, content) in enumerate(
        [("images.npy", b"short"), ("labels.npy", b""), ("dataset.json", b"{"), ("dataset.json", b"[]")]
    ):
        (entry / name).write_bytes(content)
        assert np.array_equal(read(source).images, IMAGES)
        assert len(decodings) == number + 2
    (entry / "images.npy").unlink()
    assert np.array_equal(read(source).images, IMAGES)


def test_an_error_while_decoding_leaves_nothing(entries: Path, photos: Path) -> None:
    for i in range(9):
        (photos / "a" / f"broken{i}.png").write_text("no image")
    with pytest.raises(TrainError, match="10 of 15 images are broken"):
        sources.read(str(photos), FRAME)
    assert visible(entries) == []
    assert not [path for path in entries.iterdir() if path.name.startswith(".tmp-")]


SLOW = """
import sys, numpy as np
from gentrain.data import cache
from gentrain.data.dataset import Contents, Frame, Source
def decode(frame, append, show):
    for i in range(3):
        append(np.full((1, 8, 8, 1), i, np.uint8))
        print("decoding", flush=True)
        if sys.stdin.readline() == "fail\\n":
            raise OSError("stop")
    return Contents()
print(cache.decoded(Source("slow", "slow", decode), Frame(16), lambda done, total: None).fingerprint)
"""


def slow() -> subprocess.Popen[str]:
    """A process that decodes an image for each line it is given, and prints the fingerprint at the end."""
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", SLOW], stdin=pipe, stdout=pipe, stderr=pipe, text=True)


def test_a_kill_half_way_leaves_no_entry_and_the_next_start_tidies_up(entries: Path) -> None:
    process = slow()
    assert process.stdout.readline() == "decoding\n"
    process.kill()
    process.communicate()
    assert [path.name[:5] for path in entries.iterdir() if path.is_dir()] == [".tmp-"]
    source, _ = counted(IMAGES, "unrelated")
    read(source)
    assert [path for path in entries.iterdir() if path.name.startswith(".tmp-")] == []
    assert len(visible(entries)) == 1


def test_two_processes_at_the_same_images_both_succeed_and_one_decodes(entries: Path) -> None:
    first, second = slow(), slow()
    for process in (first, second):
        process.stdin.write("\n" * 3)
        process.stdin.flush()
    outcomes = [process.communicate(timeout=60)[0].split() for process in (first, second)]
    assert sorted(len(outcome) for outcome in outcomes) == [1, 4]
    assert outcomes[0][-1] == outcomes[1][-1]
    assert len(outcomes[0][-1]) == 64


def test_tidying_leaves_alone_what_another_process_is_writing(entries: Path) -> None:
    process = slow()
    assert process.stdout.readline() == "decoding\n"
    read(counted(IMAGES, "unrelated")[0])
    fingerprint = process.communicate("\n" * 3, timeout=60)[0].split()[-1]
    expected = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1) * np.ones((1, 8, 8, 1), np.uint8)
    assert fingerprint == Dataset("", expected).fingerprint


def test_the_entries_used_last_are_kept(entries: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MOST_ENTRIES", 3)
    old, decodings = counted(IMAGES, "old")
    for i, identity in enumerate(("old", "b", "c")):
        read(counted(IMAGES, identity)[0])
        for entry in visible(entries):
            os.utime(entry, (entry.stat().st_mtime - 100, entry.stat().st_mtime - 100 + i))
    read(old)
    assert decodings == [], "still there, and now the one used last"
    read(counted(IMAGES, "d")[0])
    assert len(visible(entries)) == 3
    read(old)
    assert decodings == []
    assert len(list(entries.glob(".lock-*"))) == 3


def test_a_full_disk_is_reported_with_the_way_out_and_leaves_nothing(entries: Path) -> None:
    big = np.zeros((3, 1024, 128, 1), np.uint8)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        with pytest.raises(TrainError, match=r"decoded images cannot be kept: File too large; GENLINE_CACHE names"):
            read(counted(big)[0])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert visible(entries) == []


def test_a_cache_that_cannot_be_written_is_reported_with_the_way_out(tmp_path: Path, command) -> None:
    (tmp_path / "file").write_text("")
    done = command("gentrain", "data", "digits", env=os.environ | {"GENLINE_CACHE": str(tmp_path / "file")})
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "decoded images cannot be kept: Not a directory; GENLINE_CACHE names another folder" in done.stderr


def test_a_lock_that_was_removed_while_it_was_waited_for_is_taken_anew(entries: Path) -> None:
    entries.mkdir(parents=True)
    with cache._lock(entries / "entry", wait=False) as lock:
        assert os.fstat(lock.fileno()).st_ino == (entries / ".lock-entry").stat().st_ino
        with pytest.raises(BlockingIOError):
            cache._lock(entries / "entry", wait=False)
        (entries / ".lock-entry").unlink()
        with cache._lock(entries / "entry", wait=False) as other:
            assert os.fstat(other.fileno()).st_ino != os.fstat(lock.fileno()).st_ino
            fcntl.flock(other, fcntl.LOCK_UN)
