"""Files with many images each, WebDataset's tar or TFRecord, and a manifest beside them.

A shard gets its name when it is whole. A later run writes those that are missing, so that however often the work is
interrupted, the shards are the same, byte for byte.
"""

from __future__ import annotations

import itertools
import json
import os
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from genclient.errors import UsageError
from genclient.files.whole import NewFile, writing
from genclient.latents.seeds import format_seeds
from genclient.outputs import png, tfrecord, webdataset
from genclient.outputs.fileset import FileSet
from genclient.outputs.image_set import ImageSet
from genclient.outputs.output import Output, Outputs, Places
from genclient.outputs.template import Template

SHARD_IMAGES = 1024
"""Images of a shard, unless specified."""


class Shards(FileSet):
    """Shard s has the images from s times the size of a shard on."""

    ending = b""

    def __init__(
        self, image_set: ImageSet, out: Path, template: Template | None, size: int | None, overwrite: bool
    ) -> None:
        """Take where they go: names with the number of the shard, and perhaps of all, in them; or one file.

        Raises:
            UsageError: the size is none.
        """
        if size is not None and (size < 1 or template is None):
            raise UsageError(f"--shard-size: found {size}, expected 1 or more, and --out with a number such as %06d")
        super().__init__(image_set, out.with_name(template.manifest_name if template else out.name), overwrite)
        self._template, self._out = template, out
        self.shard = min(size or SHARD_IMAGES, len(image_set)) if template else len(image_set)
        self._count = -(-len(image_set) // self.shard)
        self.resumes = template is not None
        self._new: NewFile | None = None
        self._good: set[int] = set()  # shards that are whole

    def begin(self, version: int | None) -> Places:
        """The images of the shards that are missing; all of a file that has no manifest."""
        return super().begin(version) if self._template else Output.begin(self, version)

    @abstractmethod
    def records(
        self, places: Places, pictures: list[bytes], shape: tuple[int, ...], version: int | None
    ) -> list[bytes]:
        """Each image as it stands in a shard."""

    @abstractmethod
    def is_whole(self, file: IO[bytes], places: Places) -> bool:
        """Whether a shard holds these images and nothing else.

        Raises:
            ValueError: it is damaged.
        """

    def encode(self, places: Places, outputs: Outputs, version: int | None) -> list[bytes]:
        """Records."""
        pictures = png.encode(outputs["images"], [self.image_set.text(place, version) for place in places.tolist()])
        return self.records(places, pictures, outputs["images"].shape[1:], version)

    def add(self, places: Places, encoded: Any, version: int | None) -> Sequence[Path]:
        """Write records; gives the shards that are whole by this."""
        if self._template:
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
                self._good.add(shard)
                self._new = None
                self.finished += stop - start
        return finished

    def finish(self) -> Sequence[Path]:
        """Complete the manifest, which is not among the results."""
        if self._template:
            self._complete()
        return []

    def discard(self) -> None:
        """Remove the shard that is not whole."""
        if self._new is not None:
            self._new.discard()
        super().discard()

    def plan(self, missing: Places) -> list[str]:
        """The shards; of many the first and the last."""
        shards = np.unique(missing // (self.shard or 1)).tolist()
        names = [str(self._path(shard)) for shard in shards]
        return names if len(names) <= 16 else [names[0], "…", names[-1]]

    def _path(self, shard: int) -> Path:
        return self._out.with_name(self._template.name(shard, self._count)) if self._template else self._out

    def _range(self, shard: int) -> tuple[int, int]:
        size = self.shard or 1
        return shard * size, min((shard + 1) * size, len(self.image_set))

    def _request(self) -> dict[str, Any]:
        return {"files": self._out.name, **self.image_set.request(), "shard_size": self.shard}

    def _missing(self, fresh: bool) -> Places:
        if not fresh:
            self._good = {shard for shard in range(self._count) if self._is_there(shard)}
        missing = [np.arange(*self._range(shard)) for shard in range(self._count) if shard not in self._good]
        return np.concatenate(missing) if missing else np.empty(0, np.int64)

    def _is_there(self, shard: int) -> bool:
        try:
            with self._path(shard).open("rb") as file:
                return self.is_whole(file, np.arange(*self._range(shard)))
        except (OSError, ValueError, LookupError, TypeError):  # the last two: of JSON that is another's
            return False

    def _clear(self) -> None:
        super()._clear()
        shard = self._count
        while os.path.exists(path := self._path(shard)):
            with writing(path):
                path.unlink(missing_ok=True)
            shard += 1

    def _entries(self) -> Iterator[dict[str, Any]]:
        for shard in sorted(self._good):
            start, stop = self._range(shard)
            entry = {"file": self._path(shard).name, "images": stop - start}
            yield {**entry, self.image_set.numbers_name: format_seeds(self.image_set.numbers[start:stop])}

    def _is_complete(self, files: int) -> bool:
        return files == self._count


class TarShards(Shards):
    """Shards for WebDataset."""

    ending = webdataset.END
    suffix = "png"
    """Of pictures."""

    def __init__(
        self, image_set: ImageSet, out: Path, template: Template | None, size: int | None, overwrite: bool
    ) -> None:
        """As `Shards`; besides, no image may be requested twice: readers take the name of an image for the image."""
        super().__init__(image_set, out, template, size, overwrite)
        if len(np.unique(image_set.seeds)) < len(image_set.seeds):
            raise UsageError("--seeds: found a seed twice, expected each once in a .tar, which tells images by names")

    def records(
        self, places: Places, pictures: list[bytes], shape: tuple[int, ...], version: int | None
    ) -> list[bytes]:
        """Members of a tar file."""
        return [
            webdataset.record(
                self.image_set.key(place),
                picture,
                self.image_set.about_json(place, version),
                self.image_set.label_of(place),
                self.image_set.text_of(place),
                self.suffix,
            )
            for place, picture in zip(places.tolist(), pictures, strict=True)
        ]

    def is_whole(self, file: IO[bytes], places: Places) -> bool:
        """Members by name and with their seeds; see `Shards.is_whole`."""
        classes = () if self.image_set.image_labels is None else ("cls",)
        suffixes = (self.suffix, *classes, *(("txt",) if self.image_set.texts else ()), "json")
        expected = ((place, suffix) for place in places.tolist() for suffix in suffixes)
        pairs = itertools.zip_longest(expected, webdataset.members(file), fillvalue=(0, ""))
        return all(self._fits(place, suffix, *member) for (place, suffix), member in pairs)

    def _fits(self, place: int, suffix: str, name: str, content: bytes) -> bool:
        """Whether a member is what an image has under a suffix."""
        key, mark = self.image_set.mark(place)
        if name != f"{self.image_set.key(place)}.{suffix}":
            return False
        if suffix == self.suffix:
            return self.is_whole_picture(content, key, mark)
        if suffix == "json":
            return str(json.loads(content)[key]) == mark
        said = self.image_set.label_of(place) if suffix == "cls" else self.image_set.text_of(place)
        return content == str(said).encode()

    def is_whole_picture(self, content: bytes, key: str, mark: str) -> bool:
        """Whether a picture is one that `encode` made, to its last byte."""
        return png.is_whole(content, key, mark)


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

    def is_whole(self, file: IO[bytes], places: Places) -> bool:
        """Examples with their seeds; see `Shards.is_whole`."""
        name, seeds = self.image_set.number_name, self.image_set.numbers[places].tolist()
        numbers = (tfrecord.number(name, seed) for seed in seeds)
        pairs = itertools.zip_longest(numbers, tfrecord.records(file))
        return all(None not in (number, record) and number in record for number, record in pairs)

    def _numbers(self, place: int) -> dict[str, bytes | int]:
        image_set = self.image_set
        numbers: dict[str, bytes | int] = {image_set.number_name: int(image_set.numbers[place])}
        if image_set.texts:
            numbers["text"] = (image_set.text_of(place) or "").encode()
        return numbers if image_set.image_labels is None else {**numbers, "label": int(image_set.image_labels[place])}
