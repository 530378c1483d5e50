"""From images to the features that metrics compare: which feature net, and what every such net is.

Values in the features of one net say nothing about values in another's, so a net has a hash to name beside them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gentrain import quiet

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset

Images = np.ndarray[Any, np.dtype[np.uint8]]
Features = np.ndarray[Any, np.dtype[np.float32]]

Show = Callable[[int], None]
"""Called with the number of images that were made, or went through a feature net, since it was last called."""

BATCH = 256


class FeatureNet(Protocol):
    """A fixed function from images to features.

    Attributes:
        name: `classifier`, `random` or `inception`.
        hash: SHA-256 of its weights, hexadecimal; equal hashes on equal data give comparable values.
        accuracy: of the classifier on held-out real images, 0 to 1; None for other nets.
        note: one line for the user, for instance why it is not the net one would expect; may be empty.
    """

    name: str
    hash: str
    accuracy: float | None
    note: str

    def __call__(self, images: Images) -> Features:
        """Uint8 (N, H, W, C) for a small N → float32 (N, F)."""
        ...

    def classes(self, features: Features) -> np.ndarray[Any, np.dtype[np.int64]] | None:
        """The class (N,) that each row of features is taken for; None from a net that knows of no classes."""
        ...

    def model(self) -> Any:
        """The same function as a Keras model of stock layers, images float32 (N, H, W, C) from 0 to 1 → features.

        None from a net that is too large to be kept beside every run.
        """
        ...


def features_for(dataset: Dataset, kind: str | Path = "auto") -> FeatureNet:
    """Prepare a feature net.

    Args:
        dataset: the real images; the classifier is trained on their labels, or comes from the cache.
        kind: `auto` (the classifier where labels allow it, else the random net), `classifier`, `random`, or the path of
            a weights file of InceptionV3.

    Raises:
        TrainError: the classifier was asked for by name and labels do not allow it, or the weights file does not fit.
    """
    quiet.import_tensorflow()
    from gentrain.metrics import classifier, inception, random_net

    if isinstance(kind, Path) or kind not in ("auto", "classifier", "random"):
        return inception.InceptionNet(Path(kind))
    if kind == "random":
        return random_net.RandomNet(dataset)
    net = classifier.prepare(dataset, insist=kind == "classifier")
    return random_net.RandomNet(dataset, note=net) if isinstance(net, str) else net


def features_of(net: FeatureNet, images: Images, rows: Any = None, show: Show | None = None) -> Features:
    """Features float32 (N, F) of images uint8 (N, H, W, C), or of those in `rows`, a batch at a time.

    `images` may lie on a disk as np.memmap; rows are read in the order given.
    """
    chosen = np.arange(len(images)) if rows is None else np.asarray(rows)
    parts = []
    for start in range(0, len(chosen), BATCH):
        batch = chosen[start : start + BATCH]
        parts.append(net(np.asarray(images[batch])))
        if show:
            show(len(batch))
    return np.concatenate(parts)


def hash_of(weights: Iterable[np.ndarray[Any, Any]]) -> str:
    """SHA-256 over shapes and little-endian float32 values."""
    digest = hashlib.sha256()
    for weight in weights:
        digest.update(repr(tuple(weight.shape)).encode())
        digest.update(np.ascontiguousarray(weight, "<f4").tobytes())
    return digest.hexdigest()
