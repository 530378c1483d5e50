"""What scores are worth: how well they part real from generated, where to draw the line, and how sure that is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Scores = np.ndarray[Any, np.dtype[np.floating[Any]]]

FALSE_ALARMS = 0.05
"""Of real pictures, those that the threshold calls generated."""

SURE = (0.025, 0.975)  # of 95% intervals
DRAWS = 100_000
SUREST = 12.0  # no logit is larger in the end: so few pictures warrant no more, and float32 can tell scores from 1


def auroc(real: Scores, fake: Scores) -> float:
    """How often a real picture (N,) scores higher than a generated one (M,): 1 for always, .5 for a coin."""
    ordered = np.sort(fake)
    below = np.searchsorted(ordered, real, "left") + np.searchsorted(ordered, real, "right")
    return float(below.mean() / (2 * len(fake)))


def auroc_interval(real: Scores, fake: Scores) -> tuple[float, float]:
    """Its 95% interval for so many pictures; Hanley and McNeil, Radiology 143 (1982)."""
    area = auroc(real, fake)
    one, two = area / (2 - area), 2 * area**2 / (1 + area)
    more = (len(real) - 1) * (two - area**2) + (len(fake) - 1) * (one - area**2)
    spread = 1.96 * math.sqrt(max(area * (1 - area) + more, 0) / (len(real) * len(fake)))
    return max(area - spread, 0.0), min(area + spread, 1.0)


def threshold(real: Scores, false_alarms: float = FALSE_ALARMS) -> tuple[float, tuple[float, float]]:
    """The score below which a picture is called generated, by scores (N,) of real pictures that were held out.

    Returns:
        The threshold, and the 95% interval of the part of all real pictures that it calls generated. Whatever scores
        look like, that part is Beta-distributed where the threshold is the k-th lowest of N.
    """
    ordered = np.sort(real)
    rank = max(1, round(false_alarms * (len(ordered) + 1)))
    drawn = np.random.default_rng(0).beta(rank, len(ordered) + 1 - rank, DRAWS)
    low, high = np.quantile(drawn, SURE)
    return float(ordered[rank - 1]), (float(low), float(high))


def caught(real: Scores, fake: Scores, false_alarms: float = FALSE_ALARMS) -> float:
    """The part of generated pictures that are recognised where so many real ones are taken for such (TPR at 5% FPR)."""
    return float((fake < np.quantile(real, false_alarms)).mean())


def temperature(real: Scores, fake: Scores) -> float:
    """What logits (N,) and (M,) must be divided by for their sigmoid to be a probability; both classes count alike.

    Source: "On Calibration of Modern Neural Networks", arXiv 1706.04599.
    """
    lowest = max(float(np.abs(real).max()), float(np.abs(fake).max()), 1e-3) / SUREST
    candidates = np.geomspace(lowest, 100 * lowest, 400)
    loss = [np.logaddexp(0, -real / t).mean() + np.logaddexp(0, fake / t).mean() for t in candidates]
    return float(candidates[int(np.argmin(loss))])


def sigmoid(logits: Scores) -> Scores:
    """Logits as probabilities, in float64."""
    return np.asarray(1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -500, 500))))
