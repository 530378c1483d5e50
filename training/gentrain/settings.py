"""Every number that decides a training, and the presets that people start from. No TensorFlow here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gentrain.errors import UsageError


@dataclass(frozen=True)
class Settings:
    """What a training is made of; `gentrain fit --set name=value` changes one."""

    # Images
    resolution: int = 32  # the longest side in pixels; smaller square images of one size stay as they are
    channels: int = 0  # 1, 3, or 0 for what the images have

    # Networks
    latent_size: int = 32  # Z
    generator_width: int = 48  # channels of its convolutions
    discriminator_width: int = 32

    # Length: `minutes` above 0 ends the run by the clock, whatever `kimg` says
    kimg: float = 220.0  # thousand real images shown to the discriminator
    minutes: float = 0.0
    batch: int = 64  # images a step
    seed: int = 0  # of weights, noise and the order of the data

    # Optimisation (Adam for both networks)
    learning_rate: float = 2e-3
    learning_rate_final: float = 3e-4  # reached along a cosine over the run
    beta_1: float = 0.0
    beta_2: float = 0.99
    gamma: float = 1.0  # weight of the gradient penalties R1 and R2
    gamma_final: float = 0.1  # reached along a cosine over the run
    ema_halflife_kimg: float = 44.0  # of the averaged generator, the one that is kept
    ema_rampup: float = 0.05  # the half-life is never more than this part of the images seen so far

    # Reports
    kimg_per_tick: float = 5.0  # a line of log.jsonl
    kimg_per_checkpoint: float = 20.0  # a checkpoint, generator.keras and a sheet of samples

    def __post_init__(self) -> None:
        """Raises UsageError for a value outside its range."""
        for field in dataclasses.fields(self):
            value, (low, high) = getattr(self, field.name), RANGES[field.name]
            if not (math.isfinite(value) and low <= value <= high):
                raise UsageError(f"{field.name} must be from {low:g} to {high:g}, got {value:g}")
        if self.resolution % 4:
            raise UsageError(f"resolution must be a multiple of 4, got {self.resolution}")
        if self.channels == 2:
            raise UsageError("channels must be 1, 3, or 0 for what the images have, got 2")


RANGES: dict[str, tuple[float, float]] = {
    "resolution": (8, 128),
    "channels": (0, 3),
    "latent_size": (1, 4096),
    "generator_width": (1, 1024),
    "discriminator_width": (1, 1024),
    "kimg": (1e-3, 1e9),
    "minutes": (0, 1e6),
    "batch": (2, 8192),
    "seed": (0, 2**31 - 1),
    "learning_rate": (0, 1),
    "learning_rate_final": (0, 1),
    "beta_1": (0, 0.9999),
    "beta_2": (0, 0.99999),
    "gamma": (0, 1e6),
    "gamma_final": (0, 1e6),
    "ema_halflife_kimg": (0, 1e6),
    "ema_rampup": (0, 1e6),
    "kimg_per_tick": (1e-3, 1e9),
    "kimg_per_checkpoint": (1e-3, 1e9),
}

# Reports do not change what is learned, and a longer run goes on where a shorter one ended.
MAY_CHANGE = frozenset({"kimg", "minutes", "kimg_per_tick", "kimg_per_checkpoint"})


def small() -> Settings:
    """Up to 32×32, grey or colour. Digits, 28×28: 220 kimg in 4 to 5 minutes on two CPU cores."""
    return Settings()


def quick() -> Settings:
    """The same cut short, to see everything work: 10 kimg, blurred digits, about 20 seconds on two CPU cores."""
    return Settings(kimg=10.0, kimg_per_tick=1.0, kimg_per_checkpoint=5.0)


def medium() -> Settings:
    """Up to 64×64. Colour, 64×64: 300 kimg in about three quarters of an hour on two CPU cores."""
    return Settings(resolution=64, kimg=300.0)


PRESETS: dict[str, Callable[[], Settings]] = {"small": small, "quick": quick, "medium": medium}
DEFAULT_PRESET = "small"


def parse_change(text: str) -> tuple[str, Any]:
    """`name=value` as given to --set → (name, value of the setting's type).

    Raises:
        UsageError: no such setting, or a value that is not of its type.
    """
    name, equals, value = (part.strip() for part in text.partition("="))
    types = {name: type(value) for name, value in dataclasses.asdict(Settings()).items()}
    if not equals:
        raise UsageError(f"--set takes name=value, got {text!r}")
    if name not in types:
        raise UsageError(f"--set {name}: no such setting; there are {', '.join(types)}")
    try:
        return name, types[name](value)
    except ValueError:
        kind = "a whole number" if types[name] is int else "a number"
        raise UsageError(f"--set {name}: expected {kind}, got {value!r}") from None
