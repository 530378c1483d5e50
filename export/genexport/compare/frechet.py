"""How much farther from real images a file's images are than the generator's own, by the run's feature network.

The Fréchet distance between two Gaussians fitted to features (Heusel et al. 2017, arXiv 1706.08500): what PSNR does not
tell is whether a difference makes the images look less real. gentrain leaves the network and the real images' mean and
covariance in the run directory.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from genexport.errors import ExportError
from genexport.generator.keras_file import one_line

EXAMPLES = 1024
"""Images of seeds that a rise is worth measuring on; with few, the distance's own bias hides a part of it."""

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True, eq=False)
class Features:
    """A network `images` float32 (N, H, W, C) in [0, 1] → (N, F), and the real images' mean (F,), covariance (F, F)."""

    network: Any
    mean: Array
    covariance: Array
    _last: list[tuple[Any, float]] = field(default_factory=list)

    @classmethod
    def of(cls, run_directory: Path | None) -> Features | None:
        """From `features.keras` and `features.npz` of a run, or None where they are not there.

        Raises:
            ExportError: they are there and cannot be read, or do not fit each other.
        """
        if run_directory is None:
            return None
        network, statistics = run_directory / "features.keras", run_directory / "features.npz"
        if not network.exists() or not statistics.exists():
            return None
        try:
            with np.load(statistics) as stored:
                mean, covariance = (np.asarray(stored[name], np.float64) for name in ("mean", "covariance"))
        except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise ExportError(f"{statistics}: cannot be read: {one_line(error)}") from error
        try:
            model = keras.models.load_model(network, compile=False, safe_mode=True)
        except Exception as error:  # Keras raises by whatever is wrong inside the archive
            raise ExportError(f"{network}: cannot be loaded: {one_line(error)}") from error
        width = model.outputs[0].shape[-1]
        if mean.shape != (width,) or covariance.shape != (width, width):
            raise ExportError(
                f"{statistics}: mean {mean.shape} and covariance {covariance.shape}, expected ({width},) and "
                f"({width}, {width}) as features.keras gives"
            )
        return cls(model, mean, covariance)

    def rise(self, images: np.ndarray[Any, Any], expected: np.ndarray[Any, Any]) -> float:
        """FD(images, real) / FD(expected, real) − 1, both of the same seeds.

        Both sides share the bias that few images bring, so the rise is understated with few; `EXAMPLES` are enough.
        """
        if not self._last or self._last[0][0] is not expected:  # one set of Keras' images for many files
            self._last[:] = [(expected, self._distance(expected))]
        return self._distance(images) / self._last[0][1] - 1

    def _distance(self, images: np.ndarray[Any, Any]) -> float:
        batches = [
            np.asarray(self.network(np.asarray(images[i : i + 128], np.float32), training=False), np.float64)
            for i in range(0, len(images), 128)
        ]
        features = np.concatenate(batches)
        covariance = np.atleast_2d(np.cov(features, rowvar=False))
        return max(distance(features.mean(axis=0), covariance, self.mean, self.covariance), 1e-12)


def distance(mean: Array, covariance: Array, other_mean: Array, other_covariance: Array) -> float:
    """|m − n|² + tr(A + B − 2 (A B)^½) of two Gaussians (m, A) and (n, B).

    (A B)^½ has the trace of (B^½ A B^½)^½, which is symmetric: its eigenvalues are real and numpy finds them.
    """
    values, vectors = np.linalg.eigh(other_covariance)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    shared = np.sqrt(np.clip(np.linalg.eigvalsh(root @ covariance @ root), 0, None)).sum()
    apart = float(((mean - other_mean) ** 2).sum())
    return float(apart + np.trace(covariance) + np.trace(other_covariance) - 2 * shared)
