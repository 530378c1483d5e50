"""Files with many images each, WebDataset's tar or TFRecord, and a manifest beside them.

A shard gets its name when it is whole. A later run writes those that are missing, so that however often the work is
interrupted, the shards are the same, byte for byte.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient.errors import UsageError
from genclient.files import NewFile, sweep, writing
from genclient.outputs import manifest, png, tfrecord, webdataset
from genclient.outputs.manifest import Manifest
from genclient.outputs.order import Order
from genclient.outputs.output import Output, Places
from genclient.outputs.template import Template
from genclient.seeds import format_seeds

SHARD_IMAGES = 1024
"""Images of a shard, unless told."""


class Shards(Output):
    """Shard s has the images from s times the size of a shard on."""

    ending = b""

    def __init__(self, order: Order, out: Path, template: Template | None, size: int | None, overwrite: bool) -> None:
        """Take where they go: names with the number of the shard, and perhaps of all, in them; or one file.

        Raises:
            UsageError: the size is none.
        """
        super().__init__(order)
        if size is not None and (size < 1 or template is None):
            raise UsageError(f"--shard-size: found {size}, expected 1 or more, and --out with a number such as %06d")
        self._template, self._out, self._overwrite = template, out, overwrite
        self.shard = min(size or SHARD_IMAGES, len(order)) if template else len(order)
        self._count = -(-len(order) // self.shard)
        self.resumes = template is not None
        self._manifest = out.with_name(template.manifest_name) if template else None
        self._old: Manifest | None = None
        self._begun = False
        self._new: NewFile | None = None

    @abstractmethod
    def records(
        self, places: Places, pictures: list[bytes], shape: tuple[int, ...], version: int | None
    ) -> list[bytes]:
        """Each image as it stands in a shard."""

    def begin(self, version: int | None) -> Places:
        """The images of the shards that are missing."""
        super().begin(version)
        shards = np.arange(self._count)
        found = None if self._manifest is None else manifest.read(self._manifest)
        if found is not None and self._overwrite and not manifest.is_begun(found, self._request(), version):
            found = None
        if found is not None and self._manifest is not None:
            manifest.check(self._manifest, found, self._request(), version, growing=None)
            self._old, self.version = found, version if found.version is None else found.version
            shards = shards[[not os.path.exists(self._path(shard)) for shard in shards.tolist()]]
        ranges = [np.arange(*self._range(shard), dtype=np.int64) for shard in shards.tolist()]
        return np.concatenate(ranges) if ranges else np.empty(0, np.int64)

    def encode(self, places: Places, images: NDArray[np.uint8], version: int | None) -> list[bytes]:
        """Records."""
        pictures = png.encode(images, [self.order.text(place, version) for place in places.tolist()])
        return self.records(places, pictures, images.shape[1:], version)

    def add(self, places: Places, encoded: Any, version: int | None) -> Sequence[Path]:
        """Write records; gives the shards that are whole by this."""
        self._start(version)
        finished, at = [], 0
        while at < len(places):
            shard = int(places[at]) // (self.shard or 1)
            if self._new is None:
                self._new = NewFile(self._path(shard))
            start, stop = self._range(shard)
            part = encoded[at : at + stop - int(places[at])]
            self._new.write(b"".join(part))
            at += len(part)
            if places[at - 1] == stop - 1:
                self._new.write(self.ending)
                self._new.keep()
                finished.append(self._new.path)
                self._new = None
                self.finished += stop - start
        return finished

    def finish(self) -> Sequence[Path]:
        """Complete the manifest, which is not among the results."""
        complete = Manifest(self._request(), self.version, True)
        if self._manifest is not None and self._old != complete:
            manifest.write(self._manifest, complete, self._entries())
        return []

    def discard(self) -> None:
        """Remove the shard that is not whole."""
        if self._new is not None:
            self._new.discard()

    def plan(self, missing: Places) -> list[str]:
        """The shards; of many the first and the last."""
        shards = np.unique(missing // (self.shard or 1)).tolist()
        names = [str(self._path(shard)) for shard in shards]
        return names if len(names) <= 16 else [names[0], "…", names[-1]]

    def _path(self, shard: int) -> Path:
        return self._out.with_name(self._template.name(shard, self._count)) if self._template else self._out

    def _range(self, shard: int) -> tuple[int, int]:
        size = self.shard or 1
        return shard * size, min((shard + 1) * size, len(self.order))

    def _request(self) -> dict[str, Any]:
        return {"files": self._out.name, **self.order.request(), "shard_size": self.shard}

    def _start(self, version: int | None) -> None:
        """Before the first images: write down what they are. What else has their names goes, lest it pass for them."""
        if self._old is not None and self._manifest is not None:
            manifest.check_version(self._manifest, self._old.version, version)
        if self._begun:
            return
        self._begun, self.version = True, version
        sweep(self._out.parent)
        if self._manifest is None:
            return
        shard = 0
        while self._old is None and (shard < self._count or os.path.exists(self._path(shard))):
            with writing(self._path(shard)):
                self._path(shard).unlink(missing_ok=True)
            shard += 1
        begun = Manifest(self._request(), version, False)
        if self._old != begun:
            manifest.write(self._manifest, begun, ())
        self._old = begun

    def _entries(self) -> Iterator[dict[str, Any]]:
        for shard in range(self._count):
            start, stop = self._range(shard)
            entry = {"file": self._path(shard).name, "images": stop - start}
            yield {**entry, self.order.numbers_name: format_seeds(self.order.numbers[start:stop])}


class TarShards(Shards):
    """Shards for WebDataset."""

    ending = webdataset.END

    def __init__(self, order: Order, out: Path, template: Template | None, size: int | None, overwrite: bool) -> None:
        """As `Shards`; besides, no image may be asked for twice: readers take the name of an image for the image."""
        super().__init__(order, out, template, size, overwrite)
        if len(np.unique(order.seeds)) < len(order.seeds):
            raise UsageError("--seeds: found a seed twice, expected each once in a .tar, which tells images by names")

    def records(
        self, places: Places, pictures: list[bytes], shape: tuple[int, ...], version: int | None
    ) -> list[bytes]:
        """Members of a tar file."""
        return [
            webdataset.record(
                self.order.key(place), picture, self.order.about_json(place, version), self.order.label_of(place)
            )
            for place, picture in zip(places.tolist(), pictures, strict=True)
        ]


class RecordShards(Shards):
    """Shards for tf.data."""

    def records(
        self, places: Places, pictures: list[bytes], shape: tuple[int, ...], version: int | None
    ) -> list[bytes]:
        """Examples with their lengths and checksums."""
        sizes: dict[str, bytes | int]
        sizes = {"image/height": shape[0], "image/width": shape[1], "image/channels": shape[2], "image/format": b"png"}
        return tfrecord.framed(
            [
                tfrecord.example({"image/encoded": picture, **sizes, **self._numbers(place)})
                for place, picture in zip(places.tolist(), pictures, strict=True)
            ]
        )

    def _numbers(self, place: int) -> dict[str, bytes | int]:
        order = self.order
        numbers: dict[str, bytes | int] = {order.number_name: int(order.numbers[place])}
        return numbers if order.image_labels is None else {**numbers, "label": int(order.image_labels[place])}
