"""A run's own yardstick: a feature net and what real images are in it, as files that need no code of gentrain.

It is the judge's own net, or its second one where the first is too large to lie beside every run.

With features.keras and features.npz in a run directory, whoever changes the generator's numbers (float16, int8, another
runtime) can measure what that does to the Fréchet distance, and where the net is a classifier whoever has images of the
generator can tell their classes.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain.files import replacing
from gentrain.metrics.features import FeatureNet, features_of

if TYPE_CHECKING:
    from gentrain.metrics.judge import Judge
    from gentrain.metrics.style import StyleJudge
    from gentrain.metrics.translation import PairJudge

MODEL = "features.keras"
REAL = "features.npz"


def keep(judge: Judge | PairJudge | StyleJudge, run: Path) -> None:
    """Write both files into a run directory, unless those of this very net and split are there; or no net is small.

    features.keras maps `images` float32 (N, H, W, C) from 0 to 1 to features float32 (N, F). features.npz holds the
    reference's `mean` (F,), `covariance` (F, F), float64, `count`, and the net's `name` and `hash`; of a classifier
    also `kernel` (F, K) and `bias` (K,): features @ kernel + bias are the logits of the data set's classes.

    Raises:
        TrainError: the disk is full, or the folder cannot be written to.
    """
    net = judge.small
    model = net.model()
    if model is None or _is_there(net, len(judge.compared), run):
        return
    with replacing(run / MODEL) as temporary:
        model.save(temporary)
    features = judge.real if net is judge.features else features_of(net, judge.dataset.images, judge.compared)
    real = features.astype(np.float64)
    with replacing(run / REAL) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            mean=real.mean(axis=0),
            covariance=np.cov(real, rowvar=False),
            count=len(real),
            name=net.name,
            hash=net.hash,
            **_head(net),
        )


def _head(net: FeatureNet) -> dict[str, Any]:
    """What tells classes of features, in a classifier; nothing of another net."""
    if net.accuracy is None:
        return {}
    kernel, bias = net.network.get_layer("logits").get_weights()  # type: ignore[attr-defined]
    return {"kernel": kernel, "bias": bias}


def _is_there(net: FeatureNet, count: int, run: Path) -> bool:
    try:
        with np.load(run / REAL) as kept:
            same = str(kept["hash"]) == net.hash and int(kept["count"]) == count
            same = same and ("kernel" in kept) == (net.accuracy is not None)  # earlier runs have no head
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile):
        return False
    return same and (run / MODEL).exists()
