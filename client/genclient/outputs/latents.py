"""Latents that a user brings: a .npy file, or the same on stdin."""

from __future__ import annotations

import hashlib
import io
import os
import sys

import numpy as np
from numpy.lib import format as npy

from genclient.errors import ClientError, UsageError
from genclient.outputs.order import Latents
from genclient.rows import latents_array


def read_latents(path: str) -> Latents:
    """Latents (N, Z) of a .npy file; `-` is stdin.

    Raises:
        UsageError: they are none, or there is no file on stdin.
        ClientError: the file cannot be read.
    """
    name = "standard input" if path == "-" else path
    try:
        if path == "-":
            if sys.stdin is None or sys.stdin.isatty():
                raise UsageError("--latents -: found a terminal or nothing on stdin, expected a .npy file")
            array = npy.read_array(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)
        else:
            with open(path, "rb") as file:
                array = npy.read_array(file, allow_pickle=False)
    except OSError as error:
        raise ClientError(f"--latents: cannot read {name}: {error.strerror or error}") from None
    except (ValueError, EOFError, SyntaxError) as error:  # SyntaxError: of a damaged header
        raise UsageError(f"--latents: found {name}, which is no .npy file of numbers: {error}") from None
    try:
        numbers = latents_array(array)
    except UsageError as error:
        raise UsageError(f"--{error} in {name}") from None
    return Latents(os.path.basename(name), numbers, hashlib.sha256(np.ascontiguousarray(numbers).data).hexdigest())
