"""Does a file give the generator's images? Differences against Keras, and the limits that a version must keep."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from genexport.errors import CannotBeMade, ExportError

EXAMPLES = 256

FLOATS = 1e-5
"""What float32 files and the SavedModel may differ by where the generator's own rounding says no more."""

ROUNDING = 0.5 / 255
PIXELS = ("uint8", "png", "seeds", "text")
"""Signatures that give whole pixels, out of the same graph: they may differ from Keras by `ROUNDING` besides."""


@dataclass(frozen=True)
class Limit:
    """The most that pixels in [0, 1] may differ, the least peak signal-to-noise ratio, the most FD may rise."""

    max_error: float | None = None
    min_psnr_db: float | None = None
    frechet_rise: float | None = None


@dataclass(frozen=True)
class Limits:
    """What every file of a version has to keep. Maximal errors of pixels in [0, 1], PSNR in dB, shares.

    `savedmodel` and `float32` are `FLOATS` unless given, or what `over` finds to be a matter of rounding. `int8_spread`
    is the root mean square error of int8 and micro as a share of the pictures' standard deviation.
    """

    savedmodel: float | None = None
    float32: float | None = None
    float16: float = 5e-3
    dynamic_db: float = 40.0
    int8_db: float = 30.0
    int8_spread: float = 0.5
    frechet_rise: float = 0.10

    def over(self, rounding: float) -> Limits:
        """With the two that were not given: `FLOATS`, or `rounding` where that is more, half a grey level at most."""
        least = max(FLOATS, min(rounding, ROUNDING))
        return replace(
            self,
            savedmodel=least if self.savedmodel is None else self.savedmodel,
            float32=least if self.float32 is None else self.float32,
        )

    def of(self, what: str) -> Limit:
        """The limit of `savedmodel`, `savedmodel/SIGNATURE`, `tflite/VARIANT` or `onnx/VARIANT`, as in a manifest.

        Raises:
            KeyError: of none of these.
        """
        kind, _, part = what.partition("/")
        exact = self.over(0.0)
        if kind == "savedmodel":
            assert exact.savedmodel is not None
            return Limit(max_error=exact.savedmodel + (ROUNDING if part in PIXELS else 0))
        known = {
            "float32": Limit(max_error=exact.float32),
            "float16": Limit(max_error=self.float16),
            "dynamic": Limit(min_psnr_db=self.dynamic_db),
            "int8": Limit(min_psnr_db=self.int8_db),
            "micro": Limit(min_psnr_db=self.int8_db),
        }[part]
        return Limit(known.max_error, known.min_psnr_db, self.frechet_rise)


@dataclass(frozen=True)
class Difference:
    """How far images in [0, 1] are from the generator's; `of_spread`: root mean square against their own deviation."""

    max_error: float
    mean_error: float
    psnr_db: float | None  # None: no difference at all
    frechet_rise: float | None = None  # None: no features at hand; −0.01 is 1% nearer to real images than Keras'
    of_spread: float | None = None  # None: all pixels of all images are alike

    def as_json(self) -> dict[str, float | None]:
        """For the manifest."""
        return asdict(self)


def compare(images: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> Difference:
    """Differences of images (N, H, W, C), or scores (N,), in [0, 1]; values that are not finite are infinitely far.

    Args:
        images: of the file.
        expected: Keras', of the same inputs.

    Raises:
        ExportError: the images have another shape.
    """
    if images.shape != expected.shape:
        raise ExportError(f"images of shape {images.shape} where Keras gives {expected.shape}")
    error = np.abs(images.astype(np.float64) - expected)
    error[~np.isfinite(error)] = np.inf
    square = float(np.mean(error**2))
    psnr = -10 * np.log10(square) if 0 < square < np.inf else None if square == 0 else -np.inf
    spread = float(np.std(expected.astype(np.float64)))
    share = math.sqrt(square) / spread if spread else None
    return Difference(float(error.max()), float(error.mean()), None if psnr is None else float(psnr), of_spread=share)


def check(what: str, difference: Difference, limit: Limit, results: str = "pixels") -> None:
    """Raise ExportError, by how much, where a difference of `results` is past its limit."""
    if limit.max_error is not None and not difference.max_error <= limit.max_error:
        raise ExportError(
            f"{what}: {results} differ from Keras by {difference.max_error:.2g}, limit {limit.max_error:.2g}"
        )
    psnr = np.inf if difference.psnr_db is None else difference.psnr_db
    if limit.min_psnr_db is not None and not psnr >= limit.min_psnr_db:
        raise ExportError(f"{what}: {psnr:.1f} dB PSNR against Keras, limit {limit.min_psnr_db:.1f} dB")
    rise = difference.frechet_rise
    if limit.frechet_rise is not None and rise is not None and not rise <= limit.frechet_rise:
        raise ExportError(
            f"{what}: the Fréchet distance to real images rises by {rise:.1%}, limit {limit.frechet_rise:.1%}"
        )


def check_spread(what: str, difference: Difference, limit: float) -> None:
    """Raise CannotBeMade where an integer file's error drowns pictures that are fainter than its steps."""
    if difference.of_spread is not None and not difference.of_spread <= limit:
        raise CannotBeMade(
            f"{what}: its error is {difference.of_spread:.0%} of the pictures' own spread, limit {limit:.0%}: they are "
            "too faint for eight bits"
        )


def remedy(what: str, difference: Difference, limit: Limit) -> str:
    """The `--limit` that accepts a difference which is past its limit, such as `float32=3e-05`.

    Nothing where no limit does: images that are not finite.
    """
    kind, _, part = what.partition("/")
    exceeded = []
    if limit.max_error is not None and not difference.max_error <= limit.max_error:
        name = "savedmodel" if kind == "savedmodel" else part
        exceeded.append((name, difference.max_error))
    if limit.min_psnr_db is not None and not (difference.psnr_db or np.inf) >= limit.min_psnr_db:
        exceeded.append(("int8_db" if part == "micro" else f"{part}_db", difference.psnr_db or 0.0))
    rise = difference.frechet_rise
    if limit.frechet_rise is not None and rise is not None and not rise <= limit.frechet_rise:
        exceeded.append(("frechet_rise", rise))
    if not all(math.isfinite(value) and value >= 0 for _, value in exceeded):
        return ""
    return " ".join(f"--limit {name}={_accepting(name, value)}" for name, value in exceeded)


def _accepting(name: str, value: float) -> str:
    """A round number that a value keeps to."""
    if name.endswith("_db"):
        return f"{math.floor(value)}"
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return f"{math.ceil(value / step + 1e-9) * step:.2g}"
