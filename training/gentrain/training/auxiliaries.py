"""The losses of a run beside the adversarial one, each with the networks that it looks through and that learn from it.

A condition brings losses along, or names those that are made here, since they need the networks of the run; the
training step adds up whatever it is given, and moves the networks of each beside the GAN's own two.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from gentrain.conditions import Conditions
from gentrain.losses.auxiliary import L1, Auxiliary
from gentrain.losses.captions import Diversity, Likeness, Mismatch
from gentrain.losses.features import Features
from gentrain.losses.frames import Frames
from gentrain.losses.nce import PatchNCE
from gentrain.networks import build_discriminator, contrast, projected
from gentrain.settings import Settings


def of_run(s: Settings, conditions: Conditions, generator: Any, policy: str) -> tuple[Auxiliary, ...]:
    """All of them: what conditions bring along, what they name where its weight is above 0, and those of the settings.

    Args:
        s: settings, whose seed the weights follow from.
        conditions: of the run.
        generator: the network being trained.
        policy: Keras' dtype policy of frozen networks.
    """
    brought = [loss for condition in conditions for loss in condition.auxiliary]
    names = dict.fromkeys(name for condition in conditions for name in condition.learns_by)
    made = [MAKERS[name](s, generator, policy) for name in names if getattr(s, name)]
    if s.features_weight:
        made.append(_features(s, generator, policy))
    if s.frames and s.frames_weight and s.networks == "moving":
        made.append(_frames(s, generator, policy))
    return (*brought, *made)


def _frames(s: Settings, generator: Any, policy: str) -> Auxiliary:
    *_, height, width, channels = generator.output_shape
    pictures = dataclasses.replace(s, frames=0)
    network = build_discriminator((height, width), channels, (), pictures, policy, seed=2 * s.seed + 6)
    return Frames(s.frames_weight, network, s.gamma, s.frames, s.augment > 0)


def _l1(s: Settings, generator: Any, policy: str) -> Auxiliary:
    return L1(s.l1)


def _nce(s: Settings, generator: Any, policy: str) -> Auxiliary:
    encoder = contrast.encoder(generator)
    return PatchNCE(s.nce, s.nce_identity, generator, encoder, contrast.heads(encoder, 2 * s.seed + 5))


def _mismatch(s: Settings, generator: Any, policy: str) -> Auxiliary:
    return Mismatch(s.mismatch)


def _likeness(s: Settings, generator: Any, policy: str) -> Auxiliary:
    maps = None
    if s.likeness_features:
        _, height, width, channels = generator.output_shape
        maps = projected.likeness_maps((height, width), channels, s.seen_through, policy)
    return Likeness(s.likeness, generator, maps, s.likeness_features)


def _diversity(s: Settings, generator: Any, policy: str) -> Auxiliary:
    return Diversity(s.diversity, generator)


def _features(s: Settings, generator: Any, policy: str) -> Auxiliary:
    _, height, width, channels = generator.output_shape
    maps = projected.feature_maps((height, width), channels, 2 * s.seed + 3, policy)
    return Features(s.features_weight, maps, projected.heads(maps, 2 * s.seed + 4))


MAKERS: dict[str, Callable[[Settings, Any, str], Auxiliary]] = {
    "l1": _l1,
    "nce": _nce,
    "mismatch": _mismatch,
    "likeness": _likeness,
    "diversity": _diversity,
}
"""By the names that conditions give (`Condition.learns_by`), which are those of their weights in the settings too."""
