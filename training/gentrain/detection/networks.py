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

HIDDEN = 32
DROPOUT = 0.3


def build(side: int, channels: int, examples: Any, seed: int) -> Any:
    """A hidden layer over the statistics; `examples` (M, H, W, C) settle their scale."""
    init = Initializers(seed)
    images = keras.Input((side, side, channels), name="images")
    numbers = statistics.statistics(images)
    known = keras.Model(images, numbers).predict(examples, verbose=0)
    x = statistics.standardised(numbers, known)
    x = layers.Dense(HIDDEN, "relu", kernel_initializer=init())(x)
    x = layers.Dropout(DROPOUT, seed=init.next_seed())(x)
    return keras.Model(images, layers.Dense(1, kernel_initializer=init(), name="logits")(x), name="detector")
