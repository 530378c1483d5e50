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

PRETRAINED = {"efficientnet-lite0": "lite0", "efficientnet-lite1": "lite1"}
"""Feature nets that were trained on ImageNet; of the first one, unless a generator was trained through it."""


class FeatureNet(Protocol):
    """A fixed function from images to features.

    Attributes:
        name: `classifier`, `random`, one of `PRETRAINED`, or of `gentrain.metrics.applications`.
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

        None from a net that is too large to be kept beside every run, and to search through every image by.
        """
        ...


def features_for(
    dataset: Dataset, kind: str | Path = "auto", weights: Path | None = None, seen_through: str = ""
) -> FeatureNet:
    """Prepare a feature net.

    Args:
        dataset: the real images; the classifier is trained on their labels, or comes from the cache.
        kind: `auto` (for colour the pretrained net; else the classifier where labels allow it, else the pretrained net;
            the random net where images are too small for it),
            `pretrained`, `classifier`, `random`, a name of `PRETRAINED`, or a net of `gentrain.metrics.applications`;
            a path is the weights file of InceptionV3.
        weights: the weights file of such a net.
        seen_through: the pretrained net that the generator was trained through, which it pleases; another is taken.

    Raises:
        TrainError: the classifier was requested by name and labels do not allow it, or a net's weights are missing or
            do not fit.

    Example:
    ```python
    net = features_for(sources.read("digits", Frame()), "random")
    features = features_of(net, images)  # float32 (N, 256) of images uint8 (N, H, W, C)
    ```
    """
    quiet.import_tensorflow()
    from gentrain.metrics import applications, pretrained, random_net

    if weights is not None and isinstance(kind, str):
        return applications.ApplicationNet(kind, weights)
    if kind in PRETRAINED:
        return pretrained.PretrainedNet(PRETRAINED[str(kind)])
    if isinstance(kind, Path) or kind not in ("auto", "pretrained", "classifier", "random"):
        return applications.ApplicationNet("inception", Path(kind))
    if kind == "random":
        return random_net.RandomNet(dataset)
    is_known = kind == "auto" and pretrained.knows(dataset)
    if kind == "pretrained" or (is_known and dataset.images.shape[-1] == 3):
        return pretrained.PretrainedNet(_unseen(seen_through))
    own = _own(dataset, insist=kind == "classifier")
    # What is pixelated, blurred or put together anew of its parts has the random net's textures of real photographs.
    return pretrained.PretrainedNet(_unseen(seen_through)) if is_known and own.name == "random" else own


def _unseen(seen_through: str) -> str:
    return next(net for net in PRETRAINED.values() if net != seen_through)


def second_for(dataset: Dataset, first: FeatureNet, seen_through: str = "") -> FeatureNet | None:
    """Another net beside the first, so that no single one can be pleased; None where no other fits these images."""
    from gentrain.metrics import pretrained, random_net

    if first.name == "classifier":
        return random_net.RandomNet(dataset)
    if first.name != "random":
        return _own(dataset)
    return pretrained.PretrainedNet(_unseen(seen_through)) if pretrained.knows(dataset) else None


def _own(dataset: Dataset, insist: bool = False) -> FeatureNet:
    """A net that only these images need: the classifier of their labels, or the random net."""
    from gentrain.metrics import classifier, random_net

    net = classifier.prepare(dataset, insist)
    return random_net.RandomNet(dataset, note=net) if isinstance(net, str) else net


def described(net: FeatureNet) -> dict[str, Any]:
    """What metrics.json says of a net."""
    return {"name": net.name, "hash": net.hash, "accuracy": net.accuracy, "note": net.note}


def features_of(net: FeatureNet, images: Images, indices: Any = None, show: Show | None = None) -> Features:
    """Features float32 (N, F) of images uint8 (N, H, W, C), or of those at `indices`, a batch at a time.

    `images` may lie on a disk as np.memmap; images are read in the order given.
    """
    chosen = np.arange(len(images)) if indices is None else np.asarray(indices)
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
