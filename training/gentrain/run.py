"""One training: start it or go on with it, leave a run directory (contract 1)."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gentrain import conditions, quiet
from gentrain.conditions import interface
from gentrain.data import holdout
from gentrain.data.dataset import Dataset
from gentrain.data.stream import batches, beside
from gentrain.errors import TrainError
from gentrain.files import sweep, write_json
from gentrain.files.locks import lock as lock_file
from gentrain.plan import ARTIFACTS, LOCK, Plan, began_with, describe
from gentrain.settings import Settings
from gentrain.training import checkpoints, examples, initial, memory
from gentrain.training.callbacks import Note, Show
from gentrain.training.checkpoints import Progress

if TYPE_CHECKING:
    from gentrain.training.callbacks.keeper import Keeper
    from gentrain.training.callbacks.meter import Meter
    from gentrain.training.devices import Devices
    from gentrain.training.gan import GAN

# Steps in one call of the compiled graph: the losses are shown and a stop is heeded this often.
STEPS_PER_EXECUTION = 8

# Added to the seed, so that inputs of their own come in another order than the images beside them.
OF_INPUTS = 2**32

# With fewer images a training is not measured: half of them are the reference, and neighbours are counted.
FEWEST_MEASURED = 40


def fit(
    plan: Plan,
    dataset: Dataset,
    show: Show,
    note: Note = lambda line: None,
    devices: Devices | None = None,
) -> Progress:
    """Train until the plan is done, or until Ctrl-C or SIGTERM; either way the state is kept.

    Args:
        plan: from `plan`.
        dataset: the plan's images, from `gentrain.sources.read`.
        show: called every few steps with how far the run is, its total of images, and the latest losses.
        note: called with a line that the user should read, about a collapse for one.
        devices: what to train on; by default as `Devices("auto")` finds it.

    Returns:
        How far the run is now.

    Raises:
        TrainError: too few images, other images than the run began with, losses no longer finite, a full disk.

    Example:
    ```python
    from gentrain import plan, run, sources

    begun = plan.plan(Path("runs/digits"), data="digits", preset="quick")
    dataset = sources.read(begun.data, begun.frame)
    done = run.fit(begun, dataset, show=lambda now, images_total, values: print(now.images_seen, values["g_loss"]))
    ```
    """
    _check_images(plan, dataset)
    conditioning = conditions.of_run(plan.settings, dataset)
    quiet.import_tensorflow()
    from gentrain import networks
    from gentrain.training.callbacks.meter import Meter
    from gentrain.training.devices import Devices

    networks.check(conditioning, plan.settings)
    devices = devices or Devices("auto")
    plan = _resolved(plan, dataset, devices, note)
    with locked(plan.run, note) if devices.first else nullcontext():
        if devices.first:
            _prepare(plan, dataset)
        gan = _gan(plan, dataset, conditioning, devices, note)
        meter = Meter(plan.done, show, plan.settings.batch * STEPS_PER_EXECUTION)
        gan.examples = examples.held_out(conditioning, dataset, plan.settings.held_out)
        keeper, periodic = _callbacks(plan, dataset, devices, meter, note)
        if devices.first:
            write_json(plan.run / "interface.json", interface.describe(plan.settings, dataset))
            if gan.examples is not None:
                gan.examples.save(plan.run / "examples.npz")
        _train_and_keep(gan, dataset, devices, periodic, keeper, note)
        return meter.progress


def record_place(plan: Plan, dataset: Dataset) -> None:
    """Write down where the images of a run lie now; raises TrainError where these are others."""
    _check_images(plan, dataset)
    path = plan.run / "config.json"
    write_json(path, json.loads(path.read_text(encoding="utf-8")) | {"data": plan.data})
    write_json(plan.run / "dataset.json", dataset.describe())


def _resolved(plan: Plan, dataset: Dataset, devices: Devices, note: Note) -> Plan:
    """The plan with nothing left open in its settings; raises TrainError for a batch that the devices cannot share."""
    from gentrain.training.devices import best_precision

    count, (height, width, channels) = len(dataset.images), dataset.picture_shape
    s = plan.settings.resolved((height, width), channels, best_precision())
    s = dataclasses.replace(s, held_out=holdout.count(count, s))
    features = f", features_weight {s.features_weight:g}" if s.features_weight else ""
    note(f"precision {s.precision}, gamma {s.gamma:g} to {s.gamma_final:g}, augment up to {s.augment:g}{features}")
    if s.held_out:
        note(f"{s.held_out} of {count} {dataset.things} are held out for evaluation")
    if s.batch % devices.replicas:
        shared = -(-s.batch // devices.replicas) * devices.replicas
        raise TrainError(f"batch {s.batch} cannot be shared by {devices.replicas} devices; try --batch {shared}")
    return dataclasses.replace(plan, settings=s)


def _gan(plan: Plan, dataset: Dataset, conditioning: conditions.Conditions, devices: Devices, note: Note) -> GAN:
    """The networks as they begin, or as the newest checkpoint has them.

    What a run starts from is kept as its first checkpoint, since the other run may go on.
    """
    from gentrain.training.gan import GAN

    s = plan.settings
    height, width, channels = dataset.picture_shape
    with devices.strategy.scope():
        gan = GAN((height, width), channels, conditioning, s)
        gan.compile(steps_per_execution=STEPS_PER_EXECUTION)
    checkpoint = checkpoints.latest(plan.run)
    if devices.first and checkpoint is not None:
        checkpoints.restore(checkpoint, gan)
    elif devices.first and plan.init_from is not None:
        note(initial.restore(plan.init_from, gan))
        checkpoints.save(plan.run, gan, Progress())
    devices.take_from_first(gan.state)
    return gan


def _callbacks(
    plan: Plan, dataset: Dataset, devices: Devices, meter: Meter, note: Note
) -> tuple[Keeper | None, list[Any]]:
    """All but the polite stop, in the order in which they need each other; and the one that keeps, where one does."""
    from gentrain.training.callbacks.evaluator import Evaluator
    from gentrain.training.callbacks.keeper import Keeper
    from gentrain.training.callbacks.log import Log
    from gentrain.training.callbacks.meter import Clock
    from gentrain.training.callbacks.watch import Guard, Watch

    s, run = plan.settings, plan.run
    periodic: list[Any] = [meter, Guard(run)]
    if s.minutes:
        periodic.append(Clock(meter, s.minutes, devices))
    if not devices.first:
        return None, periodic
    fewest = min(len(found.images) for found in (dataset, dataset.inputs) if found is not None)
    if s.kimg_per_evaluation and fewest >= FEWEST_MEASURED:
        periodic.append(Evaluator(run, meter, dataset, s.kimg_per_evaluation, s.best_by, note, s.held_out))
    log = Log(run, meter)
    keeper = Keeper(run, meter, log, s.kimg_per_checkpoint)
    return keeper, [*periodic, Watch(note), log, keeper]


def _train_and_keep(
    gan: GAN, dataset: Dataset, devices: Devices, periodic: list[Any], keeper: Keeper | None, note: Note
) -> None:
    """Train to the end of the run or until a signal stops it, and keep what was learned."""
    from gentrain.training.callbacks.stop import PoliteStop

    stop = PoliteStop(devices)
    out_of_memory = memory.OutOfMemory(gan)
    if out_of_memory.is_likely:
        note(f"warning: this may take more memory than there is; if it is killed, {out_of_memory.way_out}")
    try:
        with memory.reported_as(out_of_memory):
            _train(gan, dataset, devices, [*periodic, stop])
        if keeper is not None:
            keeper.keep()
    finally:
        stop.release()


def _train(gan: GAN, dataset: Dataset, devices: Devices, periodic: list[Any]) -> None:
    """Tick by tick to the end of the run, or until a callback stops it."""
    from gentrain.training.loop import Loop

    s = gan.settings
    fit = gan.fit if devices.replicas == 1 else Loop(gan, devices.strategy).fit
    for executions, ticks in _ticks(s, int(gan.images_seen.numpy())):
        first = int(gan.images_seen.numpy()) // s.batch
        stream = _stream(gan, dataset, first)
        fit(
            devices.feed(stream, gan.parts),
            epochs=ticks,
            steps_per_epoch=executions * STEPS_PER_EXECUTION,
            callbacks=periodic,
            shuffle=False,
            verbose=0,
        )
        if gan.stop_training:
            break


def _stream(gan: GAN, dataset: Dataset, first: int) -> Any:
    """Batches of the images that are trained on, from number `first` on."""
    s = gan.settings
    how = (gan.parts * s.batch, s.seed, first, gan.parts)
    chosen = holdout.split(dataset, s.held_out)[0] if s.held_out else None
    columns = conditions.columns(gan.conditions, dataset)
    if dataset.inputs is None:
        return batches(columns, *how, chosen)
    inputs = {"image": columns.pop("image")}
    of_inputs = holdout.split_inputs(dataset, s.held_out)[0] if s.held_out else None
    return beside(batches(columns, *how, chosen), batches(inputs, how[0], s.seed + OF_INPUTS, *how[2:], of_inputs))


def _prepare(plan: Plan, dataset: Dataset) -> None:
    """Clear what a kill left half-written, and what is to be started over; write down what is trained."""
    sweep(plan.run.glob("**/.tmp-*"))
    if not plan.continues:
        for name in ARTIFACTS:
            _remove(plan.run / name)
    write_json(plan.run / "dataset.json", dataset.describe())
    write_json(plan.run / "config.json", describe(plan, dataset))


@contextmanager
def locked(run: Path, note: Note) -> Iterator[None]:
    """Keep a second training out of the same run directory; the lock goes with the process."""
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock = (run / LOCK).open("w")
        lock_file(lock, wait=False, note=note)
    except BlockingIOError:
        raise TrainError(f"{run}: another training is under way there; wait for it, or take another --run") from None
    except OSError as error:
        raise TrainError(f"{run}: cannot be written to: {error.strerror or error}") from error
    with lock:
        yield


def _ticks(s: Settings, images_seen: int) -> list[tuple[int, int]]:
    """The rest of the run as (executions a tick, ticks): ticks end at the same images, wherever the run goes on."""
    images = s.batch * STEPS_PER_EXECUTION
    tick = max(1, round(s.kimg_per_tick * 1000 / images))
    first = images_seen // images
    total = 2**31 if s.minutes else -(-round(s.kimg * 1000) // images)
    to_next = min(-first % tick, total - first)
    whole, last = divmod(total - first - to_next, tick)
    return [
        (executions, ticks) for executions, ticks in ((to_next, 1), (tick, whole), (last, 1)) if executions and ticks
    ]


def _check_images(plan: Plan, dataset: Dataset) -> None:
    if len(dataset.images) < 2:
        found = f"{len(dataset.images)} image; a GAN needs many, at the very least 2"
        raise TrainError(f"{plan.data}: {found}; `gentrain data {plan.data}` shows what was read")
    if not plan.continues:
        return
    then = began_with(plan.run)
    if then["fingerprint"] != dataset.fingerprint:
        raise TrainError(
            f"{plan.data}: not the images that {plan.run} began with ({then['count']} of {then['image_shape']} then, "
            f"{len(dataset.images)} of {list(dataset.images.shape[1:])} now); take another --run"
        )


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise TrainError(f"{path}: cannot be removed: {error.strerror}") from error
