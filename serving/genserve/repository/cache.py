"""Local copies of versions that lie in a bucket: downloaded and verified before loading, deleted after unloading.

TensorFlow Serving reads buckets through TensorFlow's file systems; the pip package has none for S3. A version that is
incomplete, or changes during the copy, is rejected with a reason and retried like any version that fails to load.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import tempfile
import threading
from pathlib import Path

import grpc

from genserve.errors import ServeError, not_found
from genserve.repository.bucket import BucketPath, File

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"  # genexport's: SHA-256 and size of every other file


class Cache:
    """A folder of copies, under the system's folder for temporary files; one for each server."""

    def __init__(self) -> None:
        """Make no folder yet."""
        self._folder: Path | None = None
        self._lock = threading.Lock()

    def fetch(self, path: BucketPath) -> Path:
        """Copy a version.

        Raises:
            ServeError: NOT_FOUND where nothing is there, UNAVAILABLE where it cannot be fetched, DATA_LOSS where it is
                not whole.
        """
        try:
            folder = Path(tempfile.mkdtemp(prefix="version-", dir=self._place()))
        except OSError as error:
            raise ServeError(grpc.StatusCode.UNAVAILABLE, f"no room for a copy of {path}: {error}") from error
        try:
            return self._fetch(path, folder)
        except OSError as error:
            self.remove(folder)
            code = grpc.StatusCode.NOT_FOUND if isinstance(error, FileNotFoundError) else grpc.StatusCode.UNAVAILABLE
            raise ServeError(code, f"could not fetch {path}: {error.strerror or error}") from error
        except BaseException:
            self.remove(folder)
            raise

    def remove(self, folder: Path) -> None:
        """Remove a copy."""
        shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Remove all copies."""
        with self._lock:
            if self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder = None

    def _place(self) -> Path:
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="genserve-"))
            return self._folder

    def _fetch(self, path: BucketPath, folder: Path) -> Path:
        files = path.files()
        if not files:
            raise not_found(f"there is no file under {path}")
        log.info("fetching %s: %d files, %.1f MB", path, len(files), sum(file.size for file in files.values()) / 1e6)
        path.fetch(list(files), folder)
        if path.files() != files:
            raise ServeError(grpc.StatusCode.UNAVAILABLE, f"{path} was written to while it was fetched")
        check(folder, files)
        return folder


def check(folder: Path, files: dict[str, File]) -> None:
    """Compare a copy with the listing, and with the version's manifest where it has one.

    Raises:
        ServeError: DATA_LOSS, naming the file that is not as it should be.
    """
    for name, file in files.items():
        found = (folder / name).stat().st_size if (folder / name).is_file() else 0
        if found != file.size:
            raise ServeError(grpc.StatusCode.DATA_LOSS, f"{name}: fetched {found} bytes of {file.size}")
    if MANIFEST in files:
        _check_manifest(folder)


def _check_manifest(folder: Path) -> None:
    try:
        listed = json.loads((folder / MANIFEST).read_bytes())["files"]
        digests = {str(name): str(entry["sha256"]) for name, entry in listed.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return  # somebody else's file of that name
    for name, expected in digests.items():
        file = folder / name
        if not file.is_file():
            raise ServeError(grpc.StatusCode.DATA_LOSS, f"{name} is in {MANIFEST}, but not there (yet)")
        if sha256(file) != expected:
            raise ServeError(grpc.StatusCode.DATA_LOSS, f"{name} is not the file of which {MANIFEST} has the SHA-256")


def sha256(file: Path) -> str:
    """A file's SHA-256 in hexadecimal."""
    digest = hashlib.sha256()
    with open(file, "rb") as content:
        while chunk := content.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
