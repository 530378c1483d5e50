"""Files that are there whole or not at all: written beside their place, flushed, renamed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from PIL.PngImagePlugin import PngInfo

from gentrain.errors import TrainError

MARK = "genline"
"""Names the note in a PNG that genline wrote, so that a sheet of images is never taken for one."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; what was written there takes its place when the block ends well.

    Raises:
        TrainError: the disk is full, or the folder cannot be written to; `path` is as it was.
    """
    # The ending stays last: Keras chooses the format by it.
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        os.replace(temporary, path)
    except OSError as error:
        raise TrainError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            with suppress(OSError):  # where there is not even a folder
                temporary.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")


def _flush(path: Path) -> None:
    for file in path.iterdir() if path.is_dir() else [path]:
        with file.open("rb+") as opened:  # Windows flushes only what is open for writing
            os.fsync(opened.fileno())


def marked(what: str) -> PngInfo:
    """What a PNG says of itself: `pnginfo` of `Image.save`."""
    info = PngInfo()
    info.add_text(MARK, what)
    return info
