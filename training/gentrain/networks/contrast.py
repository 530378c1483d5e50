"""What a contrast of patches is taken in: the generator's own first layers, and a small head on each of their maps.

Source: "Contrastive Learning for Unpaired Image-to-Image Translation", arXiv 2007.15651.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from gentrain.errors import UsageError
from gentrain.networks.parts import Initializers

WIDTH = 64
TAP = "encoded_"


def encoder(generator: Any) -> Any:
    """Pictures → the generator's feature maps (N, h, w, any) at its layers `encoded_…`, which share its weights.

    Raises:
        UsageError: it has none.
    """
    taps = [layer.output for layer in generator.layers if layer.name.startswith(TAP)]
    if not taps:
        raise UsageError("a style is taken on by networks with layers called encoded_…: --set networks=residual")
    return keras.Model(generator.inputs, taps, name="encoder")


def heads(maps: Any, seed: int) -> Any:
    """Vectors (N, P, any) of each of the encoder's maps → float32 (N, P, 64) of length 1 for each."""
    init = Initializers(seed)
    inputs = [keras.Input((None, tensor.shape[-1])) for tensor in maps.outputs]
    vectors = []
    for number, x in enumerate(inputs):
        for layer, activation in enumerate(("relu", None)):
            name = f"head_{number}_{layer}"
            x = layers.Dense(WIDTH, activation=activation, kernel_initializer=init(), name=name)(x)
        vectors.append(layers.UnitNormalization(dtype="float32", name=f"unit_{number}")(x))
    return keras.Model(inputs, vectors, name="contrast_heads")
