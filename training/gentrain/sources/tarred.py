"""Tar archives: a folder of images in one, or samples in WebDataset's form, as `genclient sample` writes them."""

from __future__ import annotations

import builtins
import bz2
import contextlib
import dataclasses
import glob
import gzip
import io
import json
import lzma
import os
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import IO, Any, NamedTuple

from gentrain.data.dataset import Append, Contents, Frame, Show, Source
from gentrain.errors import TrainError
from gentrain.sources import captions, encoded, splits
from gentrain.sources.classes import LabelsMet
from gentrain.sources.encoded import Item
from gentrain.sources.folder import file_identity, holds_images, names_in
from gentrain.sources.pictures import Unfit, shown, suffixes
from gentrain.sources.tree import Entry, Tree, cleaned, decode, ending, hidden, in_memory, sampled

ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
CLASS_ENDINGS = ("cls", "label", "class")
CLASS_KEYS = ("label", "cls", "class", "class_id")
TEXT_KEYS = ("class_name", "label_text", "label_name")

# Larger members are no labels.
LARGEST_LABEL_BYTES = 2**20

# So many samples at most are looked at to see whether there are labels.
MOST_TRIED = 100

DECOMPRESSORS: dict[str, Callable[[str], IO[bytes]]] = {
    ".gz": gzip.open,  # type: ignore[dict-item]
    ".tgz": gzip.open,  # type: ignore[dict-item]
    ".bz2": bz2.open,
    ".xz": lzma.open,
}


Load = Callable[[Any], io.BytesIO]


class Member(NamedTuple):
    """Where a file's bytes lie: in which opened archive, from where on, how many."""

    archive: int
    offset: int
    size: int


def open(path: str) -> Source:
    """Every image of a tar file, or of shards: a folder of tar files, or a pattern such as `train-*.tar`.

    Members whose names differ only after the first dot are one sample, as WebDataset has it: an image, and its class in
    `.cls` or under one of `CLASS_KEYS` of its `.json`; captions, where they are asked for, in `.txt` or in the `.json`.
    Without such labels or captions a tar file means what its folder does.

    Raises:
        TrainError: no such file; when decoding, a damaged one, no images, or more than half of them broken.
    """
    files = _files(path)
    if not files:
        raise TrainError(f"{shown(path)}: no tar files found")
    identity = "tar " + " ".join(file_identity(file) for file in files)
    return Source(shown(path), identity, partial(_decode, shown(path), files), partial(_images, shown(path), files))


def fits(path: str) -> bool:
    """Whether `path` is, or matches, tar files, or is a folder of them and not of images."""
    return bool(_files(path)) and not holds_images(path)


def _files(path: str) -> list[str]:
    if os.path.isdir(path):
        found = [os.path.join(path, name) for name in names_in(path) if not name.startswith(".")]
    else:
        found = [path] if os.path.exists(path) else glob.glob(path)
    return sorted(file for file in found if file.lower().endswith(ENDINGS) and os.path.isfile(file))


def _decode(name: str, all_files: list[str], frame: Frame, append: Append, show: Show) -> Contents:
    files, split, notes = splits.shards(all_files, frame.split, name)
    with contextlib.ExitStack() as stack:
        archives = [stack.enter_context(_unpacked(file)) for file in files]
        entries = [entry for i, file in enumerate(files) for entry in _entries(archives[i], i, file)]
        load = partial(_load, [archive.fileno() for archive in archives])
        samples = _samples(entries, load, frame.captions)
        if samples and frame.labels in ("auto", "none"):
            found = _decode_samples(name, samples, load, frame, append, show)
        else:
            found = decode(Tree(name, sorted(entries, key=_order), load), True, frame, append, show)
    return dataclasses.replace(found, split=found.split or split, notes=(*notes, *found.notes))


def _images(name: str, files: list[str], most: int) -> Iterator[str | IO[bytes]]:
    with contextlib.ExitStack() as stack:
        archives = [stack.enter_context(_unpacked(file)) for file in files]
        entries = [entry for i, file in enumerate(files) for entry in _entries(archives[i], i, file)]
        yield from sampled(Tree(name, entries, partial(_load, [archive.fileno() for archive in archives])), most)


def _order(entry: Entry) -> tuple[int, list[str]]:
    return entry.handle.archive, entry.name.split("/")


def _unpacked(file: str) -> IO[bytes]:
    """The archive itself, or a temporary copy that is not compressed: members are read in any order."""
    decompress = DECOMPRESSORS.get(os.path.splitext(file)[1].lower())
    try:
        if decompress is None:
            return builtins.open(file, "rb")
        copy = tempfile.TemporaryFile()  # noqa: SIM115, the caller closes it
        with decompress(file) as stream:
            shutil.copyfileobj(stream, copy, 2**20)
        copy.flush()
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise TrainError(f"{shown(file)}: damaged or cut short: {error}") from error
    return copy


