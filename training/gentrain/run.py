"""One training: start it or go on with it, leave a run directory (contract 1)."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

from gentrain import checkpoints, quiet
from gentrain.callbacks import Note, Show
from gentrain.checkpoints import Progress
from gentrain.dataset import Dataset
from gentrain.errors import TrainError
from gentrain.files import write_json
from gentrain.plan import ARTIFACTS, Plan, describe
from gentrain.stream import batches

# Steps in one call of the compiled graph: the losses are shown and a stop is heeded this often.
STEPS_PER_EXECUTION = 8

# With fewer images a training is not measured: half of them are the floor, and neighbours are counted.
FEWEST_MEASURED = 40


def fit(plan: Plan, dataset: Dataset, show: Show, note: Note = lambda line: None) -> Progress:
    """Train until the plan is done, or until Ctrl-C or SIGTERM; either way the state is kept.

    Args:
        plan: from `plan`.
        dataset: the plan's images, from `gentrain.sources.read`.
        show: called every few steps with how far the run is, its total of images, and the latest losses.
        note: called with a line that the user should read, about a collapse for one.

    Returns:
        How far the run is now.

    Raises:
        TrainError: too few images, other images than the run began with, losses no longer finite, a full disk.
    """
    _check_images(plan, dataset)
    quiet.import_tensorflow()
    from gentrain.callbacks.evaluator import Evaluator
    from gentrain.callbacks.keeper import Keeper
    from gentrain.callbacks.log import Log
    from gentrain.callbacks.meter import Clock, Meter
    from gentrain.callbacks.stop import PoliteStop
    from gentrain.callbacks.watch import Guard, Watch
    from gentrain.devices import best_precision, feed
    from gentrain.gan import GAN

    if plan.settings.precision == "auto":
        plan = dataclasses.replace(plan, settings=dataclasses.replace(plan.settings, precision=best_precision()))
    for left in plan.run.glob("**/.tmp-*"):  # by a kill while it was written
        _remove(left)
    if not plan.continues:
        for name in ARTIFACTS:
            _remove(plan.run / name)
    write_json(plan.run / "dataset.json", dataset.describe())
    write_json(plan.run / "config.json", describe(plan, dataset))

    s = plan.settings
    _, side, _, channels = dataset.images.shape
    gan = GAN(side, channels, len(dataset.class_names) if s.conditional else 0, s)
    gan.compile(steps_per_execution=STEPS_PER_EXECUTION)
    checkpoint = checkpoints.latest(plan.run)
    if checkpoint is not None:
        checkpoints.restore(checkpoint, gan)

    meter, stop = Meter(plan.done, show), PoliteStop()
    log = Log(plan.run, meter)
    keeper = Keeper(plan.run, meter, log, s.kimg_per_checkpoint)
    periodic: list[Any] = [meter, Guard(plan.run)]
    if s.minutes:
        periodic.append(Clock(meter, s.minutes))
    if s.kimg_per_evaluation and len(dataset.images) >= FEWEST_MEASURED:
        periodic.append(Evaluator(plan.run, meter, dataset, s.kimg_per_evaluation, s.best_by, note))
    periodic += [Watch(note), log, keeper, stop]

    try:
        for executions, ticks in _ticks(plan):
            gan.fit(
                feed(batches(dataset, gan.parts * s.batch, s.seed, int(gan.images_seen.numpy()) // s.batch), gan.parts),
                epochs=ticks,
                steps_per_epoch=executions * STEPS_PER_EXECUTION,
                callbacks=periodic,
                shuffle=False,
                verbose=0,
            )
            if gan.stop_training:
                break
        keeper.keep()
    finally:
        stop.release()
    return meter.progress


def _ticks(plan: Plan) -> list[tuple[int, int]]:
    """The rest of the run as (executions a tick, ticks): ticks end at the same images, wherever the run goes on."""
    s = plan.settings
    images = s.batch * STEPS_PER_EXECUTION
    tick = max(1, round(s.kimg_per_tick * 1000 / images))
    first = plan.done.images_seen // images
    total = 2**31 if s.minutes else -(-round(s.kimg * 1000) // images)
    to_next = min(-first % tick, total - first)
    whole, last = divmod(total - first - to_next, tick)
    return [
        (executions, ticks) for executions, ticks in ((to_next, 1), (tick, whole), (last, 1)) if executions and ticks
    ]


def _check_images(plan: Plan, dataset: Dataset) -> None:
    if len(dataset.images) < 2:
        raise TrainError(f"{plan.data}: {len(dataset.images)} image; a GAN needs many, at the very least 2")
    if not plan.continues:
        return
    then = json.loads((plan.run / "dataset.json").read_text(encoding="utf-8"))
    if then["fingerprint"] != dataset.fingerprint:
        raise TrainError(
            f"{plan.data}: not the images that {plan.run} began with ({then['count']} of {then['image_shape']} then, "
            f"{len(dataset.images)} of {list(dataset.images.shape[1:])} now); take another --run or --fresh"
        )


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise TrainError(f"{path}: cannot be removed: {error.strerror}") from error
