"""What `gentrain evaluate` measures: the generator of a run or a bare .keras file, and the images that go with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gentrain import plan, quiet
from gentrain.data import holdout, sizes
from gentrain.data.dataset import Frame
from gentrain.errors import TrainError, UsageError
from gentrain.files import write_json
from gentrain.progress import echo
from gentrain.settings import UNKNOWN_FPS
from gentrain.training import checkpoints

if TYPE_CHECKING:
    from gentrain.data.dataset import Dataset
    from gentrain.metrics.judge import Judge
    from gentrain.metrics.style import StyleJudge
    from gentrain.metrics.translation import PairJudge


@dataclass(frozen=True)
class Subject:
    """A generator's file and its images' source; `run` and `snapshot` (`best` or `last`) where it is a run's."""

    file: Path
    data: str
    run: Path | None = None
    snapshot: str | None = None

    @cached_property
    def generator(self) -> Any:
        """The Keras model; raises TrainError for a file that is none."""
        quiet.import_tensorflow()
        import keras

        try:
            return keras.models.load_model(self.file, compile=False)
        except Exception as error:  # zipfile, h5py, json and Keras each raise their own
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise TrainError(f"{self.file}: not a Keras model that can be loaded: {reason[:200]}") from error

    @property
    def _plan(self) -> plan.Plan:
        assert self.run is not None
        return plan.plan(self.run, self.data)

    @property
    def frame(self) -> Frame:
        """How the images are prepared: as the run had them, or as a bare generator makes them.

        Raises:
            TrainError: a bare generator does not make images of 8 to 256 pixels a side, grey or in colour.
        """
        if self.run:
            return self._plan.frame
        shape = tuple(self.generator.output_shape) if len(self.generator.outputs) == 1 else ()
        try:
            *before, height, width, channels = shape
            if len(before) not in (1, 2):
                raise ValueError
            return Frame(sizes.written((height, width)), channels, frames=before[1] if before[1:] else 0)
        except (ValueError, TypeError, UsageError):
            expected = "images (N, H, W, 1 or 3) or square clips (N, T, …), sides multiples of 4 from 8 to 256"
            raise TrainError(f"{self.file}: output is {shape}, expected {expected}") from None

    @property
    def kimg(self) -> float | None:
        """Thousand images that the generator was trained on, where that is known."""
        if self.run is None:
            return None
        if self.snapshot == "last":
            return checkpoints.progress_of(checkpoints.latest(self.run)).images_seen / 1000
        try:
            return float(json.loads((self.file.parent / "best.json").read_text(encoding="utf-8"))["kimg"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def check(self, dataset: Dataset) -> None:
        """Raises TrainError if these are not the images that the run was trained on."""
        if self.run is None:
            return
        then = plan.began_with(self.run)["fingerprint"]
        if then != dataset.fingerprint:
            raise TrainError(
                f"{self.data}: not the images that {self.run} was trained on (fingerprint {dataset.fingerprint[:12]}, "
                f"expected {then[:12]}); --data names where those are now"
            )

    def unseen(self, dataset: Dataset) -> Any:
        """Indices of the images that the run held out of its training; None where it held out none."""
        return holdout.split(dataset, self.held_out)[1] if self.held_out > 0 else None

    @property
    def fps(self) -> float:
        """Frames a second that its clips are played at."""
        return self._plan.settings.shown_fps if self.run else UNKNOWN_FPS

    @property
    def held_out(self) -> int:
        """How many images the run held out of its training; 0 where that is not known."""
        return max(self._plan.settings.held_out, 0) if self.run else 0

    @property
    def seen_through(self) -> str:
        """The pretrained net that it was trained through; empty for none, or where that is not known."""
        return self._plan.settings.seen_through if self.run else ""

    def describe(self) -> dict[str, Any]:
        """What metrics.json says of it."""
        return {"generator": self.file.name, "snapshot": self.snapshot, "kimg": self.kimg, "data": self.data}

    def keep(
        self,
        report: dict[str, Any],
        judge: Judge | PairJudge | StyleJudge | None,
        out: Path | None,
        picture: str,
        draw: Callable[[Path], object],
    ) -> None:
        """Write a report, a picture beside it, and into a run the feature net; nothing for a bare file without `out`.

        Args:
            report: what metrics.json is to hold.
            judge: whose feature net is kept; None for none.
            out: where the report goes; None for the run's metrics.json.
            picture: the picture's file name.
            draw: writes it to a path.
        """
        from gentrain.metrics import feature_files

        target = out or (self.run and self.run / "metrics.json")
        if not target:
            return
        beside = target.with_name(picture)
        draw(beside)
        write_json(target, report)
        if self.run and judge is not None:
            feature_files.keep(judge, self.run)
        echo(f"{target}, {beside}")


def find(path: Path, data: str | None = None, snapshot: str | None = None) -> Subject:
    """The generator at `path`, a run directory or a .keras file.

    Args:
        path: what to measure.
        data: the source of its images, where they are not where the run found them; a .keras file needs it.
        snapshot: `best` or `last` of a run; None for the best where one was kept.

    Raises:
        TrainError: neither a run nor a .keras file is there, or the run has no such snapshot.
        UsageError: a .keras file without data, or with a snapshot.
    """
    if path.is_file():
        return _bare(path, data, snapshot)
    if not (path / "config.json").is_file():
        raise TrainError(
            f"{path}: no run (it has no config.json) and no .keras file; "
            f"`gentrain fit --data SOURCE --run {path}` makes one"
        )
    plan.refuse_detector(path)
    best, last = path / "best" / "generator.keras", path / "generator.keras"
    chosen = snapshot or ("best" if best.exists() else "last")
    file = best if chosen == "best" else last
    if not file.exists():
        other = "--snapshot last takes the newest" if chosen == "best" else f"gentrain fit --run {path} goes on with it"
        raise TrainError(f"{file}: no such generator: the run has kept no {chosen} snapshot; {other}")
    return Subject(file, plan.plan(path, data).data, path, chosen)


def _bare(file: Path, data: str | None, snapshot: str | None) -> Subject:
    if file.suffix != ".keras":
        raise TrainError(f"{file}: expected a run directory or a .keras file")
    if data is None:
        raise UsageError(f"{file}: a generator without its run needs --data, the images to compare it with")
    if snapshot is not None:
        raise UsageError(f"--snapshot {snapshot}: {file} is not a run and has no snapshots")
    return Subject(file, data)
