"""Clips from a folder: animated pictures, videos and folders of frames, each cut to T frames; classes by folder.

A folder all of whose files are still pictures, two or more, is one clip; a still picture beside others is none. Where
the frame says `cells` each still picture is a sprite sheet instead, and a clip of its own.
"""

from __future__ import annotations

import contextlib
import os
import re
import warnings
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np

from gentrain.data.dataset import Append, Contents, Frame, Pixels, Show, Skipped, Source, by_ending
from gentrain.errors import TrainError, UsageError
from gentrain.sources import encoded, folder, layout, motion, pictures
from gentrain.sources.folder import regular
from gentrain.sources.pictures import shown, suffixes
from gentrain.sources.tree import ending

THREADS = 4

EXPECTED = "expected GIF, WebP or APNG, videos, or folders of frames"


class Clip(NamedTuple):
    """What clips are cut from: its name relative to the root, and its files; several where these are the frames."""

    name: str
    files: tuple[str, ...]


def open(path: str) -> Source:
    """Every clip under `path`, or those of one file.

    Raises:
        TrainError: nothing is there that can be read; when decoding, no clips, or more than half of them are broken.
        UsageError: `path` is no folder, nor such a file.
    """
    if os.path.isfile(path):
        if ending(path) not in {*suffixes(), *motion.VIDEOS}:
            raise UsageError(f"{shown(path)}: --frames cuts clips from a folder of clips or one file; {EXPECTED}")
        root, files, digest = os.path.dirname(path), [os.path.basename(path)], folder.file_identity(path)
        return Source(shown(path), f"clip {digest}", partial(_decode, path, root, files))
    listing = folder.find_images(path)
    stamps = [folder.file_identity(os.path.join(path, file)) for file in listing.files if _is_video(file)]
    identity = f"clips {os.path.realpath(path)!r} {listing.digest} {stamps} {motion.ffmpeg()}"
    return Source(shown(path), identity, partial(_decode, path, path, listing.files))


def _is_video(file: str) -> bool:
    return ending(file) in motion.VIDEOS


def _decode(source: str, root: str, files: list[str], frame: Frame, append: Append, show: Show) -> Contents:
    found, left_out = _found(root, files, bool(frame.cells))
    if not found:
        there = f", found {by_ending(left_out)}" if left_out else ""
        raise TrainError(f"{shown(source)}: no clips found; {EXPECTED}{there}")
    known = layout.understand([clip.name for clip in found], None, frame, shown(source))
    chosen = [found[position] for position in known.positions]
    labels, origins, skipped = list[int](), list[int](), list[Skipped]()
    for number, outcome in _in_order(root, chosen, frame):
        if isinstance(outcome, str):
            skipped.append(Skipped(shown(chosen[number].name), outcome))
        else:
            append(outcome[None])
            origins.append(number)
            labels.append(0 if known.labels is None else int(known.labels[number]))
        show(number + 1, len(chosen))
    encoded.refuse_if_mostly_broken(shown(source), len(set(origins)) + len(skipped), skipped, "clips")
    if not origins:
        raise TrainError(f"{shown(source)}: no file has {frame.frames} frames, {_rate(frame)}; short=loop repeats them")
    notes = [f"{len(origins)} clips of {frame.frames} frames from {len(set(origins))} files, {_rate(frame)}"]
    if short := len(chosen) - len(set(origins)) - len(skipped):
        notes.append(f"{short} files of fewer frames are left out")
    return Contents(
        None if known.labels is None else np.array(labels, np.int32),
        known.class_names,
        (*skipped, *known.skipped),
        (*notes, *known.notes),
        known.classes_from,
        left_out,
        known.split,
        columns={"origin": np.array(origins, np.int32)},
    )


def _rate(frame: Frame) -> str:
    return f"{frame.fps:g} a second" if frame.fps else "one by one as they are"


def _found(root: str, files: Iterable[str], sheets: bool) -> tuple[list[Clip], Counter[str]]:
    """The clips among these files, and how many of the rest have which ending; of sheets each file is one."""
    folders: dict[str, list[str]] = {}
    rest = Counter[str]()
    for file in files:
        if ending(file) in suffixes() or _is_video(file):
            folders.setdefault(os.path.dirname(file), []).append(file)
        else:
            rest[ending(file)] += 1
    clips: list[Clip] = []
    for name, members in folders.items():
        if not sheets and len(members) > 1 and not any(_moves(os.path.join(root, file)) for file in members):
            clips.append(Clip(name or ".", tuple(sorted(members, key=_by_number))))
        else:
            clips += [Clip(file, (file,)) for file in members]
    return clips, rest


def _moves(path: str) -> bool:
    if _is_video(path):
        return True
    with contextlib.suppress(Exception):  # whatever is wrong with it will be met again, and named
        return pictures.is_animated(regular(path))
    return False


def _by_number(name: str) -> list[tuple[int, str]]:
    """`frame10` behind `frame9`."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"([0-9]+)", name)]


def _shape(root: str, clips: Sequence[Clip], frame: Frame) -> tuple[int, int]:
    """Side and channels, from the headers of pictures; videos are in colour and of any size."""
    files = [os.path.join(root, clip.files[0]) for clip in clips]
    if any(map(_is_video, files)):
        return frame.largest[0], frame.channels or 3
    items = (encoded.Item(file, file) for file in files)
    (side, _), channels = encoded.shape(items, regular, frame)
    return side, channels


def _in_order(root: str, clips: Sequence[Clip], frame: Frame) -> Iterator[tuple[int, Pixels | str]]:
    """The number of each and a clip cut from it, or why there is none; of pictures a few are decoded at once."""

    def cut(clip: Clip) -> Iterator[Pixels | str]:
        try:
            yield from motion.clips(_frames(root, clip, frame, side, channels), frame)
        except Exception as error:  # Pillow's plugins raise nearly anything on broken files
            yield pictures.reason(error)

    def all_of(clip: Clip) -> list[Pixels | str]:
        return list(cut(clip))

    waiting: deque[tuple[int, Future[list[Pixels | str]]]] = deque()
    with warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
        warnings.simplefilter("ignore")
        side, channels = _shape(root, clips, frame)
        for number, clip in enumerate(clips):
            most = 0 if _is_video(clip.files[0]) else 2 * THREADS
            if most:
                waiting.append((number, pool.submit(all_of, clip)))
            while len(waiting) > most or (waiting and number == len(clips) - 1):
                first, future = waiting.popleft()
                yield from ((first, outcome) for outcome in future.result())
            if not most:  # of any length, so it is never held as a whole
                yield from ((number, outcome) for outcome in cut(clip))


def _frames(root: str, clip: Clip, frame: Frame, side: int, channels: int) -> Iterator[Pixels]:
    files = [regular(os.path.join(root, file)) for file in clip.files]
    if len(files) > 1:
        return motion.of_pictures(files, frame, side, channels)
    if _is_video(files[0]):
        return motion.of_video(files[0], frame, side, channels)
    sheet = frame.cells and not pictures.is_animated(files[0])
    return (motion.of_sheet if sheet else motion.of_animation)(files[0], frame, side, channels)
