"""The detector: `images` (N, H, W, C) in [-1, 1] → one logit, higher is more real; stock layers.

It sees pictures by statistics of their pixels alone. Convolutions that learn look for malformed shapes: on digits,
those of one generator said nothing of the next one's, and a good generator has none (docs/detect.md has the figures).
"""

from __future__ import annotations

from typing import Any

import keras
from keras import layers

from gentrain.detection import statistics
from gentrain.networks.parts import Initializers

HIDDEN = 128
DROPOUT = 0.5


def head(examples: Any, seed: int) -> Any:
    """Statistics → one logit: a hidden layer over them, in the scale of these examples (M, any)."""
    init = Initializers(seed)
    numbers = keras.Input(examples.shape[1:], name="numbers")
    x = statistics.standardised(numbers, examples)
    x = layers.Dense(HIDDEN, "relu", kernel_initializer=init())(x)
    x = layers.Dropout(DROPOUT, seed=init.next_seed())(x)
    return keras.Model(numbers, layers.Dense(1, kernel_initializer=init(), name="logits")(x), name="head")


def whole(of_images: Any, judging: Any) -> Any:
    """Images → one logit, of the model that gives statistics and the head that judges them."""
    return keras.Model(of_images.input, judging(of_images.output), name="detector")
