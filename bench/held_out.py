"""Digits and Fashion-MNIST in two parts: images to train on, and real ones that nothing is trained on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gentrain import sources
from gentrain.data.dataset import Dataset, Frame, Pixels
from gentrain.errors import TrainError

DATA = {"digits": "digits", "fashion-mnist": "Fashion-MNIST"}
DEBIAN = Path("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz")
FRAME = Frame(28)
TRAINED_A_CLASS = 400  # of the 500 digits
LARGEST = 5000  # images held out that are looked at


@dataclass(frozen=True)
class Parts:
    """A data set in two parts.

    Attributes:
        source: what `gentrain fit --data` takes to train on `train`.
        train: those images.
        arrays: the same as `images` of a .npz file, for peers.
        held_out: real images uint8 (n, 28, 28, 1), n at most 5,000.
    """

    source: str
    train: Dataset
    arrays: Path
    held_out: Pixels


def parts_of(name: str, folder: Path) -> Parts:
    """The same two parts every time; the .npz is written to `folder`.

    Raises:
        TrainError: the images are not to be had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    arrays = folder / "train.npz"
    if name == "digits":
        held_out = _split_digits(arrays)
        return Parts(str(arrays), sources.read(str(arrays), FRAME), arrays, held_out)
    train = sources.read(name, FRAME)
    if not arrays.exists():
        np.savez(arrays, images=train.images)
    return Parts(name, train, arrays, _fashion_held_out())


def _split_digits(arrays: Path) -> Pixels:
    """400 digits of each class go into the .npz, the other 1,000 are returned."""
    digits = sources.read("digits", FRAME)
    assert digits.labels is not None
    drawn = np.random.default_rng(0).permutation(len(digits.images))
    classes = [drawn[digits.labels[drawn] == number] for number in range(len(digits.class_names))]
    trained, held_out = (
        np.sort(np.concatenate(rows))
        for rows in zip(*((rows[:TRAINED_A_CLASS], rows[TRAINED_A_CLASS:]) for rows in classes), strict=True)
    )
    if not arrays.exists():
        np.savez(arrays, images=digits.images[trained], labels=digits.labels[trained])
    return np.asarray(digits.images[held_out])


def _fashion_held_out() -> Pixels:
    """Half of the 10,000 images that Fashion-MNIST keeps for tests; raises TrainError."""
    if DEBIAN.exists():
        images = np.asarray(sources.read(f"idx:{DEBIAN}", FRAME).images)
    else:
        from gentrain import quiet

        quiet.import_tensorflow()
        import keras

        try:
            images = keras.datasets.fashion_mnist.load_data()[1][0][..., None]
        except Exception as error:  # Keras raises a bare Exception for a failed download
            raise TrainError(f"fashion-mnist: {DEBIAN} is not there, and a download failed: {error}") from error
    return images[np.random.default_rng(0).permutation(len(images))[:LARGEST]]
