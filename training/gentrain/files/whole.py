"""Files that are there whole or not at all: written beside their place, flushed, renamed.

What is being written lies in a hidden folder that nobody else has, and which its writer locks; so what a kill left is
distinguished from what another process, in another container or on another machine, is still writing.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from PIL.PngImagePlugin import PngInfo

from gentrain.errors import TrainError
from gentrain.files import locks

OWN = re.compile(r"\.tmp-(?:([0-9a-f]{8})-)?.+")
ABANDONED_SECONDS = 86400

MARK = "genline"
"""Names the note in a PNG that genline wrote, so that an image grid is never taken for one."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path; what was written there, a file or a folder, takes `path` when the block ends well.

    Raises:
        TrainError: the disk is full, or the folder cannot be written to; `path` is as it was.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with own_folder(path.parent) as folder:
            yield folder / path.name
            flush(folder)
            os.replace(folder / path.name, path)
            _flush_one(path.parent)
    except OSError as error:
        raise TrainError(f"{path}: cannot be written: {error.strerror or error}") from error


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Errors that TensorFlow or the system has with writing `path` as TrainError, in one line."""
    import tensorflow as tf

    try:
        yield
    except OSError as error:
        raise TrainError(f"{path}: cannot be written: {error.strerror or error}") from error
    except tf.errors.OpError as error:
        first = (error.message.splitlines() or [""])[0]
        reason = re.sub(r"\{\{.*?\}\}|\[Op:\w*\]", "", first).split(";")[-1].strip()
        raise TrainError(f"{path}: cannot be written: {reason}") from error


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def marked(what: str) -> PngInfo:
    """What a PNG says of itself: `pnginfo` of `Image.save`."""
    info = PngInfo()
    info.add_text(MARK, what)
    return info


@contextmanager
def own_folder(parent: Path) -> Iterator[Path]:
    """A new hidden folder in another, for this process alone; gone when the block ends.

    Raises:
        OSError: it cannot be made.
    """
    folder = Path(tempfile.mkdtemp(prefix=f".tmp-{locks.kernel()}-", dir=parent))
    descriptor, _ = locks.hold(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)


def sweep(left: Iterable[Path]) -> None:
    """Remove such folders, but not what others may be writing.

    A folder that this machine's processes could have locked, and none has, goes at once; another machine's, whose locks
    may not show, after a day. Files under such names are an older gentrain's.
    """
    for path in list(left):
        match = OWN.fullmatch(path.name)
        with suppress(OSError):
            if match and path.is_dir():
                _remove_if_left(path, match[1])
            elif match:
                path.unlink()


def _remove_if_left(folder: Path, kernel: str | None) -> None:
    descriptor, held = locks.hold(folder)
    try:
        old = time.time() - folder.stat().st_mtime > ABANDONED_SECONDS
        if held is not False and (old or (held and kernel == locks.kernel())):
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def flush(folder: Path) -> None:
    """Wait until all that is in a folder is on the disk."""
    for path in folder.rglob("*"):
        _flush_one(path)


def _flush_one(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name == "nt":
        return
    opened = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)  # Windows flushes only what may be written
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
