"""A folder with one PNG file for each image, or files named by a template; and a manifest beside them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genclient.errors import UsageError
from genclient.files import save_bytes, sweep, writing
from genclient.outputs import manifest, png
from genclient.outputs.manifest import Manifest
from genclient.outputs.order import Order
from genclient.outputs.output import Output, Places
from genclient.outputs.template import Template
from genclient.seeds import parse_seeds


class Pictures(Output):
    """One file an image. A later run adds what is missing, further seeds too."""

    resumes = True

    def __init__(self, order: Order, folder: Path, template: Template | None, overwrite: bool) -> None:
        """Take where they go: a folder, or a template with the number of the seed in it.

        Raises:
            UsageError: the template has one name for several images.
        """
        super().__init__(order)
        if template and order.labels:
            raise UsageError(
                f"--out: found {template.text}, which names one file a seed, beside several labels; expected a folder, "
                "an archive or shards"
            )
        self._folder, self._template, self._overwrite = folder, template, overwrite
        self._manifest = folder / (template.manifest_name if template else "manifest.json")
        self._old: Manifest | None = None
        self._whole = replace(order, seeds=np.unique(order.seeds))  # later with the seeds of earlier runs
        self._begun = False

    def begin(self, version: int | None) -> Places:
        """The images whose files are missing."""
        super().begin(version)
        found = manifest.read(self._manifest)
        places = self._once()
        if found is None or (self._overwrite and not manifest.is_begun(found, self._request(), version)):
            return places
        manifest.check(self._manifest, found, self._request(), version, growing="seeds")
        self._old, self.version = found, version if found.version is None else found.version
        self._whole = replace(self.order, seeds=_union(found.request.get("seeds"), self.order.seeds))
        there = self._there()
        if not there:
            return places
        return places[[self._name(self.order, place) not in there for place in places.tolist()]]

    def encode(self, places: Places, images: NDArray[np.uint8], version: int | None) -> list[bytes]:
        """PNG files."""
        return png.encode(images, [self.order.text(place, version) for place in places.tolist()])

    def add(self, places: Places, encoded: Any, version: int | None) -> Sequence[Path]:
        """Write pictures; gives their paths."""
        self._start(version)
        paths = list(self._paths(self.order, places.tolist()))
        for path, content in zip(paths, encoded, strict=True):
            save_bytes(path, content)
            self.finished += 1
        return paths

    def finish(self) -> Sequence[Path]:
        """Complete the manifest, which is not among the results."""
        entries = list(self._entries())
        complete = Manifest(self._request(), self.version, len(entries) == len(self._whole))
        if self._old != complete:
            manifest.write(self._manifest, complete, entries)
        return []

    def discard(self) -> None:
        """Each file is finished at once."""

    def plan(self, missing: Places) -> list[str]:
        """The pictures; of many the first and the last."""
        shown = missing if len(missing) <= 16 else missing[[0, -1]]
        names = [str(path) for path in self._paths(self.order, shown.tolist())]
        return names if len(missing) <= 16 else [names[0], "…", names[1]]

    def _paths(self, order: Order, places: Iterable[int]) -> Iterator[Path]:
        return (self._folder / self._name(order, place) for place in places)

    def _name(self, order: Order, place: int) -> str:
        return self._template.name(int(order.numbers[place])) if self._template else order.picture_name(place)

    def _once(self) -> Places:
        """All images, but of those with the same name only the first."""
        seeds = self.order.seeds
        first = np.sort(np.unique(seeds, return_index=True)[1])
        each = np.arange(max(1, len(self.order.labels)))[:, None] * len(seeds)
        return (each + first).reshape(-1)

    def _there(self) -> set[str]:
        """Names of the files that are there, in folders of classes too."""
        names: set[str] = set()
        for folder in {os.path.dirname(self._name(self._whole, place)) for place in self._one_of_each_class()}:
            with contextlib.suppress(OSError), os.scandir(self._folder / folder) as entries:
                names.update(f"{folder}/{entry.name}" if folder else entry.name for entry in entries)
        return names

    def _one_of_each_class(self) -> range:
        return range(0, len(self._whole), len(self._whole.seeds))

    def _request(self) -> dict[str, Any]:
        name = self._template.text if self._template else f"{self.order.number_name}%04d.png"
        return {"files": os.path.basename(name), **self._whole.request()}

    def _start(self, version: int | None) -> None:
        """Before the first images: write down what they are. What else has their names goes, lest it pass for them."""
        if self._old is not None:
            manifest.check_version(self._manifest, self._old.version, version)
        if self._begun:
            return
        self._begun, self.version = True, version
        sweep(self._folder)
        there = self._there() if self._old is None else ()
        for place in range(len(self.order)) if there else ():
            if self._name(self.order, place) in there:
                path = self._folder / self._name(self.order, place)
                with writing(path):
                    path.unlink(missing_ok=True)
        begun = Manifest(self._request(), version, False)
        if self._old != begun:
            manifest.write(self._manifest, begun, ())
        self._old = begun

    def _entries(self) -> Iterator[dict[str, Any]]:
        """An entry for each file that is there, of earlier runs too."""
        order, there = self._whole, self._there()
        for place in range(len(order)):
            name = self._name(order, place)
            if name in there:
                entry: dict[str, Any] = {"file": name, order.number_name: int(order.numbers[place])}
                yield entry if order.image_labels is None else {**entry, "label": int(order.image_labels[place])}


def _union(old: object, seeds: NDArray[np.int64]) -> NDArray[np.int64]:
    """All seeds of an old set and of this one, each once, from low to high."""
    if not isinstance(old, str):
        raise UsageError(f"--out: found a manifest with seeds {old!r:.40}, expected a list such as 0,3-5")
    return np.union1d(parse_seeds(old), seeds)
