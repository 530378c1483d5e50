"""Files of a run and of the cache are whole or not there, whatever the disk does, and nobody's work is swept away."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import disks
import pytest
from gentrain import files
from gentrain.errors import TrainError
from gentrain.files import locks

# Decodes three pictures into the cache, three times; a decoder that goes on after an error, as for broken files.
DECODE = """
import numpy as np
from gentrain.data import cache
from gentrain.data.dataset import Contents, Frame, Source
from gentrain.errors import TrainError

def decode(frame, append, show):
    for i in range(3):
        try:
            append(np.full((1, 64, 64, 3), i, np.uint8))
        except TrainError:
            pass
    return Contents()

for _ in range(3):
    try:
        found = cache.decoded(Source("three", "three", decode), Frame(64), lambda done, total: None)
        print(found.images[:, 0, 0, 0].tolist())
    except TrainError as error:
        print(type(error).__name__, error)
"""


@pytest.mark.parametrize("after", [0, 1, 2, 3, 5])
def test_a_write_that_fails_ends_the_decoding_and_the_next_one_is_whole(tmp_path: Path, after: int) -> None:
    cache = tmp_path / "cache"
    failing = {**disks.failing_once(tmp_path, f"{cache}/"), "FAIL_AFTER": str(after), "GENLINE_CACHE": str(cache)}
    done = subprocess.run(
        [sys.executable, "-c", DECODE], env={**os.environ, **failing}, capture_output=True, text=True, timeout=120
    )
    first, *others = done.stdout.splitlines()
    assert first.startswith("TrainError "), done.stderr
    assert others == ["[0, 1, 2]"] * 2
    assert not list(cache.glob("images/.tmp-*"))


def test_what_is_being_written_is_swept_away_only_when_nobody_writes_it(tmp_path: Path) -> None:
    names = {
        "left": f".tmp-{locks.kernel()}-left",
        "of another machine": ".tmp-00000000-young",
        "of another machine, long ago": ".tmp-00000000-old",
    }
    for name in names.values():
        (tmp_path / name).mkdir()
    os.utime(tmp_path / names["of another machine, long ago"], (time.time() - 2 * 86400,) * 2)
    with files.replacing(tmp_path / "new.txt") as temporary:
        temporary.write_text("whole")
        held = temporary.parent
        files.sweep(tmp_path.glob(".tmp-*"))
        assert set(tmp_path.iterdir()) == {held, tmp_path / names["of another machine"]}
    assert (tmp_path / "new.txt").read_text() == "whole"
    assert not held.exists()


def test_what_goes_wrong_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")

    def write() -> None:
        with files.replacing(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(TrainError, match=r"a\.txt: cannot be written: No space"):
        write()
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("a.txt", "old")]
