"""The versions under a base path, on disk or in a bucket: which exist, which a policy selects, which files changed.

Reads only; model.py acts on the result.
Source: TF Serving's sources/storage_path/file_system_storage_path_source.cc.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path

from genserve.errors import invalid_argument
from genserve.repository import bucket
from genserve.repository.bucket import BucketPath

Place = Path | BucketPath
Fingerprint = frozenset[tuple[str, int, int | str]]

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INT64 = range(-(2**63), 2**63)
MAX_MISSING = 10  # that a warning names


@dataclass(frozen=True)
class Policy:
    """Which versions of a model are served: the latest few, all, or those that are named."""

    latest: int | None = 1
    specific: frozenset[int] | None = None

    def select(self, found: Mapping[int, Place]) -> dict[int, Place]:
        """Those of the versions found that should be served."""
        if self.specific is not None:
            return {version: path for version, path in found.items() if version in self.specific}
        newest = sorted(found, reverse=True)[: self.latest]
        return {version: found[version] for version in newest}

    def missing(self, found: Mapping[int, Place]) -> list[int]:
        """Versions that are asked for by number and are not there, the first few of them."""
        return nsmallest(MAX_MISSING, (self.specific or frozenset()) - found.keys())


LATEST = Policy()
ALL = Policy(latest=None)


def place(base_path: str) -> Place:
    """The folder that a base path or URL names, as it stands there.

    Raises:
        ServeError: INVALID_ARGUMENT for another URL than file://, s3:// or gs:// with a bucket, FAILED_PRECONDITION
            where the package for it is missing.
    """
    if bucket.is_bucket(base_path):
        return bucket.parse(base_path)
    path = base_path.removeprefix("file://")
    if "://" in path:
        raise invalid_argument(f"{path}: only local folders, s3:// and gs:// are served")
    return Path(path)


def versions_in(base_path: Place) -> dict[int, Place]:
    """Every child folder of `base_path` whose whole name is an integer (`00000123` is 123), by version.

    Of two names for one number the last in alphabetical order counts, as in TF Serving.

    Raises:
        OSError: the base path is missing or cannot be read.
    """
    folders: list[Place] = []
    if isinstance(base_path, BucketPath):
        folders += base_path.folders()
    else:
        folders += [child for child in sorted(base_path.iterdir()) if is_version(child.name) and child.is_dir()]
    return {int(folder.name): folder for folder in folders if is_version(folder.name)}


def is_version(name: str) -> bool:
    """Whether a folder's name is a version's number, of 64 bits."""
    return bool(_INTEGER.fullmatch(name)) and len(name) <= 20 and int(name) in _INT64


def fingerprint(version_path: Place) -> Fingerprint:
    """Name, size and time of change of everything under a version: two looks differ if a file was written between."""
    if isinstance(version_path, BucketPath):
        try:
            files = version_path.files()
        except OSError:  # as below
            return frozenset()
        return frozenset((name, file.size, file.mark) for name, file in files.items())
    entries: set[tuple[str, int, int | str]] = set()
    for folder, _, names in os.walk(version_path):
        for name in [".", *names]:
            path = os.path.join(folder, name)
            try:
                stat = os.stat(path)
            except OSError:  # gone between the walk and the look: the next look differs
                continue
            entries.add((path, stat.st_size, stat.st_mtime_ns))
    return frozenset(entries)
