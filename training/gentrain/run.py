"""One training: decide what it is, start it or go on with it, leave a run directory (contract 1).

`plan` compares settings without TensorFlow, so that a mistake or a finished run is told at once; `fit` trains.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gentrain import checkpoints, quiet, sources
from gentrain.checkpoints import Progress
from gentrain.dataset import Dataset, Frame, batches
from gentrain.errors import TrainError, UsageError
from gentrain.files import write_json
from gentrain.settings import DEFAULT_PRESET, MAY_CHANGE, PRESETS, Settings

# Steps in one call of the compiled graph: the losses are shown and a stop is heeded this often.
STEPS_PER_EXECUTION = 8

ARTIFACTS = (
    "config.json",
    "dataset.json",
    "generator.keras",
    "discriminator.keras",
    "checkpoints",
    "log.jsonl",
    "events",
    "samples",
    "metrics.json",
)


@dataclass(frozen=True)
class Plan:
    """What is to be trained, where, and how far that is already."""

    run: Path
    data: str
    preset: str
    settings: Settings
    done: Progress
    continues: bool

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        if self.settings.minutes:
            return self.done.seconds >= self.settings.minutes * 60
        return self.done.images_seen >= self.settings.kimg * 1000

    @property
    def frame(self) -> Frame:
        """How the images are wanted."""
        return Frame(self.settings.resolution, self.settings.channels)


def plan(
    run: Path,
    data: str | None = None,
    preset: str | None = None,
    changes: Mapping[str, Any] | None = None,
    epochs: float | None = None,
    fresh: bool = False,
) -> Plan:
    """Settle what `fit` is to do; nothing is written.

    Args:
        run: the run directory; one that exists is continued.
        data: a source (see `gentrain.sources`); a new run needs one.
        preset: a name of `PRESETS`.
        changes: settings that differ from the preset's.
        epochs: the length, in times that every image is shown to the discriminator.
        fresh: start over, whatever the run directory holds.

    Raises:
        UsageError: an unknown preset, a setting out of its range, a new run without data.
        TrainError: the folder is no run, or settings differ from those that the run began with.
    """
    changes = dict(changes or {})
    if preset is not None and preset not in PRESETS:
        raise UsageError(f"--preset {preset}: no such preset; there are {', '.join(PRESETS)}")
    begun = _read_config(run, fresh)
    if begun is None:
        if data is None:
            raise UsageError(f"{run}: a new run needs --data: digits, or the path of a folder of images")
        preset = preset or DEFAULT_PRESET
        settings, done = PRESETS[preset](), Progress()
    else:
        settings, done = _settings_of(run, begun), checkpoints.progress_of(checkpoints.latest(run))
        _refuse_changes(run, begun, settings, data, preset, changes)
        data, preset = begun["data"], begun["preset"]
    if epochs is not None:
        count = begun["image_count"] if begun else len(sources.read(data, Frame(settings.resolution)).images)
        changes["kimg"] = epochs * count / 1000
    if "kimg" in changes:
        changes.setdefault("minutes", 0.0)
    return Plan(run, data, preset, dataclasses.replace(settings, **changes), done, continues=begun is not None)


def fit(plan: Plan, dataset: Dataset, show: Any) -> Progress:
    """Train until the plan is done, or until Ctrl-C or SIGTERM; either way the state is kept.

    Args:
        plan: from `plan`.
        dataset: the plan's images, from `gentrain.sources.read`.
        show: see `gentrain.callbacks.Show`.

    Returns:
        How far the run is now.

    Raises:
        TrainError: too few images, other images than the run began with, losses no longer finite, a full disk.
    """
    _check_images(plan, dataset)
    for left in plan.run.glob("**/.tmp-*"):  # by a kill while it was written
        _remove(left)
    if not plan.continues:
        for name in ARTIFACTS:
            _remove(plan.run / name)
    write_json(plan.run / "dataset.json", dataset.describe())
    write_json(plan.run / "config.json", describe(plan, dataset))

    # Only now TensorFlow: what is wrong with the call has been said by here.
    quiet.import_tensorflow()
    from gentrain import callbacks
    from gentrain.gan import GAN
    from gentrain.networks import build_discriminator, build_generator

    s = plan.settings
    _, side, _, channels = dataset.images.shape
    gan = GAN(
        build_generator(side, channels, s.latent_size, s.generator_width, seed=2 * s.seed),
        build_discriminator(side, channels, s.discriminator_width, seed=2 * s.seed + 1),
        s,
    )
    gan.compile(steps_per_execution=STEPS_PER_EXECUTION)
    checkpoint = checkpoints.latest(plan.run)
    if checkpoint is not None:
        checkpoints.restore(checkpoint, gan)

    meter = callbacks.Meter(plan.done, show)
    keeper = callbacks.Keeper(plan.run, meter, s.kimg_per_checkpoint)
    stop = callbacks.PoliteStop()
    periodic = [meter, callbacks.Guard(plan.run), callbacks.Log(plan.run, meter), keeper, stop]
    if s.minutes:
        periodic.append(callbacks.Clock(meter, s.minutes))

    try:
        for executions, ticks in _ticks(plan):
            gan.fit(
                batches(dataset.images, 2 * s.batch, s.seed, first_batch=int(gan.images_seen.numpy()) // s.batch),
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


def _read_config(run: Path, fresh: bool) -> dict[str, Any] | None:
    """The config.json of a run, or None for a folder that is free to become one.

    A folder with anything else in it is somebody's own and never taken. What looks like parts of a run without a
    config.json is cleared by --fresh alone.
    """
    path = run / "config.json"
    try:
        if path.exists():
            if fresh:
                return None
            config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            return config
        found = {entry.name for entry in run.iterdir() if not entry.name.startswith(".tmp-")} if run.exists() else set()
        if found - set(ARTIFACTS):
            raise TrainError(f"{run}: holds other things and no config.json; take an empty or a new folder for --run")
        if found - {"dataset.json"} and not fresh:
            raise TrainError(f"{run}: holds parts of a run and no config.json; --fresh clears them")
    except NotADirectoryError:
        raise TrainError(f"{run}: not a folder") from None
    except (OSError, ValueError) as error:
        raise TrainError(f"{path}: cannot be read ({error}); --fresh starts over") from error
    return None


def _settings_of(run: Path, config: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**config["settings"])
    except (KeyError, TypeError) as error:
        raise TrainError(
            f"{run / 'config.json'}: not of this version of genline ({error}); --fresh starts over"
        ) from error


def _refuse_changes(
    run: Path,
    config: Mapping[str, Any],
    settings: Settings,
    data: str | None,
    preset: str | None,
    changes: Mapping[str, Any],
) -> None:
    """Raise TrainError naming every setting that is asked for now and cannot differ from what the run began with."""
    asked: dict[str, Any] = {"data": data, "preset": preset}
    was = {"data": config["data"], "preset": config["preset"], **dataclasses.asdict(settings)}
    if data is not None and Path(data).exists() and Path(was["data"]).exists() and Path(data).samefile(was["data"]):
        del asked["data"]
    asked = {name: value for name, value in asked.items() if value is not None}
    asked |= {name: value for name, value in changes.items() if name not in MAY_CHANGE}
    differing = [f"{name} {was[name]} (now {value})" for name, value in asked.items() if value != was[name]]
    if differing:
        raise TrainError(f"{run} began with {', '.join(differing)}; take another --run, or --fresh to start over")


def describe(plan: Plan, dataset: Dataset) -> dict[str, Any]:
    """What config.json holds."""
    return {
        "data": plan.data,
        "preset": plan.preset,
        "settings": dataclasses.asdict(plan.settings),
        "image_count": len(dataset.images),
        "image_shape": list(dataset.images.shape[1:]),
        "seed": plan.settings.seed,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("genline", "tensorflow", "keras", "numpy")},
        },
        "git_commit": _git_commit(),
    }


def _git_commit() -> str | None:
    """The commit of the code that trains, where it runs from a checkout."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None


def _remove(path: Path) -> None:
    try:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise TrainError(f"{path}: cannot be removed: {error.strerror}") from error
