"""All images in one .npz archive, written while they come, so that memory does not grow with their number."""

from __future__ import annotations

import contextlib
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from genclient.files.whole import NewFile, writing
from genclient.latents.seeds import latents
from genclient.outputs.image_set import ImageSet
from genclient.outputs.output import Output, Outputs, Places
from genclient.outputs.translation import Translation


class Archive(Output):
    """Arrays `images` uint8 (N, H, W, C), or `clips` (N, T, H, W, C), and whatever else the model gives, `seeds` int64
    (N,) or `latents` float32 (N, Z), `labels` int32 (N,), `texts` (N,), and what made them: `truncation`, `model`, and
    `version` where it is known. Latents are not yet scaled.
    """

    def __init__(self, image_set: ImageSet, path: Path, z: int | None = None) -> None:
        """Take where to write it; with `z` the latents of seeds are written too."""
        super().__init__(image_set)
        self._path, self._z = path, z
        self._new: NewFile | None = None
        self._zip: zipfile.ZipFile | None = None
        self._images: IO[bytes] | None = None
        self._others: dict[str, list[NDArray[Any]]] = {}  # other outputs, which are kept until the images are written

    def encode(self, places: Places, outputs: Outputs, version: int | None) -> Outputs:
        """All outputs."""
        return outputs

    def add(self, places: Places, encoded: Any, version: int | None) -> Sequence[Path]:
        """Write images, and keep other outputs."""
        images = encoded["images"]
        if self._images is None:
            self._images = self._open((len(self.image_set), *images.shape[1:]))
            self.version = version
        with writing(self._path):
            self._images.write(np.ascontiguousarray(images).data)
        for name in encoded.keys() - {"images"}:
            self._others.setdefault(name, []).append(encoded[name])
        return []

    def finish(self) -> Sequence[Path]:
        """Write the other arrays and keep the file."""
        assert self._images is not None
        assert self._zip is not None
        assert self._new is not None
        with writing(self._path):
            self._images.close()
            for name, array in self._arrays().items():
                with self._member(name) as file:
                    npy.write_array(file, array, allow_pickle=False)
            self._zip.close()
        self._new.keep()
        return [self._path]

    def discard(self) -> None:
        """Remove an unfinished file."""
        for part in (self._images, self._zip):  # else they would write their ends later, to a file that is gone
            with contextlib.suppress(OSError, ValueError):
                if part is not None:
                    part.close()
        if self._new is not None:
            self._new.discard()

    def plan(self, missing: Places) -> list[str]:
        """The file."""
        return [str(self._path)]

    def _open(self, shape: tuple[int, ...]) -> IO[bytes]:
        self._new = NewFile(self._path)
        self._zip = zipfile.ZipFile(self._new.file, "w")
        with writing(self._path):
            member = self._member("clips" if len(shape) == 5 else "images")
            npy.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": shape})
        return member

    def _member(self, name: str) -> IO[bytes]:
        assert self._zip is not None
        # ZipInfo has a fixed date: the same images are the same bytes.
        return self._zip.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True)

    def _arrays(self) -> dict[str, NDArray[Any]]:
        image_set = self.image_set
        arrays: dict[str, NDArray[Any]] = {"seeds": image_set.numbers}
        if isinstance(image_set, Translation):
            arrays = {"names": np.asarray([original.name for original in image_set.originals])}
        elif image_set.latents is not None:
            arrays = {"latents": image_set.latents.array[image_set.numbers]}
        elif self._z is not None:
            arrays["latents"] = latents(image_set.numbers, self._z)
        if image_set.image_labels is not None:
            arrays["labels"] = image_set.image_labels.astype(np.int32)
        if image_set.texts:
            arrays["texts"] = np.asarray(image_set.texts_of(np.arange(len(image_set))))
        arrays.update({name: np.concatenate(parts) for name, parts in sorted(self._others.items())})
        if not isinstance(image_set, Translation):
            arrays["truncation"] = np.asarray(image_set.truncation, np.float64)
        arrays["model"] = np.asarray(image_set.model)
        if self.version is not None:
            arrays["version"] = np.asarray(self.version, np.int64)
        return arrays
