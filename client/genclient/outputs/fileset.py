"""Several files of one request and the manifest beside them: what is there is gone on with, another's is left alone.

What a name promises is looked for inside the file: a file of this name that is damaged is made anew.
"""

from __future__ import annotations

import contextlib
import os
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from genclient.errors import ClientError
from genclient.files.whole import writing
from genclient.outputs import manifest
from genclient.outputs.claim import Claim
from genclient.outputs.image_set import ImageSet
from genclient.outputs.manifest import Manifest
from genclient.outputs.names import file_names
from genclient.outputs.output import Output, Places


class FileSet(Output):
    """A place with a manifest.

    Attributes:
        grows: whether a later request may have more images.
    """

    resumes = True
    grows = False

    def __init__(self, image_set: ImageSet, path: Path, overwrite: bool) -> None:
        """Take the manifest's path, and whether another set may go."""
        super().__init__(image_set)
        self._manifest, self._overwrite = path, overwrite
        self._claim = Claim(path.parent, path.name)
        self._existing: Manifest | None = None  # as it was when last looked at
        self._old: Manifest | None = None  # that is gone on with
        self._begun = False

    def begin(self, version: int | None) -> Places:
        """The images that are missing."""
        super().begin(version)
        self._existing = old = manifest.read(self._manifest)
        if old is None or (self._overwrite and not manifest.is_begun(old, self._request(), version)):
            return self._missing(fresh=True)
        self._go_on_with(old, version)
        return self._missing(fresh=False)

    def discard(self) -> None:
        """Let others have it."""
        self._claim.release()

    @abstractmethod
    def _missing(self, fresh: bool) -> Places:
        """The images that are not there; all where it begins afresh."""

    @abstractmethod
    def _request(self) -> dict[str, Any]:
        """This request, merged with those of earlier runs."""

    @abstractmethod
    def _entries(self) -> Iterator[dict[str, Any]]:
        """An entry for each file that is there."""

    @abstractmethod
    def _is_complete(self, files: int) -> bool:
        """Whether so many files are all of them."""

    def _go_on_with(self, old: Manifest, version: int | None) -> None:
        """Take an old set for this one.

        Raises:
            UsageError: it is another.
        """
        manifest.check(self._manifest, old, self._request(), version, self.image_set.growing if self.grows else None)
        self._existing = self._old = old
        self.version = version if old.version is None else old.version

    def _start(self, version: int | None) -> None:
        """Before the first images: write down what they are. What else has their names goes, lest it pass for them."""
        if self._old is not None:
            manifest.check_version(self._manifest, self._old.version, version)
        if self._begun:
            return
        self._begun = True
        with self._claim.changing():
            self._claim.share()
            self._look_again(version)
            self.version = version
            if self._old is None:
                self._clear()
            if not self._write(Manifest(self._request(), version, False), (), new=self._existing is None):
                self._look_again(version)  # there are no locks here, and another was quicker

    def _look_again(self, version: int | None) -> None:
        """Others may have been here since `begin`: then this is to be what they make, too."""
        now = manifest.read(self._manifest)
        if now is None and self._existing is not None:
            raise ClientError(f"{self._manifest}: removed while this was running; run the same command again")
        if now is not None and now != self._existing:
            self._go_on_with(now, version)

    def _clear(self) -> None:
        """Remove the files of another set that is to go, and what has the names of this one's."""
        if self._existing is not None and not self._claim.alone():
            raise ClientError(f"{self._manifest}: another genclient is writing there; let it end first")
        there = {"": _listed(self._manifest.parent)}  # by folder: of a million names few may be there, or none
        if all(name.startswith(".genclient-") for name in there[""]):
            return
        for request in (self._request(), *([] if self._existing is None else [self._existing.request])):
            for name in file_names(request):
                folder, base = os.path.split(name)
                if folder not in there:
                    there[folder] = _listed(self._manifest.parent / folder)
                if base in there[folder]:
                    self._remove(self._manifest.parent / name, in_folder=bool(folder))

    def _remove(self, path: Path, in_folder: bool) -> None:
        with writing(path):
            path.unlink(missing_ok=True)
        if in_folder:
            with contextlib.suppress(OSError):  # a folder of a class, once it is empty
                path.parent.rmdir()

    def _write(self, current: Manifest, entries: Iterable[Mapping[str, Any]], *, new: bool = False) -> bool:
        """Write the manifest, unless it is the same already; False where it was to be new and is there by now."""
        if self._old != current:
            if not manifest.write(self._manifest, current, entries, new=new):
                return False
            self._existing = self._old = current
        return True

    def _complete(self) -> None:
        """Once all images came: the manifest with an entry for each file."""
        with self._claim.changing():
            self._look_again(self.version)
            entries = list(self._entries())
            self._write(Manifest(self._request(), self.version, self._is_complete(len(entries))), entries)


def _listed(folder: Path) -> set[str]:
    """Names of what is in a folder; none where there is no such folder."""
    try:
        with writing(folder):
            return set(os.listdir(folder))
    except ClientError:
        if folder.is_dir():
            raise
        return set()
