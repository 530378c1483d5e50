"""A folder with one PNG file for each image, or files named by a template; and a manifest beside them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genclient.errors import UsageError
from genclient.files.whole import save_bytes
from genclient.outputs import png
from genclient.outputs.fileset import FileSet
from genclient.outputs.image_set import ImageSet
from genclient.outputs.manifest import Manifest
from genclient.outputs.output import Outputs, Places
from genclient.outputs.template import Template


class Pictures(FileSet):
    """One file an image. A later run adds what is missing, further seeds too."""

    grows = True

    def __init__(self, image_set: ImageSet, folder: Path, template: Template | None, overwrite: bool) -> None:
        """Take where they go: a folder, or a template with the number of the seed in it.

        Raises:
            UsageError: the template has one name for several images.
        """
        if template and (image_set.labels or image_set.rows > 1):
            several = "labels" if image_set.labels else "texts"
            raise UsageError(
                f"--out: found {template.text}, which names one file a seed, beside several {several}; expected a "
                "folder, an archive or shards"
            )
        super().__init__(image_set, folder / (template.manifest_name if template else "manifest.json"), overwrite)
        self._folder, self._template = folder, template
        self._whole = image_set.once()  # later with the seeds of earlier runs
        self._good: set[str] = set()  # names of files that are whole

    def encode(self, places: Places, outputs: Outputs, version: int | None) -> list[bytes]:
        """PNG files."""
        return png.encode(outputs["images"], [self.image_set.text(place, version) for place in places.tolist()])

    def add(self, places: Places, encoded: Any, version: int | None) -> Sequence[Path]:
        """Write pictures; gives their paths."""
        self._start(version)
        names = [self._name(self.image_set, place) for place in places.tolist()]
        for name, content in zip(names, encoded, strict=True):
            save_bytes(self._folder / name, content, flush=False)  # a later run looks into it
            self._good.add(name)
            self.finished += 1
        return [self._folder / name for name in names]

    def is_whole(self, content: bytes, key: str, value: str) -> bool:
        """Whether a file is one that `encode` made of the image with this mark, to its last byte."""
        return png.is_whole(content, key, value)

    def finish(self) -> Sequence[Path]:
        """Complete the manifest, which is not among the results."""
        self._complete()
        return []

    def plan(self, missing: Places) -> list[str]:
        """The pictures; of many the first and the last."""
        shown = missing if len(missing) <= 16 else missing[[0, -1]]
        names = [str(path) for path in self._paths(self.image_set, shown.tolist())]
        return names if len(missing) <= 16 else [names[0], "…", names[1]]

    def _paths(self, image_set: ImageSet, places: Iterable[int]) -> Iterator[Path]:
        return (self._folder / self._name(image_set, place) for place in places)

    def _name(self, image_set: ImageSet, place: int) -> str:
        return self._template.name(int(image_set.numbers[place])) if self._template else image_set.picture_name(place)

    def _once(self) -> Places:
        """All images, but of those with the same name only the first."""
        seeds = self.image_set.seeds
        first = np.sort(np.unique(seeds, return_index=True)[1])
        each = np.arange(self.image_set.rows)[:, None] * len(seeds)
        return (each + first).reshape(-1)

    def _missing(self, fresh: bool) -> Places:
        places = self._once()
        if fresh:
            return places
        self._look_into(self._whole)
        return places[[self._name(self.image_set, place) not in self._good for place in places.tolist()]]

    def _look_into(self, image_set: ImageSet) -> None:
        """Find the files of a set that are whole."""
        for place in range(len(image_set)):
            name = self._name(image_set, place)
            if name in self._good:
                continue
            with contextlib.suppress(OSError):
                if self.is_whole((self._folder / name).read_bytes(), *image_set.mark(place)):
                    self._good.add(name)

    def _go_on_with(self, old: Manifest, version: int | None) -> None:
        super()._go_on_with(old, version)
        self._whole = self._whole.joined(old.request)

    def _request(self) -> dict[str, Any]:
        name = self._template.text if self._template else self.image_set.file_pattern()
        return {"files": os.path.basename(name), **self._whole.request()}

    def _entries(self) -> Iterator[dict[str, Any]]:
        """An entry for each file that is there, of other runs too."""
        image_set = self._whole
        self._look_into(image_set)
        for place in range(len(image_set)):
            name = self._name(image_set, place)
            if name in self._good:
                yield {"file": name, **image_set.entry(place)}

    def _is_complete(self, files: int) -> bool:
        return files == len(self._whole)
