"""Whether generated pictures help: differences between classifiers that answered the same test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gentrain.report.figures import deviation, mean

Right = np.ndarray[Any, np.dtype[np.bool_]]
"""(R, T): which of T test images each of R classifiers got right."""

Labels = np.ndarray[Any, np.dtype[np.int32]]

DRAWS = 2000
PAIRS = (("real", "real + synthetic"), ("real + classical", "real + classical + synthetic"))


@dataclass(frozen=True)
class Gain:
    """Points of accuracy, with the ends of a 95% interval."""

    without: str
    with_: str
    points: float
    low: float
    high: float

    def __str__(self) -> str:
        """`+2.1 points (95% interval +0.8 to +3.4)`."""
        return f"{self.points:+.1f} points (95% interval {self.low:+.1f} to {self.high:+.1f})"


def accuracy(right: Right, labels: Labels) -> list[float]:
    """Of each classifier: the share that it got right, a mean over the classes, so that each counts alike."""
    return [float(row @ _weights(labels)) for row in right.astype(np.float64)]


def gain(arms: Mapping[str, Right], without: str, with_: str, labels: Labels) -> Gain:
    """How many points one way of training is above another; classifiers are paired by their seeds.

    The interval is a bootstrap's over the classifiers and over the test images of each class: it knows how few there
    are of both, and nothing of other generators or other draws of the training images.
    """
    differences = arms[with_].astype(np.float64) - arms[without]
    rng = np.random.default_rng(0)
    count, tested = differences.shape
    drawn = np.empty(DRAWS)
    weights = np.empty(tested)
    groups = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    for i in range(DRAWS):
        for members in groups:
            times = np.bincount(rng.integers(len(members), size=len(members)), minlength=len(members))
            weights[members] = times / (len(members) * len(groups))
        drawn[i] = (differences[rng.integers(count, size=count)] @ weights).mean()
    low, high = np.quantile(drawn, (0.025, 0.975))
    points = float((differences @ _weights(labels)).mean())
    return Gain(without, with_, 100 * points, 100 * float(low), 100 * float(high))


def best(arms: Mapping[str, Right], labels: Labels) -> Gain:
    """The best way with generated pictures against the best without."""
    means = {name: mean(accuracy(right, labels)) for name, right in arms.items()}
    without, with_ = (max(side, key=lambda name: means[name]) for side in zip(*PAIRS, strict=True))
    return gain(arms, without, with_, labels)


def sentence(gain: Gain) -> str:
    """The answer, in words and numbers."""
    compared = f"{gain}, {gain.with_} against {gain.without}"
    if gain.low > 0:
        return f"They help here: {compared}."
    if gain.high < 0:
        return f"They do not help here, they harm: {compared}."
    return f"They do not help here, as far as these test images can tell: {compared}."


def table(arms: Mapping[str, Right], labels: Labels, filled: Sequence[int]) -> str:
    """Markdown: a row a way of training; percent as mean ± standard deviation, of filled classes alone as well."""
    some = np.isin(labels, filled) if filled else np.zeros(len(labels), bool)
    head = ["trained on", "accuracy, %", *(["of the filled classes, %"] if some.any() else [])]
    rows = [head, ["---", *["---:"] * (len(head) - 1)]]
    for name, right in arms.items():
        subsets = [(right, labels), *([(right[:, some], labels[some])] if some.any() else [])]
        rows.append([name, *(_percent(accuracy(*subset)) for subset in subsets)])
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _weights(labels: Labels) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Of each test image, so that all classes there weigh alike and the sum is 1."""
    _, which, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return np.asarray(1 / (counts[which.reshape(-1)] * len(counts)))


def _percent(values: Sequence[float]) -> str:
    return f"{100 * mean(values):.1f}" + (f" ± {100 * deviation(values):.1f}" if len(values) > 1 else "")
