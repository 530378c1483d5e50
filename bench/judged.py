"""What measurements of generators share that are judged by nets which have learned from ImageNet: scores, and the
processor time of a training, which on a shared machine says more than minutes.
"""

from __future__ import annotations

import resource
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from common import gentrain, number

GENERATED = 1000
NETS = ("lite0", "lite1")
METRICS = ("kernel", "precision", "density", "coverage")
HEAD = [f"{net}: {metric}" for net in NETS for metric in ("KID", *METRICS[1:])]


def train(run_directory: Path, *options: object) -> float:
    """`gentrain fit`; seconds of processor time."""
    before = spent()
    gentrain("fit", "--run", run_directory, *options)
    return spent() - before


def spent() -> float:
    """Seconds of processor time of all commands so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def row(cell: dict[str, float]) -> list[str]:
    """The scores in the order of `HEAD`."""
    return [number(cell[f"{net} {metric}"]) for net in NETS for metric in METRICS]


def generated(run_directory: Path) -> Any:
    """Images uint8 (N, 32, 32, 3) of a run."""
    from gentrain import quiet

    quiet.import_tensorflow()
    import keras
    from gentrain.metrics.generate import generate

    return generate(keras.models.load_model(run_directory / "generator.keras", compile=False), GENERATED)


class Beside:
    """Scores of generated images beside real ones, whose features are computed once."""

    def __init__(self, real: Any) -> None:
        """Uint8 (N, H, W, 3)."""
        self.images = real

    @cached_property
    def real(self) -> dict[str, Any]:
        """Their features by each net."""
        return {name: features(name, self.images) for name in NETS}

    def scores(self, images: Any) -> dict[str, float]:
        """Kernel distance, precision, density … by each net; features are scaled to a mean square of 1."""
        from gentrain.metrics import kernel, prdc

        found: dict[str, float] = {}
        for name, of_real in self.real.items():
            of_images, scale = features(name, images), np.sqrt(np.mean(of_real**2))
            found |= {f"{name} kernel": kernel.distance(of_real / scale, of_images / scale)}
            found |= {f"{name} {metric}": value for metric, value in prdc.measure(of_real, of_images).items()}
        return found


def features(name: str, images: Any) -> Any:
    """Float32 (N, F) of images uint8, at 64×64."""
    from gentrain import quiet

    quiet.import_tensorflow()
    import keras
    import tensorflow as tf
    from gentrain.networks import efficientnet

    net = efficientnet.build(name)
    pooled = keras.Model(net.input, net.output["pooled"])
    parts = [tf.image.resize(images[at : at + 100] / 127.5 - 1.0, (64, 64)) for at in range(0, len(images), 100)]
    return np.concatenate([pooled(part).numpy() for part in parts])
