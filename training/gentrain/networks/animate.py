"""From a still picture to a clip that begins with it: the U-Net of unet.py says for each pixel of each frame how far it
is no longer the still's, and what is seen there instead.

So what does not move stays as it is, exactly. Source of the composition: "Generating Videos with Scene Dynamics", arXiv
1609.02612.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from gentrain.networks import unet
from gentrain.networks.parts import Enter, Initializers, Norm
from gentrain.settings import Settings

MOVING = -2.0
"""Where the logits of what moves begin: an eighth of each pixel."""

discriminate = unet.discriminate


def compose(still: Any, latents: Any, channels: int, s: Settings, init: Initializers, norm: Norm, enter: Enter) -> Any:
    """A picture (N, side, side, C) → frames (N, side, side, T C) in [-1, 1], of `channels` T C; the last as float32."""
    x = unet.features(still, latents, s, init, norm, enter)
    seen = layers.Conv2D(channels, 3, padding="same", kernel_initializer=init())(x)
    starts = keras.initializers.Constant(MOVING)
    moving = layers.Conv2D(channels, 3, padding="same", kernel_initializer=init(), bias_initializer=starts)(x)
    seen = layers.Activation("tanh", dtype="float32")(seen)
    moving = layers.Activation("sigmoid", dtype="float32")(moving)
    stays = layers.Concatenate(dtype="float32")([still] * s.frames)
    change = layers.Subtract(dtype="float32")([seen, stays])
    return layers.Add(dtype="float32")([stays, layers.Multiply(dtype="float32")([moving, change])])
