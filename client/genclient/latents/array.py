"""Latents that are given as arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from genclient.errors import UsageError


def latents_array(latents: ArrayLike) -> NDArray[np.float32]:
    """Given latents as float32 (N, Z).

    Raises:
        UsageError: they are not finite numbers (N, Z), or none.
    """
    array = np.asarray(latents)
    if array.ndim != 2 or not array.size or array.dtype.kind not in "fiu":
        raise UsageError(f"latents: found {array.dtype} {array.shape}, expected numbers (N, Z) with N and Z above 0")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32, copy=False)
    if not np.isfinite(array).all():
        raise UsageError("latents: found values that are not finite in float32, expected finite numbers")
    return array
