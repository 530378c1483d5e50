"""Latents that a user brings: a .npy file or sample's own archive, or the same on stdin."""

from __future__ import annotations

import hashlib
import io
import os
import sys
import zipfile
import zlib
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from genclient.errors import ClientError, UsageError
from genclient.latents.array import latents_array

_METADATA = {"truncation": "f", "labels": "iu", "model": "U", "version": "iu"}


@dataclass(frozen=True)
class Latents:
    """Given latents float32 (N, Z): where they are from, the SHA-256 of their bytes, and what an archive says of them.

    Attributes:
        name: of the file.
        array: not yet scaled.
        sha256: of its bytes.
        truncation: factor that the archive's images were made with, as `labels` (N,), `model` and `version`.
    """

    name: str
    array: NDArray[np.float32]
    sha256: str
    truncation: float | None = None
    labels: NDArray[np.int64] | None = None
    model: str | None = None
    version: int | None = None


def read_latents(path: str) -> Latents:
    """Latents (N, Z) of a .npy file or of an archive that `sample --save-latents` wrote; `-` is stdin.

    Raises:
        UsageError: they are none, or there is no file on stdin.
        ClientError: the file cannot be read.
    """
    name = "standard input" if path == "-" else path
    try:
        if path == "-":
            if sys.stdin is None or sys.stdin.isatty():
                raise UsageError("--latents -: found a terminal or nothing on stdin, expected a .npy file")
            arrays = _arrays(io.BytesIO(sys.stdin.buffer.read()), name)
        else:
            with open(path, "rb") as file:
                arrays = _arrays(file, name)
    except OSError as error:
        raise ClientError(f"--latents: cannot read {name}: {error.strerror or error}") from None
    except (ValueError, EOFError, SyntaxError, zipfile.BadZipFile, zlib.error) as error:  # of a damaged header
        raise UsageError(f"--latents: found {name}, which is no .npy file of numbers: {error}") from None
    try:
        numbers = latents_array(arrays["latents"])
    except UsageError as error:
        raise UsageError(f"--{error} in {name}") from None
    sha256 = hashlib.sha256(np.ascontiguousarray(numbers).data).hexdigest()
    return Latents(os.path.basename(name), numbers, sha256, **_metadata(arrays, name))


def _arrays(file: IO[bytes], name: str) -> dict[str, NDArray[Any]]:
    """The array `latents`, and what stands beside it."""
    start = file.read(2)
    file.seek(0)
    if start != b"PK":
        return {"latents": npy.read_array(file, allow_pickle=False)}
    with np.load(file, allow_pickle=False) as archive:
        if "latents" not in archive.files:
            found = ", ".join(archive.files)[:100]
            raise UsageError(f"--latents: found no latents in {name}, only {found}; sample --save-latents writes them")
        return {key: archive[key] for key in ("latents", *_METADATA) if key in archive.files}


def _metadata(arrays: dict[str, NDArray[Any]], name: str) -> dict[str, Any]:
    for key, kinds in _METADATA.items():
        size = len(arrays["latents"]) if key == "labels" else 1
        if key in arrays and (arrays[key].dtype.kind not in kinds or arrays[key].size != size):
            raise UsageError(f"--latents: found {key} {arrays[key].dtype} {arrays[key].shape} in {name}")
    return {
        key: arrays[key].astype(np.int64) if key == "labels" else arrays[key].item()
        for key in _METADATA
        if key in arrays
    }
