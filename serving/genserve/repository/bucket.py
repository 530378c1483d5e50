"""Folders in a bucket, `s3://` or `gs://`: lists subfolders and files, and downloads files.

Uses fsspec with s3fs and gcsfs, which find credentials the way Amazon's and Google's own tools do. versions.py knows
what a version is, cache.py where its copy lies.
Source: TensorFlow's core/platform/s3/s3_file_system.cc for the S3_ variables.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genserve.errors import failed_precondition, invalid_argument

PACKAGES = {"s3": "s3fs", "gs": "gcsfs"}
CONNECT_SECONDS, READ_SECONDS, TRIES = 5, 60, 2

for library in ("gcsfs", "google", "s3fs", "botocore", "aiobotocore"):  # what they log is raised too, and logged here
    logging.getLogger(library).setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class File:
    """A file in a bucket: its size in bytes, and what changes whenever it is written."""

    size: int
    mark: str


@dataclass(frozen=True, order=True)
class BucketPath:
    """A folder in a bucket: `s3://BUCKET/FOLDER` or `gs://BUCKET/FOLDER`, without a slash at the end."""

    url: str

    def __str__(self) -> str:
        return self.url

    @property
    def name(self) -> str:
        """The last part of it."""
        return self.url.rpartition("/")[2]

    def folders(self) -> list[BucketPath]:
        """The folders in this one.

        Raises:
            OSError: nothing is there, or the bucket cannot be read.
        """
        with _plain_errors(self):
            entries = self._files().ls(self._key, detail=True, refresh=True)
        names = {entry["name"].rstrip("/") for entry in entries if entry["type"] == "directory"}
        return sorted(BucketPath(f"{self.url}/{name.rpartition('/')[2]}") for name in names if name != self._key)

    def files(self) -> dict[str, File]:
        """Every file under it by the rest of its name, such as `variables/variables.index`.

        Raises:
            OSError: the bucket cannot be read, or a name leads out of the folder.
        """
        with _plain_errors(self):
            entries = self._files().find(self._key, detail=True)
        found = {}
        for key, entry in entries.items():
            name = key.removeprefix(f"{self._key}/")
            if name.endswith("/") or key.rstrip("/") == self._key:
                continue  # an empty object that stands for a folder
            if any(part in ("", ".", "..") for part in name.split("/")):
                raise OSError(errno.EINVAL, f"{name!r} is no name of a file in a folder")
            mark = entry.get("ETag") or entry.get("etag") or entry.get("generation") or ""
            found[name] = File(int(entry["size"]), str(mark))
        return found

    def fetch(self, names: list[str], folder: Path) -> None:
        """Copy files into a folder, under their names.

        Raises:
            OSError: one of them cannot be read, or written.
        """
        targets = [folder / name for name in names]
        for parent in {target.parent for target in targets}:
            parent.mkdir(parents=True, exist_ok=True)
        with _plain_errors(self):
            self._files().get([f"{self._key}/{name}" for name in names], [str(target) for target in targets])

    @property
    def _key(self) -> str:
        return self.url.partition("://")[2]

    def _files(self) -> Any:
        """Of fsspec, which keeps one for each scheme; without its cache of listings, as others write here."""
        # Else gcsfs asks of every bucket whether it is of an experimental kind.
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        import fsspec

        scheme = self.url.partition("://")[0]
        options = s3_options(os.environ) if scheme == "s3" else {}
        return fsspec.filesystem(scheme, use_listings_cache=False, **options)


def is_bucket(text: str) -> bool:
    """Whether a base path is in a bucket."""
    return text.partition("://")[0] in PACKAGES and "://" in text


def parse(text: str) -> BucketPath:
    """The folder that a URL names.

    Raises:
        ServeError: INVALID_ARGUMENT where it names no bucket, FAILED_PRECONDITION where the package for it is missing.
    """
    scheme, _, key = text.partition("://")
    key = key.strip("/")
    if not key:
        raise invalid_argument(f"{text}: expected a bucket and a folder in it, such as {scheme}://models/digits")
    package = PACKAGES[scheme]
    if importlib.util.find_spec(package) is None:
        raise failed_precondition(
            f"{text} needs {package}, which is not installed; in genline's checkout: pip install '.[cloud]'"
        )
    return BucketPath(f"{scheme}://{key}")


def s3_options(environment: Mapping[str, str]) -> dict[str, Any]:
    """Settings for s3fs beyond what botocore reads by itself (AWS_ENDPOINT_URL, AWS_PROFILE, AWS_ACCESS_KEY_ID …).

    TensorFlow's variables: AWS_REGION or S3_REGION; S3_ENDPOINT, a host and port, or a URL; S3_USE_HTTPS=0 for http
    there; S3_VERIFY_SSL=0; S3_CA_FILE. AWS_ENDPOINT_URL and AWS_ENDPOINT_URL_S3 go before S3_ENDPOINT.
    """
    client: dict[str, Any] = {}
    if region := environment.get("AWS_REGION") or environment.get("S3_REGION"):
        client["region_name"] = region
    own = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL")
    endpoint = environment.get("S3_ENDPOINT")
    if endpoint and not own:
        scheme = "http" if environment.get("S3_USE_HTTPS") == "0" else "https"
        client["endpoint_url"] = endpoint if "://" in endpoint else f"{scheme}://{endpoint}"
    if environment.get("S3_VERIFY_SSL") == "0":
        client["verify"] = False
    elif authority := environment.get("S3_CA_FILE"):
        client["verify"] = authority
    return {
        "client_kwargs": client,
        "config_kwargs": {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"total_max_attempts": TRIES},
        },
    }


@contextlib.contextmanager
def _plain_errors(path: BucketPath) -> Iterator[None]:
    """Whatever a cloud's library raises as an OSError of one line: botocore's and Google's errors are none."""
    try:
        yield
    except FileNotFoundError as error:
        raise FileNotFoundError(errno.ENOENT, "No such file or directory") from error
    except Exception as error:
        line = str(error).strip().split("\n", 1)[0] or type(error).__name__
        raise OSError(getattr(error, "errno", None) or errno.EIO, line) from error
