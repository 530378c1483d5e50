"""What one feature net says: every metric for images against real ones, beside what real images score."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain.metrics import compare, prdc
from gentrain.metrics.features import PRETRAINED, FeatureNet, Features, Images, Show, described, features_of

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset

LOOKS = ("precision", "density")
"""What must hold in two ways: a classifier's features see neither noise nor blur, which a net for texture does; and a
pretrained net's are small for noise, so that it lies near all real images, but in another direction.
"""


class Opinion:
    """One net's marks.

    Attributes:
        net: the feature net.
        real: its features (n, F) of the real images that others are compared with.
        reference: metric → value of real images in the place of generated ones.
    """

    def __init__(
        self,
        net: FeatureNet,
        dataset: Dataset,
        compared: Any,
        stand_ins: Any,
        show: Show | None = None,
        texture: Opinion | None = None,
        sees_looks: bool = True,
    ) -> None:
        """Take the features of the real images.

        Args:
            net: the feature net.
            dataset: the real images.
            compared: indices of those that the others are compared with.
            stand_ins: indices of those that stand in for generated ones.
            show: called with how many images went through the net.
            texture: of a net that sees texture, for a classifier, which does not: what looks real must do so to both.
            sees_looks: whether its `LOOKS` say anything: a small net alone takes noise in colour for real images.
        """
        self.net, self.show, self.texture, self.sees_looks = net, show, texture, sees_looks
        self.real = features_of(net, dataset.images, compared, show)
        self.reference = self.marks(np.asarray(dataset.images[stand_ins]))
        if net.accuracy is not None:
            self.reference["accuracy"] = net.accuracy

    def marks(self, images: Images) -> dict[str, float]:
        """Every metric for images uint8 (n, H, W, C)."""
        features = features_of(self.net, images, None, self.show)
        values = compare(self.real, features)
        if not self.sees_looks:
            return {name: value for name, value in values.items() if name not in LOOKS}
        others = list(self._looks(images, features))
        return values | {name: min(values[name], *(look[name] for look in others)) for name in LOOKS if others}

    def _looks(self, images: Images, features: Features) -> Iterator[dict[str, float]]:
        """Precision and density as they are seen otherwise; the lowest counts."""
        if self.net.name in PRETRAINED:
            yield prdc.measure(_directions(self.real), _directions(features))
        if self.texture is not None:
            yield prdc.measure(self.texture.real, features_of(self.texture.net, images))

    def describe(self) -> dict[str, Any]:
        """What metrics.json says of the net."""
        return described(self.net)


def _directions(features: Features) -> Features:
    """The same of length 1: what excites few features of a net lies near the origin, and so near everything."""
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
