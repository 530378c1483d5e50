"""Measures the generator now and then, and keeps the best one beside the last: GANs turn bad late."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import keras

from gentrain import images
from gentrain.data import holdout
from gentrain.data.dataset import Dataset
from gentrain.files import write_json
from gentrain.metrics import METRICS, nearest
from gentrain.training.callbacks import Note
from gentrain.training.callbacks.keeper import grid, keep_networks
from gentrain.training.callbacks.meter import Meter

SAMPLES = 2000

FIRST_SEED = 2**40
"""What is chosen by is not what is shown: `gentrain evaluate` and the image grids begin with seed 0."""


class Evaluator(keras.callbacks.Callback):
    """Every so many kimg, and at the end: the metrics in the tick's line, and RUN/best/ where they are better.

    A run shorter than that is not measured. `held_out` images of the data set are not trained on; generated ones are
    compared with one half of those, and `gentrain evaluate` compares with the other. best/samples.png is the image grid
    of the best.
    """

    def __init__(
        self, run: Path, meter: Meter, dataset: Dataset, kimg: float, best_by: str, note: Note, held_out: int = 0
    ) -> None:
        super().__init__()
        self.held_out = held_out
        self.unseen = holdout.split(dataset, held_out)[1] if held_out else None
        self.run, self.best, self.meter, self.dataset, self.note = run, run / "best", meter, dataset, note
        self.images, self.by = max(1, round(kimg * 1000)), best_by
        self.measured_at = meter.before.images_seen
        self.judge: Any = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        assert logs is not None
        seen = self.meter.progress.images_seen
        at_end = seen >= max(self.images, int(self.model.images_total.numpy()))
        if seen // self.images > self.measured_at // self.images or at_end:
            scores = self.measure()
            logs.update(scores)
            self.measured_at = seen
            if nearest.copies(scores["memorised"], scores.get("originality")):
                self.note(f"warning: {_copying(scores)}: this is not kept as the best")
            elif self._is_better(scores[self.by]):
                keep_networks(self.model, self.best)
                images.save_png(grid(self.model), self.best / "samples.png")
                write_json(self.best / "best.json", {"kimg": seen / 1000, "by": self.by, **scores})

    def measure(self) -> dict[str, float]:
        """Every metric for the EMA generator; the feature net is made ready at the first call."""
        if self.judge is None:
            from gentrain.metrics import feature_files

            self.note("measuring for the first time: the feature net is made ready …")
            self.judge = self._judge()
            if self.judge.unknown:
                self.note(f"warning: {self.judge.unknown}")
            if not self.dataset.frames:
                feature_files.keep(self.judge, self.run)
        return self.judge.score_generator(self.model.ema, FIRST_SEED)

    def _judge(self) -> Any:
        from gentrain.metrics import exposures
        from gentrain.metrics.judge import Judge
        from gentrain.metrics.motion import ClipJudge
        from gentrain.metrics.style import StyleJudge
        from gentrain.metrics.translation import PairJudge, translates

        if self.dataset.inputs is not None:
            return StyleJudge(self.dataset, self.held_out, SAMPLES, "random")
        indices = self.dataset.distinct if self.unseen is None else self.unseen
        if translates(self.model.ema):
            if self.dataset.frames:
                return ClipJudge(self.dataset, indices[:SAMPLES])
            return PairJudge(self.dataset, indices[:SAMPLES], "random")
        through = self.model.settings.seen_through
        choosing = None if self.unseen is None else holdout.halves(self.unseen)[0]
        features = "random" if self.dataset.frames else "auto"
        return Judge(exposures.of(self.dataset), features, SAMPLES, 0, None, self.unseen, through, choosing)

    def _is_better(self, value: float) -> bool:
        try:
            best = json.loads((self.best / "best.json").read_text(encoding="utf-8"))
            before = float(best[self.by])
        except (OSError, ValueError, KeyError, TypeError):
            return math.isfinite(value)
        return value < before if METRICS[self.by].better == "lower" else value > before


def _copying(scores: dict[str, float]) -> str:
    if scores["memorised"] > nearest.MEMORISER:
        return f"{scores['memorised']:.0%} of the images are copies"
    return f"the images are copies, {scores['originality']:.2f} times as far from training images as new ones would be"
