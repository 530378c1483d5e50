"""Where decoded images and feature nets are kept between runs.

Images are decoded once: an entry of `images/` is a folder with `images.npy`, `labels.npy`, other columns and
`dataset.json`, named by a digest of the source's identity and the frame. It appears in one rename, whole, or never.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import astuple, replace
from pathlib import Path
from typing import IO

import numpy as np

from gentrain.data import checked
from gentrain.data.dataset import Contents, Dataset, Frame, Indices, Pixels, Show, Skipped, Source
from gentrain.errors import TrainError
from gentrain.files import flush, own_folder, sweep
from gentrain.files.locks import lock as lock_file

# Part of every key: raise it when images decode to other pixels than before.
DECODING_VERSION = 3

MOST_ENTRIES = 20

# How the files of columns begin that are neither images nor labels.
COLUMN = "column-"


def root() -> Path:
    """The cache folder: $GENLINE_CACHE, else $XDG_CACHE_HOME/genline, else ~/.cache/genline; it may not exist yet.

    Raises:
        TrainError: neither is set, and there is no home folder.
    """
    if chosen := os.environ.get("GENLINE_CACHE"):
        return Path(chosen)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "genline"
    except RuntimeError:  # a user without an entry in the system's list, as in containers
        raise TrainError("no home folder to keep decoded images in; GENLINE_CACHE names another folder") from None


def decoded(source: Source, frame: Frame, show: Show) -> Dataset:
    """The images of a source from the cache; decoded into it if they are not there, or damaged.

    Several processes may need the same at once: one decodes, the others wait for it.

    Raises:
        TrainError: what `source.decode` raises, or the cache cannot be written.
    """
    folder = root() / "images"
    entry = folder / _key(source, frame)
    if dataset := _load(entry, source):
        return dataset
    warnings: list[str] = []
    with _disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = _lock(entry, wait=True, note=warnings.append)
    with lock:
        if dataset := _load(entry, source):
            return dataset
        with contextlib.ExitStack() as stack:
            with _disk_errors(folder):
                _tidy(folder, entry)
                temporary = stack.enter_context(own_folder(folder)) / entry.name
                temporary.mkdir()
            _decode_into(temporary, source, frame, show)
            with _disk_errors(folder):
                flush(temporary)
                _place(temporary, entry)
    dataset = _load(entry, source)
    if dataset is None:
        raise TrainError(f"{entry}: decoded images are gone again; GENLINE_CACHE names another folder for them")
    return replace(dataset, notes=(*dataset.notes, *warnings))


def _key(source: Source, frame: Frame) -> str:
    key = repr((DECODING_VERSION, source.identity, astuple(frame)))
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _load(entry: Path, source: Source) -> Dataset | None:
    """The data set of an entry; None if there is none, or it is damaged."""
    try:
        stored = json.loads((entry / "dataset.json").read_text(encoding="utf-8"))
        if any((entry / name).stat().st_size != size for name, size in stored["bytes"].items()):
            return None
        images = np.load(entry / "images.npy", mmap_mode="r", allow_pickle=False)
        labels = np.load(entry / "labels.npy", allow_pickle=False) if "labels.npy" in stored["bytes"] else None
        skipped = tuple(Skipped(**skipped) for skipped in stored["skipped"])
        first_alike = (
            np.load(entry / "first_alike.npy", allow_pickle=False) if "first_alike.npy" in stored["bytes"] else None
        )
        columns = {
            name.removeprefix(COLUMN).removesuffix(".npy"): np.load(entry / name, mmap_mode="r", allow_pickle=False)
            for name in stored["bytes"]
            if name.startswith(COLUMN)
        }
        fingerprint, class_names, notes = stored["fingerprint"], tuple(stored["class_names"]), tuple(stored["notes"])
        rest = (
            stored["classes_from"],
            stored["left_out"],
            stored["split"],
            stored["value_ranges"],
            first_alike,
            stored["grey_in_colour"],
            columns,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    with contextlib.suppress(OSError):  # a cache that is only read from
        os.utime(entry)
    return Dataset(source.name, images, labels, class_names, skipped, notes, *rest, fingerprint)


def _decode_into(entry: Path, source: Source, frame: Frame, show: Show) -> None:
    """Write all files of an entry."""
    with _Arrays(entry) as arrays:
        decoded = source.decode(frame, arrays.append, show)
        contents = checked.contents(decoded, frame, source.name)
        with _disk_errors(entry.parent.parent):
            arrays.finish()
    writer = arrays.images
    with _disk_errors(entry.parent.parent):
        grey = not (writer.coloured or frame.channels) and writer.shape[-1:] == (3,)
        _write_rest(entry, source, contents, writer.first_alike, grey)


def _place(temporary: Path, entry: Path) -> None:
    shutil.rmtree(entry, ignore_errors=True)
    try:
        os.replace(temporary, entry)
    except OSError:
        if not entry.is_dir():  # else there are no locks here, and another was quicker
            raise


def _write_rest(entry: Path, source: Source, contents: Contents, first_alike: Indices | None, grey: bool) -> None:
    arrays = {"labels": contents.labels, "first_alike": first_alike}
    arrays |= {f"{COLUMN}{name}": column for name, column in contents.columns.items()}
    for name, array in arrays.items():
        if array is not None:
            content = io.BytesIO()  # NumPy does not notice that a disk refuses the end of a file
            np.save(content, array)
            (entry / f"{name}.npy").write_bytes(content.getvalue())
    images = np.load(entry / "images.npy", mmap_mode="r")
    columns = {file.stem.removeprefix(COLUMN): np.load(file, mmap_mode="r") for file in entry.glob(f"{COLUMN}*.npy")}
    for name, column in {"labels": contents.labels, **columns}.items():
        if column is not None and len(column) != len(images):
            raise ValueError(f"{source.name}: {len(column)} {name} for {len(images)} images")
    c = contents
    known = (c.labels, c.class_names, c.skipped, c.notes, c.classes_from, c.left_out, c.split, c.value_ranges)
    dataset = Dataset(source.name, images, *known, first_alike, grey, columns)
    description = dataset.describe() | {"bytes": {file.name: file.stat().st_size for file in entry.glob("*.npy")}}
    (entry / "dataset.json").write_text(json.dumps(description) + "\n", encoding="utf-8")


class _Arrays:
    """The images of an entry, and what comes beside them, each in a file that grows. A context, which closes them."""

    def __init__(self, entry: Path) -> None:
        self._entry, self._open = entry, contextlib.ExitStack()
        self.images = self._writer("images")
        self.beside: dict[str, _Writer] = {}

    def __enter__(self) -> _Arrays:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def append(self, images: Pixels, /, **beside: Pixels) -> None:
        """Write uint8 (n, H, W, C) each."""
        self.images.append(images)
        for name, pixels in beside.items():
            if name not in self.beside:
                self.beside[name] = self._writer(f"{COLUMN}{name}")
            self.beside[name].append(pixels)

    def finish(self) -> None:
        """Write the final counts."""
        for writer in (self.images, *self.beside.values()):
            writer.finish()

    def _writer(self, name: str) -> _Writer:
        with _disk_errors(self._entry.parent.parent):
            return _Writer(self._open.enter_context((self._entry / f"{name}.npy").open("wb", buffering=0)))


class _Writer:
    """A .npy file that grows: its header is written again when the number of images is known."""

    def __init__(self, file: io.FileIO) -> None:
        self.file = file  # without a buffer, which would try again what has failed, and go on after it
        self.whole = True  # until a write fails
        self.shape: tuple[int, ...] = ()
        self.count = 0
        self.coloured = False
        self._contents: list[bytes] = []

    def append(self, images: Pixels) -> None:
        """Write uint8 (n, H, W, C)."""
        with _disk_errors(Path(str(self.file.name)).parents[2]):
            self._go_on()
            if not self.count:
                self.shape = images.shape[1:]
                self._header()
            rest = memoryview(np.ascontiguousarray(images).data).cast("B")
            while rest:
                rest = rest[self.file.write(rest) :]
        self.whole = True
        self.count += len(images)
        self.coloured = self.coloured or bool((images != images[..., :1]).any())
        self._contents += [hashlib.blake2b(image, digest_size=16).digest() for image in np.ascontiguousarray(images)]

    @property
    def first_alike(self) -> Indices | None:
        """For each image the first of the same pixels; None where all differ."""
        first: dict[bytes, int] = {}
        found = [first.setdefault(content, row) for row, content in enumerate(self._contents)]
        return None if len(first) == len(found) else np.array(found, np.int64)

    def finish(self) -> None:
        """The header with the final count; NumPy leaves room in it for the first axis to grow."""
        self._go_on()
        self.file.seek(0)
        self._header()
        self.whole = True

    def _go_on(self) -> None:
        """Raises OSError after a write that failed, whoever has made light of it: what follows would leave a hole."""
        if not self.whole:
            raise OSError(errno.EIO, "a write failed")
        self.whole = False

    def _header(self) -> None:
        header = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self.shape)}
        np.lib.format.write_array_header_1_0(self.file, header)


def _lock(entry: Path, wait: bool, note: Callable[[str], None] = lambda line: None) -> IO[bytes]:
    """Open and lock the entry's lock file; raises BlockingIOError if another has it and `wait` is False."""
    path = entry.with_name(f".lock-{entry.name}")
    while True:
        file = path.open("ab")
        try:
            lock_file(file, wait, note)
            if os.fstat(file.fileno()).st_ino == path.stat().st_ino:
                return file
        except FileNotFoundError:  # removed by its last holder: once more
            pass
        except BaseException:
            file.close()
            raise
        file.close()


def _tidy(folder: Path, ours: Path) -> None:
    """Remove what killed processes left, and the entries that were not used for longest, but not `ours`."""
    folders = [path for path in folder.iterdir() if path.is_dir()]
    sweep(path for path in folders if path.name.startswith(".tmp-"))
    entries = sorted((path for path in folders if not path.name.startswith(".")), key=_last_used, reverse=True)
    for old in entries[MOST_ENTRIES - 1 :]:
        if old != ours:
            _remove(old)


def _last_used(entry: Path) -> float:
    try:
        return entry.stat().st_mtime
    except OSError:
        return 0.0


def _remove(entry: Path) -> None:
    """Remove an entry, unless another process is writing it."""
    with contextlib.suppress(OSError):
        lock = _lock(entry, wait=False)
        with lock:
            shutil.rmtree(entry, ignore_errors=True)
            if not entry.exists():
                entry.with_name(f".lock-{entry.name}").unlink()


@contextlib.contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written into an error that says what to do."""
    try:
        yield
    except OSError as error:
        raise TrainError(
            f"{folder}: decoded images cannot be kept: {error.strerror or error}; "
            "GENLINE_CACHE names another folder for them"
        ) from error
