"""Carries batches of images to their place: encoded in threads, handed over in order, with little of it in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genclient.client.call import Batch
from genclient.errors import ClientError
from genclient.outputs.output import Output, Places

MAX_THREADS = 8


@dataclass(frozen=True)
class Step:
    """What a batch brought: how many images, and the files that are finished by it."""

    images: int
    files: Sequence[Path | str]


def fill(output: Output, places: Places, batches: Iterator[Batch]) -> Generator[Step, None, None]:
    """Put the images of `places`, which batches bring in this order, where they belong.

    Whatever ends it early leaves finished files, and nothing of others.

    Raises:
        ClientError: files cannot be written, or the images are none that the place takes.
    """
    threads = min(MAX_THREADS, os.cpu_count() or 1)
    encoded: deque[tuple[Places, Batch, Future[Any]]] = deque()
    at = 0
    pool = ThreadPoolExecutor(threads, "genclient-encode")
    failure: ClientError | None = None
    try:
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                break
            except ClientError as error:  # what came before it is not lost; a file that fails ends everything at once
                failure = error
                break
            part = places[at : at + len(batch)]
            at += len(part)
            encoded.append((part, batch, pool.submit(output.encode, part, batch.outputs, batch.version)))
            if len(encoded) > threads:
                yield _step(output, *encoded.popleft())
        while encoded:
            yield _step(output, *encoded.popleft())
        if failure is not None:
            raise failure
        if at < len(places):
            raise ClientError(f"images: found {at}, expected {len(places)}")
        yield Step(0, output.finish())
    finally:
        pool.shutdown(cancel_futures=True)
        output.discard()


def _step(output: Output, places: Places, batch: Batch, encoded: Future[Any]) -> Step:
    return Step(len(places), output.add(places, encoded.result(), batch.version))
