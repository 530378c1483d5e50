"""Any number of encoded images, decoded by threads into chunks: what folders, archives and records have in common.

Two passes: headers, as far as they are needed to settle the size and the channels, then pixels. Memory holds a few
chunks, never all images.
"""

from __future__ import annotations

import itertools
import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import IO, Any, NamedTuple, TypeVar

import numpy as np

from gentrain.data import sizes
from gentrain.data.dataset import ONLY_SQUARES, Append, Frame, Labels, Pixels, Show, Skipped
from gentrain.errors import TrainError, UsageError
from gentrain.sources.pictures import deep_extremes, fitted, header, reason
from gentrain.sources.values import Extremes, Ranges

CHUNK = 64
MOST_THREADS = 16


class Item(NamedTuple):
    """One image: its name fit to be printed, what `Load` needs to open it, and its class (0 where there are none)."""

    name: str
    content: Any
    label: int = 0


Outcome = TypeVar("Outcome")

Load = Callable[[Any], "str | IO[bytes]"]
"""From an item's content to what Pillow opens; raises what is wrong with it."""


class Decoded(NamedTuple):
    """Of the images that could be decoded the labels, int32 (N,), and the items' numbers; of the others what was wrong;
    `Ranges.describe`.
    """

    labels: Labels
    kept: list[int]
    skipped: tuple[Skipped, ...]
    value_ranges: dict[str, Any]


def decode(
    name: str,
    items: Callable[[], Iterable[Item]],
    total: int | None,
    load: Load,
    frame: Frame,
    append: Append,
    show: Show,
) -> Decoded:
    """Give every image to `append`, as uint8 (n, H, W, channels), in the order of `items`.

    Args:
        name: of the source, for errors.
        items: called once for each pass; both times with the same outcome.
        total: how many there are, if that is known.
        load: opens one; called by several threads at once.
        frame: how images are to be decoded.
        append: takes the images.
        show: called with how many are done.

    Raises:
        TrainError: more than half of the images are broken.
    """
    with warnings.catch_warnings():  # around the threads: it is not safe within them
        warnings.simplefilter("ignore")
        size, channels = shape(items(), load, frame)
        ranges = Ranges(frame, partial(_deep_images, items, load, frame))

        def decode_one(item: Item) -> Pixels:
            return fitted(load(item.content), frame, size, channels, ranges)

        labels, kept, skipped = _decoded(items(), decode_one, lambda images: append(np.stack(images)), total, show)
    refuse_if_mostly_broken(name, len(labels) + len(skipped), skipped)
    return Decoded(np.array(labels, np.int32), kept, tuple(skipped), ranges.describe())


def decode_pairs(
    name: str,
    items: Callable[[], Iterable[Item]],
    total: int,
    load: Callable[[Any], tuple[str | IO[bytes], str | IO[bytes]]],
    frame: Frame,
    append: Append,
    show: Show,
) -> Decoded:
    """Give every pair to `append`, the targets as images and the inputs as `image`; of one size, each as its channels.

    Args:
        name: of the source, for errors.
        items: called once for each pass; every time with the same outcome.
        total: how many pairs there are.
        load: opens the input and the target of a pair; called by several threads at once.
        frame: how targets are to be decoded; inputs keep the channels that they have.
        append: takes the pairs.
        show: called with how many are done.

    Raises:
        UsageError: they are to be rectangles.
        TrainError: more than half of the pairs are broken.
    """
    if not frame.is_square:
        raise UsageError(f"resolution {frame.resolution}: {ONLY_SQUARES}")
    frames = (replace(frame, channels=0), frame)
    with warnings.catch_warnings():  # around the threads: it is not safe within them
        warnings.simplefilter("ignore")
        shapes = [shape(items(), _part(load, part), frames[part]) for part in (0, 1)]
        size = shapes[0][0] if shapes[0][0] == shapes[1][0] else frame.largest
        deep = (_deep_images(items, _part(load, part), frame) for part in (0, 1))
        ranges = Ranges(frame, lambda: itertools.chain(*deep))

        def decode_one(item: Item) -> tuple[Pixels, Pixels]:
            files = load(item.content)
            first, second = (fitted(files[i], frame, size, shapes[i][1], ranges) for i in (0, 1))
            return first, second

        def append_pairs(pairs: list[tuple[Pixels, Pixels]]) -> None:
            append(np.stack([target for _, target in pairs]), image=np.stack([given for given, _ in pairs]))

        labels, kept, skipped = _decoded(items(), decode_one, append_pairs, total, show)
    refuse_if_mostly_broken(name, len(labels) + len(skipped), skipped, "pairs")
    return Decoded(np.array(labels, np.int32), kept, tuple(skipped), ranges.describe())