def _entries(archive: IO[bytes], number: int, file: str) -> list[Entry]:
    """All files of an archive, in its order; hidden ones left out."""
    archive.seek(0)
    try:
        with tarfile.open(fileobj=archive, mode="r:") as opened:
            members = [member for member in opened if member.isreg() and not member.issparse()]
    except (tarfile.TarError, EOFError, OSError) as error:
        raise TrainError(f"{shown(file)}: damaged, cut short, or no tar archive: {error}") from error
    named = ((cleaned(member.name), member) for member in members)
    return [Entry(name, Member(number, member.offset_data, member.size)) for name, member in named if not hidden(name)]


def _load(archives: list[int], member: Member) -> io.BytesIO:
    content = os.pread(archives[member.archive], member.size, member.offset)
    if len(content) < member.size:
        raise Unfit("cut short in the archive")
    return in_memory(content)


class Sample(NamedTuple):
    """An image of WebDataset's: its entry, and the members that go with it by what follows the first dot."""

    image: Entry
    others: dict[str, Any]


def _samples(entries: list[Entry], load: Load, asked: str) -> list[Sample]:
    """Images with the members that share their key, in the archives' order; none if none of these says anything."""
    by_key: dict[tuple[int, str], dict[str, Entry]] = {}
    for entry in entries:
        folder, slash, base = entry.name.rpartition("/")
        key, _, rest = base.partition(".")
        by_key.setdefault((entry.handle.archive, folder + slash + key), {})[rest.lower()] = entry
    found = []
    for members in by_key.values():
        image = next((entry for entry in members.values() if ending(entry.name) in suffixes()), None)
        if image is not None:
            others = {name: e.handle for name, e in members.items() if name in (*CLASS_ENDINGS, "json", "txt")}
            found.append(Sample(image, others))
    tried = found[:MOST_TRIED]
    says_something = any(_label(each, load) != (None, None) or any(_texts(each, load, asked)) for each in tried)
    return found if says_something else []


def _label(sample: Sample, load: Load) -> tuple[bytes | int | None, bytes | None]:
    """The label, a number or a text, and the name of the class where that is known."""
    label: bytes | int | None = None
    for name in CLASS_ENDINGS:
        if name in sample.others:
            text = _content(sample.others[name], load).strip()
            label = int(text) if text.isdigit() else text or None
            break
    about = _about(sample, load)
    category = next((about[key] for key in CLASS_KEYS if isinstance(about.get(key), int | str)), None)
    description = next((about[key] for key in TEXT_KEYS if isinstance(about.get(key), str)), None)
    if label is None and category is not None:
        label = category.encode() if isinstance(category, str) else int(category)
    return label, None if description is None else description.encode("utf-8", "surrogateescape")


def _about(sample: Sample, load: Load) -> dict[str, Any]:
    about: Any = {}
    with contextlib.suppress(ValueError):
        about = json.loads(_content(sample.others["json"], load)) if "json" in sample.others else {}
    return about if isinstance(about, dict) else {}


def _texts(sample: Sample, load: Load, asked: str) -> list[str]:
    """The captions, where they are asked for: of the .txt, else of the .json."""
    if asked == "auto" and "txt" in sample.others:
        return captions.lines(_content(sample.others["txt"], load))
    about = _about(sample, load) if asked else {}
    key = captions.column(list(about), asked, sample.image.name) if asked == "auto" else asked
    return captions.of_value(about[key]) if key in about else []


def _content(member: Member, load: Load) -> bytes:
    if not 0 < member.size <= LARGEST_LABEL_BYTES:
        return b""
    return load(member).read()


def _decode_samples(name: str, samples: list[Sample], load: Load, frame: Frame, append: Append, show: Show) -> Contents:
    classes = LabelsMet(name)
    numbers = [classes.number(*_label(sample, load)) for sample in samples]

    def items() -> Iterator[Item]:
        for sample, number in zip(samples, numbers, strict=True):
            yield Item(shown(sample.image.name), sample.image.handle, number)

    decoded = encoded.decode(name, items, len(samples), load, frame, append, show)
    labels, names, notes = classes.settle(decoded.labels)
    found = [_texts(samples[i], load, frame.captions) for i in decoded.kept] if frame.captions else ()
    texts = captions.gathered(found, "the samples' .txt or .json")
    return Contents(
        labels,
        names,
        decoded.skipped,
        (*notes, *texts.notes),
        "the samples' .cls or .json",
        value_ranges=decoded.value_ranges,
        columns=texts.columns,
    )
