"""A second discriminator, on what a frozen net that knows photographs sees in an image: melted outlines and stains,
which one on pixels takes long to notice.

The feature maps are mixed by random weights that stay as they are, so that no few channels can be memorised, and
have length 1 at each place, so that no scale outweighs another. On each stands a small head without BatchNorm.
Sources: "Projected GANs Converge Faster", arXiv 2111.01007; "Ensembling Off-the-shelf Models for GAN Training", arXiv
2112.09130.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from gentrain.data.sizes import Size, both
from gentrain.networks import efficientnet
from gentrain.networks.parts import Initializers

TAPS = ("stride4", "stride8", "stride16")
WIDTH = 64

LEAST_SIDE = 64
"""Smaller images are enlarged to this before the net looks: it sees little in what is smaller."""

OUTPUTS = 129
"""Numbers that the layers of the pretrained net put out for each pixel that it sees, see `seen_size`."""


def seen_size(size: Size) -> tuple[int, int]:
    """(height, width) at which the net looks at images of this size: the shorter side is `LEAST_SIDE` or more."""
    height, width = both(size)
    shorter = min(height, width)
    seen = max(shorter, LEAST_SIDE)
    return round(height * seen / shorter), round(width * seen / shorter)


def feature_maps(size: Size, channels: int, seed: int, policy: str = "float32") -> Any:
    """`images` float32 (N, H, W, C) in [-1, 1] → a map float32 (N, h, w, 64) for each of `TAPS`; not trainable.

    Raises:
        TrainError: the pretrained weights are not installed.
    """
    init, net = Initializers(seed), efficientnet.build("lite0", policy)
    images = keras.Input((*both(size), channels), name="images")
    colour = layers.Concatenate(name="as_colour")([images] * 3) if channels == 1 else images
    if (seen := seen_size(size)) != both(size):
        colour = layers.Resizing(*seen, "bilinear", dtype="float32", name="enlarged")(colour)
    tapped = keras.Model(net.input, [net.output[tap] for tap in TAPS], name="pretrained")(colour)
    maps: list[Any] = []
    below = None
    for tap, x in zip(reversed(TAPS), reversed(tapped), strict=True):
        kernel = keras.initializers.RandomNormal(stddev=x.shape[-1] ** -0.5, seed=init.next_seed())
        x = layers.Conv2D(WIDTH, 1, use_bias=False, kernel_initializer=kernel, name=f"mix_{tap}")(x)
        if below is not None:
            larger = layers.Resizing(*x.shape[1:3], interpolation="bilinear", name=f"onto_{tap}")(below)
            x = layers.Add(name=f"add_{tap}")([x, larger])
        below = x
        unit = layers.UnitNormalization(axis=-1, dtype="float32", name=f"unit_{tap}")(x)
        maps.insert(0, layers.Rescaling(WIDTH**0.5, dtype="float32", name=f"map_{tap}")(unit))
    model = keras.Model(images, maps, name="feature_maps")
    model.trainable = False
    return model


def heads(maps: Any, seed: int) -> Any:
    """The maps of `feature_maps` → logits float32 (N, h', w', 1) for each, higher ones more real."""
    init = Initializers(seed)
    inputs = [keras.Input(tensor.shape[1:]) for tensor in maps.outputs]
    logits = []
    for tap, x in zip(TAPS, inputs, strict=True):
        for number, strides in enumerate((2 if min(x.shape[1:3]) >= 16 else 1, 1)):
            conv = {"padding": "same", "kernel_initializer": init(), "name": f"{tap}_{number}"}
            x = layers.LeakyReLU(0.2, name=f"{tap}_relu_{number}")(layers.Conv2D(WIDTH, 3, strides, **conv)(x))
        logits.append(layers.Conv2D(1, 1, kernel_initializer=init(), name=f"{tap}_logits")(x))
    return keras.Model(inputs, logits, name="heads")


def likeness_maps(size: Size, channels: int, net_name: str, policy: str = "float32") -> Any:
    """`images` float32 (N, H, W, C) in [-1, 1] → a map of each of `TAPS`, of length 1 at each place; not trainable.

    Images are enlarged twofold first: of small ones the net makes little. Distances of such maps follow those that
    people see: "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", arXiv 1801.03924.

    Raises:
        TrainError: the pretrained weights are not installed.
    """
    net = efficientnet.build(net_name, policy)
    images = keras.Input((*both(size), channels), name="images")
    colour = layers.Concatenate(name="as_colour")([images] * 3) if channels == 1 else images
    larger = layers.UpSampling2D(2, interpolation="bilinear", name="larger")(colour)
    seen = keras.Model(net.input, [net.output[tap] for tap in TAPS], name="pretrained")(larger)
    units = [layers.UnitNormalization(axis=-1, dtype="float32", name=f"unit_{tap}") for tap in TAPS]
    model = keras.Model(images, [unit(x) for unit, x in zip(units, seen, strict=True)], name="likeness_maps")
    model.trainable = False
    return model