def _decoded(
    items: Iterable[Item],
    decode_one: Callable[[Item], Outcome],
    append: Callable[[list[Outcome]], None],
    total: int | None,
    show: Show,
) -> tuple[list[int], list[int], list[Skipped]]:
    """Give what is decoded to `append`, chunk by chunk; their labels and numbers, what is wrong with others."""
    labels, kept, skipped = list[int](), list[int](), list[Skipped]()

    def decode_chunk(chunk: list[Item]) -> list[Outcome | str]:
        return [_or_reason(decode_one, item) for item in chunk]

    for chunk, results in _in_order(decode_chunk, _chunks(items)):
        if good := [result for result in results if not isinstance(result, str)]:
            append(good)
        for item, result in zip(chunk, results, strict=True):
            if isinstance(result, str):
                skipped.append(Skipped(item.name, result))
            else:
                kept.append(len(labels) + len(skipped))
                labels.append(item.label)
        show(len(labels) + len(skipped), total)
    return labels, kept, skipped


def _part(load: Callable[[Any], tuple[Any, Any]], part: int) -> Load:
    return lambda content: load(content)[part]


def refuse_if_mostly_broken(name: str, count: int, skipped: list[Skipped], things: str = "images") -> None:
    """Raise TrainError if more than half of `count` images were skipped."""
    if 2 * len(skipped) > count:
        example = f"{skipped[0].file}: {skipped[0].reason}"
        raise TrainError(f"{name}: {len(skipped)} of {count} {things} are broken, for one {example}")


def shape(items: Iterable[Item], load: Load, frame: Frame) -> tuple[tuple[int, int], int]:
    """(height, width) and channels that they get, by the headers; stops as soon as no further one can change them."""
    found_sizes: set[tuple[int, int]] = set()
    grey = True
    for item in items:
        try:
            found = header(load(item.content), frame)
        except Exception:  # it will be met again, and named, with the pixels
            continue
        found_sizes.add(found.size)
        grey = grey and found.grey
        size_is_settled = len(found_sizes) > 1 or sizes.fitting(frame.resolution, found_sizes) == frame.largest
        if size_is_settled and (frame.channels or not grey):
            break
    return sizes.fitting(frame.resolution, found_sizes), frame.channels or (1 if grey else 3)


def _deep_images(items: Callable[[], Iterable[Item]], load: Load, frame: Frame) -> Iterator[tuple[str, Extremes]]:
    """Kind and extremes of every image of more than 8 bits that can be decoded."""
    for item in items():
        try:
            found = deep_extremes(load(item.content), frame)
        except Exception:  # it will be met again, and named, with the pixels
            continue
        if found is not None:
            yield found


def thinned(things: Iterable[Outcome], most: int) -> list[Outcome]:
    """So many at most, from all over: every one, or every second, or every fourth."""
    kept, step = list[Outcome](), 1
    for number, thing in enumerate(things):
        if number % step == 0:
            kept.append(thing)
        if len(kept) > most:
            kept, step = kept[::2], 2 * step
    return kept


def _or_reason(decode_one: Callable[[Item], Outcome], item: Item) -> Outcome | str:
    try:
        return decode_one(item)
    except Exception as error:  # Pillow's plugins raise nearly anything on broken files
        return reason(error)


def _chunks(items: Iterable[Item]) -> Iterator[list[Item]]:
    iterator = iter(items)
    while chunk := list(itertools.islice(iterator, CHUNK)):
        yield chunk


def _in_order(
    work: Callable[[list[Item]], list[Outcome]], chunks: Iterable[list[Item]]
) -> Iterator[tuple[list[Item], list[Outcome]]]:
    """Each chunk with its outcome, in order; only a few chunks are under way at any time."""
    threads = min(os.cpu_count() or 1, MOST_THREADS)
    waiting: deque[tuple[list[Item], Future[list[Outcome]]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        for chunk in chunks:
            waiting.append((chunk, pool.submit(work, chunk)))
            if len(waiting) > 2 * threads:
                first, outcome = waiting.popleft()
                yield first, outcome.result()
        for last, outcome in waiting:
            yield last, outcome.result()
