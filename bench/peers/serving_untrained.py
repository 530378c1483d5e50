"""A generator that nobody has trained, as a .keras file. Arguments: preset, side, channels, seed, file."""

from __future__ import annotations

import dataclasses
import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from gentrain import presets
from gentrain.networks import build_generator


def main() -> None:
    """Build and save."""
    preset, side, channels, seed, file = sys.argv[1:]
    settings = dataclasses.replace(getattr(presets, preset)(), seed=int(seed))
    build_generator(int(side), int(channels), (), settings).save(file)


if __name__ == "__main__":
    main()
