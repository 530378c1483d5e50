"""`gentrain evaluate` of a generator that makes clips of stills: how near it comes on clips it has not seen."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gentrain.progress import Measuring, duration, echo, summary

if TYPE_CHECKING:
    from gentrain.commands.subject import Subject
    from gentrain.data.dataset import Dataset
    from gentrain.metrics.motion import ClipJudge

SHOWN, COLUMNS = 16, 4


def evaluate(subject: Subject, dataset: Dataset, samples: int, on: str | None, out: Path | None) -> str:
    """Measure, write metrics.json, animations.png and animations.webp, and return the table for the user.

    Args:
        subject: the run.
        dataset: the clips that it was trained on.
        samples: clips to make, at most.
        on: a source of other clips to measure on; None for those that the run held out.
        out: where the report goes; None for the run's metrics.json.
    """
    from gentrain.images import save_png, save_webp
    from gentrain.metrics.motion import ClipJudge
    from gentrain.training.examples import Examples

    begun = time.monotonic()
    measured, indices, where = _clips(subject, dataset, on)
    indices = np.sort(np.random.default_rng(0).permutation(indices)[:samples])
    with Measuring(len(indices)) as measuring:
        judge = ClipJudge(measured, indices, measuring.show)
        clips = judge.animate(subject.generator)
    scores = judge.score(clips)
    report: dict[str, Any] = {
        **subject.describe(),
        "on": where,
        "metrics": {name: _entry(name, value, judge) for name, value in scores.items()},
        "samples": judge.samples,
        "seconds": round(time.monotonic() - begun, 1),
    }
    shown = Examples({"image": judge.stills[:SHOWN].astype(np.float32) / 127.5 - 1.0}, judge.clips[:SHOWN])

    def draw(path: Path) -> None:
        save_png(shown.rows(clips[:SHOWN]), path)
        save_webp(shown.shown(clips[:SHOWN]), path.with_suffix(".webp"), COLUMNS, subject.fps)

    subject.keep(report, None, out, "animations.png", draw)
    echo(f"measured {judge.samples} clips in {duration(report['seconds'])}")
    return _table(report, judge)


def _clips(subject: Subject, dataset: Dataset, on: str | None) -> tuple[Dataset, Any, str]:
    """What is measured on: a data set, indices, and in words where these are from."""
    from gentrain.commands.reading import read

    if on is not None:
        measured = read(on, replace(subject.frame, split="all"))
        echo(summary(measured))
        return measured, np.arange(len(measured.images)), on
    unseen = subject.unseen(dataset)
    if unseen is None:
        return dataset, dataset.distinct, "clips of the training"
    return dataset, unseen, "clips held out of the training"


def _entry(name: str, value: float, judge: ClipJudge) -> dict[str, float]:
    entry = {"value": value, "unchanged": judge.unchanged[name], "fade": judge.fade[name]}
    return entry | ({"floor": judge.reference[name]} if name in judge.reference else {})


def _table(report: dict[str, Any], judge: ClipJudge) -> str:
    """Each metric beside what a repeated still and a cross-fade score."""
    from gentrain.metrics import METRICS

    lines = [f"{'metric':10} {'value':>9} {'still':>9} {'cross-fade':>10}  better"]
    for name, entry in report["metrics"].items():
        about = f"{METRICS[name].better:6}  {METRICS[name].about}"
        lines.append(f"{name:10} {entry['value']:9.4g} {entry['unchanged']:9.4g} {entry['fade']:10.4g}  {about}")
    beside = "still: the first frame repeated; cross-fade: from it to the true last frame"
    lines.append(f"{report['on']}: {judge.samples}; {beside}")
    return "\n".join(lines)
