"""The loss of a second discriminator, on the features of a frozen net: its network is gentrain.networks.projected.

Relativistic as the first one's, with both gradient penalties, taken at the feature maps: cheap there, and without them
the generator soon draws a handful of pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from gentrain.losses import rpgan
from gentrain.losses.auxiliary import Auxiliary, Seen

GAMMA = 0.5
"""Of R1 and R2, for the mean place of a map."""

AUGMENTED = 0.5
"""The part of the images that DiffAugment changes, always."""

RAMP = 0.2
"""The part of the run over which the weight rises from 0: what is drawn at first says nothing in these features."""

EARLY, LATE = 3 / 8, 3 / 4
"""So much of the weight until that part of the run is over, then all of it: while shapes and colours are learned from
pixels, more of it makes the generator draw a few colours; at the end more of it brings clean outlines."""


class Features(Auxiliary):
    """Both networks' terms of the discriminator on features."""

    name = "features"
    rate = 0.5

    def __init__(self, weight: float, maps: Any, heads: Any) -> None:
        """`maps`: images (N, H, W, C) → feature maps, frozen; `heads`: these maps → logits (N, h, w, 1) for each."""
        super().__init__(weight)
        self.maps, self.rival = maps, heads

    def weight_at(self, progress: tf.Tensor) -> tf.Tensor:
        """Along the ramp to `EARLY` of it, and all of it at the end."""
        return self.weight * tf.where(progress < LATE, EARLY * tf.minimum(progress / RAMP, 1.0), 1.0)

    def of_generator(self, seen: Seen) -> tf.Tensor:
        """The generator's loss, the mean over places and maps."""
        real = [tf.stop_gradient(tensor) for tensor in self.maps(seen.change(seen.real, AUGMENTED))]
        fake = self.maps(seen.change(seen.fake, AUGMENTED))
        seen.kept[self.name] = real, [tf.stop_gradient(tensor) for tensor in fake]
        pairs = zip(self.rival(real), self.rival(fake), strict=True)
        return _mean([tf.reduce_mean(rpgan.generator(*pair)) for pair in pairs])

    def of_rival(self, seen: Seen) -> tf.Tensor:
        """The heads' loss on the maps that the generator has just learned from, and the penalties."""
        real, fake = seen.kept[self.name]
        both = [tf.concat(pair, axis=0) for pair in zip(real, fake, strict=True)]
        with tf.GradientTape(watch_accessed_variables=False) as at_maps:
            at_maps.watch(both)
            logits = self.rival(both)
        losses = [tf.reduce_mean(rpgan.discriminator(*tf.split(tensor, 2))) for tensor in logits]
        slopes = at_maps.gradient(logits, both)
        penalties = [_penalty(slope, tensor) for slope, tensor in zip(slopes, logits, strict=True)]
        return _mean(losses) + GAMMA / 2 * _mean(penalties)


def _penalty(slope: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """R1 + R2 of the mean place: the squared slope of all logits of an image, by their number."""
    places = logits.shape[1] * logits.shape[2]
    return 2.0 * tf.reduce_mean(tf.reduce_sum(tf.square(slope), axis=[1, 2, 3])) / places


def _mean(values: Sequence[Any]) -> tf.Tensor:
    return tf.add_n(list(values)) / len(values)
