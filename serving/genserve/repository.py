"""What lies on disk: the versions under a base path, which of them are wanted, and whether one's files changed.

Only looks, keeps nothing, loads nothing; model.py acts on what is found here.
Source: TF Serving's sources/storage_path/file_system_storage_path_source.cc.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path

Fingerprint = frozenset[tuple[str, int, int]]

_INTEGER = re.compile(r"[+-]?[0-9]+", re.ASCII)
_INT64 = range(-(2**63), 2**63)
MISSING_SHOWN = 10


@dataclass(frozen=True)
class Policy:
    """Which versions of a model are served: the latest few, all, or those that are named."""

    latest: int | None = 1
    specific: frozenset[int] | None = None

    def wanted(self, found: Mapping[int, Path]) -> dict[int, Path]:
        """Those of the versions found that should be served."""
        if self.specific is not None:
            return {version: path for version, path in found.items() if version in self.specific}
        newest = sorted(found, reverse=True)[: self.latest]
        return {version: found[version] for version in newest}

    def missing(self, found: Mapping[int, Path]) -> list[int]:
        """Versions that are asked for by number and are not there, the first few of them."""
        return nsmallest(MISSING_SHOWN, (self.specific or frozenset()) - found.keys())


LATEST = Policy()
ALL = Policy(latest=None)


def versions_on_disk(base_path: Path) -> dict[int, Path]:
    """Every child folder of `base_path` whose whole name is an integer (`00000123` is 123), by version.

    Of two names for one number the last in alphabetical order counts, as in TF Serving.

    Raises:
        OSError: the base path is missing or cannot be read.
    """
    found: dict[int, Path] = {}
    for child in sorted(base_path.iterdir()):
        if _INTEGER.fullmatch(child.name) and len(child.name) <= 20 and int(child.name) in _INT64 and child.is_dir():
            found[int(child.name)] = child
    return found


def fingerprint(version_path: Path) -> Fingerprint:
    """Name, size and time of change of everything under a version: two looks differ if a file was written between."""
    entries = set()
    for folder, _, files in os.walk(version_path):
        for name in [".", *files]:
            path = os.path.join(folder, name)
            try:
                stat = os.stat(path)
            except OSError:  # gone between the walk and the look: the next look differs
                continue
            entries.add((path, stat.st_size, stat.st_mtime_ns))
    return frozenset(entries)
