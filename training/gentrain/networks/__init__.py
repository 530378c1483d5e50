"""The generators and discriminators to choose from: a pair is one module here with `generate` and `discriminate`, and
its name in settings.CHOICES.

A pair maps tensors; here these become Keras models, with inputs, what the conditions add, and the last activation.

genline.py                            genline's own pair; drawn.py is that for pictures from words
dcgan28.py, dcgan64.py, celeba64.py   those of tutorials
unet.py                               from pictures to pictures
residual.py                           the same where there is no right answer; contrast.py keeps the content there
animate.py                            from a picture to a clip; clips.py has the layers of both networks
moving.py                             from latents to a clip
parts.py                              what several of them are built from
latents.py                            from seeds to latents
efficientnet.py                       a pretrained net to look through; torch_files.py reads its weights
projected.py                          the second discriminator, which looks through it
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any

import keras
import numpy as np
from keras import layers

from gentrain.conditions import Conditions, inputs
from gentrain.conditions.base import Tensors
from gentrain.conditions.tokens import FIT
from gentrain.data.sizes import Size, both
from gentrain.errors import UsageError
from gentrain.networks import clips
from gentrain.networks.parts import Initializers, Norm
from gentrain.settings import CHOICES, Settings

# As discriminators have called it from the beginning.
ADDED = {"labels": "with_class"}

NETWORKS: dict[str, ModuleType] = {name: import_module(f"gentrain.networks.{name}") for name in CHOICES["networks"]}


def build_generator(
    size: Size,
    channels: int,
    conditions: Conditions,
    s: Settings,
    policy: str = "float32",
    synchronized: bool = False,
) -> Any:
    """`latents` float32 (N, Z) and the inputs of the conditions → `images` float32 (N, H, W, C) in [-1, 1].

    Networks that compose clips give `clips` (N, T, H, W, C) instead. With `latent_size` 0 there are no latents, and
    conditions alone.

    Args:
        size: H and W, one number for squares; clips are always square.
        channels: C.
        conditions: see `gentrain.conditions`; their inputs follow the latents.
        s: settings; the weights follow from its seed.
        policy: Keras' dtype policy of the layers; the output is float32 with any.
        synchronized: whether BatchNorm takes its statistics over all devices.
    """
    init = Initializers(2 * s.seed)
    with _policy(policy):
        latents = keras.Input((s.latent_size,), name="latents") if s.latent_size else None
        given = inputs(conditions)

        def enter(features: Any) -> Any:
            """What conditions add to feature maps, or to the vectors that the first one is made of."""
            for condition in conditions:
                hook = condition.enter_features if len(features.shape) == 4 else condition.enter_start
                features = hook(features, given, init)
            return features

        x = latents
        for condition in conditions if s.latent_size else ():
            x = condition.enter_latents(x, given, init)
        network, norm = NETWORKS[s.networks], Norm(synchronized)
        start = _concatenated(_pictures(conditions, given))
        if hasattr(network, "film"):
            clip = network.film(x, both(size)[0], channels, s, init, norm, enter)
            return keras.Model(_together(latents, given), clip, name="generator")
        if hasattr(network, "compose"):
            x = network.compose(start, x, s.frames * channels, s, init, norm, enter)
            return keras.Model(_together(latents, given), clips.as_clips(x, s.frames, "clips"), name="generator")
        if hasattr(network, "translate"):
            x = network.translate(start, x, channels, s, init, norm, enter)
        else:
            x = network.generate(x, size, channels, s, init, norm, enter)
        for condition in conditions:
            x = condition.enter_images(x, given, init)
        images = layers.Activation("tanh", dtype="float32", name="images")(x)
    return keras.Model(_together(latents, given), images, name="generator")


def check(conditions: Conditions, s: Settings) -> None:
    """Raise UsageError for conditions that these networks cannot take, or lack."""
    pictures, names = _pictures(conditions, inputs(conditions)), ", ".join(condition.name for condition in conditions)
    if bool(s.frames) != any(hasattr(NETWORKS[s.networks], name) for name in ("compose", "film")):
        are = (
            f"{s.frames} frames: networks {s.networks} make pictures"
            if s.frames
            else f"networks {s.networks} make clips"
        )
        raise UsageError(f"{are}; with --frames 16 --preset clips makes them of latents, --animate of pictures")
    if s.loop and not hasattr(NETWORKS[s.networks], "film"):
        raise UsageError(f"loop 1: networks {s.networks} make no clips of latents; --frames 16 --preset clips does")
    if hasattr(NETWORKS[s.networks], "translate") or s.networks == "animate":
        if not pictures:
            raise UsageError(f"networks {s.networks} start from pictures: --preset translate, or conditions=image")
    elif pictures:
        raise UsageError(f"conditions {names}: networks {s.networks} start from latents; --set networks=unet")
    elif not s.latent_size:
        raise UsageError(f"latent_size 0: networks {s.networks} start from latents; --set latent_size=32")
    if s.conditional and not s.latent_size:
        raise UsageError("latent_size 0: classes enter beside the latents; --set latent_size=16")


def build_discriminator(
    size: Size,
    channels: int,
    conditions: Conditions,
    s: Settings,
    policy: str = "float32",
    pooled: bool = False,
    seed: int | None = None,
) -> Any:
    """`images` float32 (N, H, W, C) in [-1, 1] and the inputs of the conditions → `logits` float32 (N, 1).

    A run with frames has `clips` (N, T, H, W, C) instead, of which it sees the frames and their differences.
    It does not see conditions that are not `judged`. A higher logit is more real. A discriminator of patches has one
    logit for each, (N, P), or `pooled` their mean.
    """
    init = Initializers(2 * s.seed + 1 if seed is None else seed)
    conditions = [condition for condition in conditions if condition.judged]
    with _policy(policy):
        name, shape = ("clips", (s.frames, *both(size), channels)) if s.frames else ("images", (*both(size), channels))
        images, given = keras.Input(shape, name=name), inputs(conditions)
        x = clips.with_differences(images) if s.frames else images
        for condition in conditions:
            x = condition.see_images(x, given, init)
        features = NETWORKS[s.networks].discriminate(x, size, s, init)
        in_patches = len(features.shape) == 4
        whole = layers.GlobalAveragePooling2D()(features) if in_patches else features
        terms = {condition.name: condition.see_features(whole, given, init) for condition in conditions}
        logits = layers.Dense(1, kernel_initializer=init(), dtype="float32", name="logits")(features)
        if in_patches:
            reshaped = layers.Reshape((-1, 1), dtype="float32")(logits)
            pool = layers.GlobalAveragePooling1D if pooled else layers.Flatten
            logits = pool(dtype="float32", name="of_patches")(reshaped)
        for name, term in terms.items():
            if term is not None:
                logits = layers.Add(dtype="float32", name=ADDED.get(name, f"with_{name}"))([logits, term])
    model = keras.Model(_together(images, given), logits, name="discriminator")
    return _spectrally_normalised(model, s) if s.spectral_norm else model


def looking(discriminator: Any) -> Any:
    """The same network with a list of outputs: its logits, and the two vectors (N, F) that it compares, if it does."""
    compared = [layer.input for layer in discriminator.layers if layer.name == FIT]
    return keras.Model(discriminator.inputs, [*discriminator.outputs, *(compared[0] if compared else ())])


def _together(first: Any, given: Tensors) -> Any:
    return [*([] if first is None else [first]), *given.values()] if given else first


def _pictures(conditions: Conditions, given: Tensors) -> list[Any]:
    return [picture for condition in conditions for picture in condition.starts_from(given)]


def _concatenated(pictures: list[Any]) -> Any:
    return layers.Concatenate()(pictures) if len(pictures) > 1 else next(iter(pictures), None)


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
