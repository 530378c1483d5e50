"""Does a file give the generator's images? Differences against Keras, and the limits that a version must keep."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from genexport.errors import ExportError

EXAMPLES = 256


@dataclass(frozen=True)
class Limit:
    """The most that pixels in [0, 1] may differ, or the least peak signal-to-noise ratio in dB."""

    max_error: float | None = None
    min_psnr_db: float | None = None


LIMITS = {
    "savedmodel": Limit(max_error=1e-5),
    "float32": Limit(max_error=1e-5),
    "dynamic": Limit(min_psnr_db=40.0),
}

# uint8 pixels, PNG and seeds come out of the same graph; they may differ from Keras by the rounding alone.
ROUNDED = Limit(max_error=0.5 / 255 + 1e-5)


@dataclass(frozen=True)
class Difference:
    """How far images in [0, 1] are from the generator's."""

    max_error: float
    mean_error: float
    psnr_db: float | None  # None: no difference at all

    def as_json(self) -> dict[str, float | None]:
        """For the manifest."""
        return asdict(self)


def compare(images: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> Difference:
    """Differences of two float (N, H, W, C) in [0, 1]; values that are not finite count as infinitely far."""
    if images.shape != expected.shape:
        raise ExportError(f"images of shape {images.shape} where Keras gives {expected.shape}")
    error = np.abs(images.astype(np.float64) - expected)
    error[~np.isfinite(error)] = np.inf
    square = float(np.mean(error**2))
    psnr = -10 * np.log10(square) if 0 < square < np.inf else None if square == 0 else -np.inf
    return Difference(float(error.max()), float(error.mean()), None if psnr is None else float(psnr))


def check(name: str, difference: Difference, limit: Limit) -> None:
    """Raise ExportError, by how much, where a difference is past its limit."""
    if limit.max_error is not None and not difference.max_error <= limit.max_error:
        raise ExportError(
            f"{name}: pixels differ from Keras by {difference.max_error:.2g}, limit {limit.max_error:.2g}"
        )
    psnr = np.inf if difference.psnr_db is None else difference.psnr_db
    if limit.min_psnr_db is not None and not psnr >= limit.min_psnr_db:
        raise ExportError(f"{name}: {psnr:.1f} dB PSNR against Keras, limit {limit.min_psnr_db:.1f} dB")
