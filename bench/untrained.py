"""A generator that nobody has trained, to measure speed: random weights, BatchNorm's statistics in place.

python bench/untrained.py digits.keras --side 28 --channels 1 --preset small
python bench/untrained.py large.keras --side 28 --channels 1 --parameters 32e6
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from gentrain import quiet
from gentrain.presets import PRESETS
from gentrain.settings import RANGES, Settings

PASSES = 12  # until BatchNorm's moving statistics are those of its inputs
ROWS = 64


def untrained(side: int, channels: int, settings: Settings) -> Any:
    """The network of these settings: latents float32 (N, Z) → images float32 (N, side, side, channels)."""
    quiet.import_tensorflow()
    import keras
    import tensorflow as tf
    from gentrain.networks import build_generator

    model = build_generator(side, channels, (), settings)
    latents = tf.random.stateless_normal((ROWS, settings.latent_size), (1, 2))
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.momentum = 0.5
    for _ in range(PASSES):
        model(latents, training=True)
    return model


def with_parameters(side: int, channels: int, settings: Settings, parameters: float) -> Settings:
    """The settings with the width that comes nearest to a number of parameters."""
    quiet.import_tensorflow()
    from gentrain.networks import build_generator

    def found(width: int) -> int:
        return int(
            build_generator(side, channels, (), dataclasses.replace(settings, generator_width=width)).count_params()
        )

    low, high = 1, int(RANGES["generator_width"][1])
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if found(middle) < parameters else (low, middle)
    return dataclasses.replace(settings, generator_width=min((low, high), key=lambda w: abs(found(w) - parameters)))


def main() -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--side", type=int, required=True)
    parser.add_argument("--channels", type=int, required=True)
    parser.add_argument("--preset", choices=list(PRESETS), default="small")
    parser.add_argument("--parameters", type=float, help="choose the width by this number; none: the preset's")
    arguments = parser.parse_args()
    side, channels, settings = arguments.side, arguments.channels, PRESETS[arguments.preset]()
    if arguments.parameters:
        settings = with_parameters(side, channels, settings, arguments.parameters)
    untrained(side, channels, settings).save(arguments.file)


if __name__ == "__main__":
    main()
