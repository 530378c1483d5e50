"""Fashion-MNIST: 60,000 pieces of clothing, from Debian's package or through Keras."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

from gentrain.data.dataset import Append, Contents, Frame, Show, Source
from gentrain.errors import TrainError
from gentrain.sources import arrays, idx

DEBIAN = Path("/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz")
CLASSES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def open(path: str = "") -> Source:
    """The 60,000 training images, grey, 28×28, with labels 0–9.

    Source: Xiao, Rasul and Vollgraf, arXiv 1708.07747; Debian's dataset-fashion-mnist, else
    keras.datasets.fashion_mnist.

    Raises:
        TrainError: neither is to be had; raised when decoding, so that a cached copy needs no network.
    """
    if DEBIAN.exists():
        return idx.open(str(DEBIAN), CLASSES, name="fashion-mnist")
    return Source("fashion-mnist", "keras.datasets.fashion_mnist", _decode_keras)


def _decode_keras(frame: Frame, append: Append, show: Show) -> Contents:
    from gentrain import quiet

    quiet.import_tensorflow()
    import keras

    try:
        with contextlib.redirect_stdout(sys.stderr):  # where Keras shows its download
            (images, labels), _ = keras.datasets.fashion_mnist.load_data()
    except Exception as error:  # Keras raises a bare Exception for a failed download
        raise TrainError(
            "fashion-mnist: install Debian's dataset-fashion-mnist (it is looked for in "
            f"{DEBIAN.parent}), or let keras.datasets.fashion_mnist download it, which failed now: {error}"
        ) from error
    arrays.decode([images[..., None]], (28, 28), 1, len(images), frame, append, show)
    return Contents(labels.astype("int32"), CLASSES)
