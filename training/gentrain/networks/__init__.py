"""The generators and discriminators to choose from: a pair is one module here with `generate` and `discriminate`, and
its name in settings.CHOICES.

A pair maps tensors; here these become Keras models with their inputs, their condition and their last activation.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import keras
import numpy as np
from keras import layers

from gentrain.conditions import condition_of
from gentrain.networks.parts import Initializers, Norm
from gentrain.settings import CHOICES, Settings

NETWORKS: dict[str, ModuleType] = {name: import_module(f"gentrain.networks.{name}") for name in CHOICES["networks"]}


def build_generator(
    side: int, channels: int, classes: int, s: Settings, policy: str = "float32", synchronized: bool = False
) -> Any:
    """`latents` float32 (N, Z) [, `labels` int32 (N,) where `classes` > 0] → `images` float32 (N, H, W, C) in [-1, 1].

    Args:
        side: H and W.
        channels: C.
        classes: how many there are to tell apart, or 0.
        s: settings; the weights follow from its seed.
        policy: Keras' dtype policy of the layers; the output is float32 with any.
        synchronized: whether BatchNorm takes its statistics over all devices.
    """
    init, condition = Initializers(2 * s.seed), condition_of(classes)
    with _policy(policy):
        latents, others = keras.Input((s.latent_size,), name="latents"), condition.inputs()
        x = condition.join(latents, others, init)
        x = NETWORKS[s.networks].generate(x, side, channels, s, init, Norm(synchronized))
        images = layers.Activation("tanh", dtype="float32", name="images")(x)
    return keras.Model([latents, *others] if others else latents, images, name="generator")


def build_discriminator(side: int, channels: int, classes: int, s: Settings, policy: str = "float32") -> Any:
    """`images` float32 (N, H, W, C) in [-1, 1] [, `labels`] → `logits` float32 (N, 1): higher is more real."""
    init, condition = Initializers(2 * s.seed + 1), condition_of(classes)
    with _policy(policy):
        images, others = keras.Input((side, side, channels), name="images"), condition.inputs()
        x = images
        x = NETWORKS[s.networks].discriminate(x, side, s, init)
        logits = condition.logits(x, others, init)
    model = keras.Model([images, *others] if others else images, logits, name="discriminator")
    return _spectrally_normalised(model, s) if s.spectral_norm else model


def _spectrally_normalised(model: Any, s: Settings) -> Any:
    """The same network, its convolutions and dense layers kept at a largest singular value of 1.

    Source: "Spectral Normalization for Generative Adversarial Networks", arXiv 1802.05957.
    """

    def wrap(layer: Any) -> Any:
        if isinstance(layer, layers.Conv2D | layers.Dense):
            return layers.SpectralNormalization(layer.__class__.from_config(layer.get_config()), name=layer.name)
        return layer.__class__.from_config(layer.get_config())

    wrapped = keras.models.clone_model(model, clone_function=wrap)
    # The layer draws its first singular vectors from a generator that nobody can seed.
    vectors = np.random.default_rng(s.seed)
    for layer in wrapped.layers:
        if isinstance(layer, layers.SpectralNormalization):
            layer.vector_u.assign(vectors.standard_normal(layer.vector_u.shape))
    return wrapped


class _policy:
    """Layers made inside get this dtype policy; Keras' own stays as it was."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __enter__(self) -> None:
        self.before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(self.name)

    def __exit__(self, *_: object) -> None:
        keras.config.set_dtype_policy(self.before)
