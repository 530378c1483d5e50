"""What a training is to be: settings from a preset or from the run that it continues, compared without TensorFlow, so
that a mistake or a finished run is reported at once.
"""

from __future__ import annotations

import dataclasses
import glob
import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gentrain import sources
from gentrain.data.dataset import Dataset, Frame
from gentrain.errors import TrainError, UsageError
from gentrain.presets import (
    ANIMATION_PRESET,
    CLIPS_PRESET,
    DEFAULT_PRESET,
    PRESETS,
    STYLE_PRESET,
    TEXT_PRESET,
    TRANSLATION_PRESET,
)
from gentrain.settings import BEFORE, MAY_CHANGE, Settings
from gentrain.sources import pairs
from gentrain.sources.folder import RUN_FILES
from gentrain.training import checkpoints, initial
from gentrain.training.checkpoints import Progress

ARTIFACTS = (
    "config.json",
    "dataset.json",
    "interface.json",
    "generator.keras",
    "discriminator.keras",
    "best",
    "checkpoints",
    "log.jsonl",
    "events",
    "samples",
    "examples.npz",
    "features.keras",
    "features.npz",
    "encoder.keras",
    "encoder.json",
    "metrics.json",
    "nearest.png",
    "translations.png",
    "animations.png",
    "animations.webp",
    "report.html",
    "timelapse.webp",
)

LOCK = ".lock"

DETECTION = "fake-detection"
"""What config.json names as the task of a detector."""


@dataclass(frozen=True)
class Plan:
    """What is to be trained, where, and how far that is already."""

    run: Path
    data: str
    preset: str
    settings: Settings
    done: Progress
    continues: bool
    init_from: Path | None = None
    moved: bool = False  # whether the data lie elsewhere than the run last found them

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        if self.settings.minutes:
            return self.done.seconds >= self.settings.minutes * 60
        return self.done.images_seen >= self.settings.kimg * 1000

    @property
    def frame(self) -> Frame:
        """How the images are prepared."""
        return self.settings.frame


def plan(
    run: Path,
    data: str | None = None,
    preset: str | None = None,
    changes: Mapping[str, Any] | None = None,
    epochs: float | None = None,
    fresh: bool = False,
    read: Callable[[str, Frame], Dataset] = sources.read,
    init_from: Path | None = None,
) -> Plan:
    """Settle what `fit` is to do; nothing is written.

    Args:
        run: the run directory; one that exists is continued.
        data: a source (see `gentrain.sources`); a new run needs one, for another the place where its images are now.
        preset: a name of `PRESETS`; by default what fits: pairs are translated, a style taken on, captions drawn.
        changes: settings that differ from the preset's.
        epochs: the length, in times that every image is shown to each network.
        fresh: start over, whatever the run directory holds.
        read: what counts the images for `epochs`.
        init_from: a run or a .keras file whose networks the run starts from; a run lends its data and settings too.

    Raises:
        UsageError: an unknown preset, a setting out of its range, a new run without data, nothing to start from.
        TrainError: the folder is no run, or settings differ from those that the run began with.

    Example:
    ```python
    new = plan(Path("runs/photos"), data="photos/", preset="medium", changes={"kimg": 100.0, "flip": True})
    longer = plan(Path("runs/photos"), changes={"kimg": 200.0})  # once the run has begun
    ```
    """
    changes = dict(changes or {})
    if preset is not None and preset not in PRESETS:
        raise UsageError(f"--preset {preset}: no such preset; there are {', '.join(PRESETS)}")
    begun = _read_config(run, fresh)
    if begun is None:
        if preset is None and init_from is None:
            preset = _fitting(data or "", changes)
        data, preset, settings = _beginning(run, data, preset, init_from)
        done = Progress()
        if init_from is not None:
            changes.setdefault("ema_rampup", initial.NO_RAMPUP)
    else:
        if changes.get("precision") == "auto":  # what it came to stays
            del changes["precision"]
        settings, done = _settings_of(run, begun), checkpoints.progress_of(checkpoints.latest(run))
        _refuse_changes(run, begun, settings, data, preset, changes, init_from)
        data, preset = data or _still_there(run, begun["data"]), begun["preset"]
        init_from = Path(begun["init_from"]) if begun.get("init_from") else None
    for source in filter(None, (data, {**dataclasses.asdict(settings), **changes}["style"])):
        _refuse_outputs_as_data(run, source)
    if epochs is not None:
        frame = dataclasses.replace(settings, **changes).frame
        count = begun["image_count"] if begun else len(read(data, frame).images)
        changes["kimg"] = epochs * count / 1000
    if "kimg" in changes:
        changes.setdefault("minutes", 0.0)
    settings = dataclasses.replace(settings, **changes)
    moved = begun is not None and data != begun["data"]
    return Plan(run, data, preset, settings, done, begun is not None, init_from, moved)


def _beginning(run: Path, data: str | None, preset: str | None, init_from: Path | None) -> tuple[str, str, Settings]:
    """Data, preset and settings of a new run; what is not given comes from the run that it starts from."""
    lent: dict[str, Any] = {}
    settings = PRESETS[preset or DEFAULT_PRESET]()
    if init_from is not None:
        initial.check(init_from, run)
        if init_from.is_dir():
            lent = _config_of(init_from / "config.json", "take another --init-from")
            settings = settings if preset else _settings_of(init_from, lent)
            if data not in (None, lent.get("data")):  # what fits the other images
                settings = dataclasses.replace(settings, held_out=-1)
    data = data or lent.get("data")
    if data is None:
        raise UsageError(f"{run}: a new run needs --data: digits, or the path of a folder of images")
    return data, preset or lent.get("preset") or DEFAULT_PRESET, settings


def _fitting(data: str, changes: Mapping[str, Any]) -> str | None:
    """The preset for these data, where they are no plain images."""
    if changes.get("conditions") == "still":
        return ANIMATION_PRESET
    if changes.get("style"):
        return STYLE_PRESET
    if changes.get("captions"):
        return TEXT_PRESET
    if changes.get("frames") and not data.startswith("pairs:"):
        return CLIPS_PRESET
    return TRANSLATION_PRESET if changes.get("input_from") or data.startswith("pairs:") else None


def folder_of(source: str) -> Path | None:
    """Where a source lies, without links, the first place of several; None for one that is nowhere, as `digits`."""
    return next(iter(_folders_of(source)), None)


def _folders_of(source: str) -> list[Path]:
    name, _, path = source.partition(":")
    if not path and name in sources.SOURCES and sources.SOURCES[name].fits is None:  # a folder of that name is ./digits
        return []
    if name == "pairs" and not os.path.exists(source):
        found = pairs.places(path)
        return [Path(each).resolve() for each in found] if all(map(os.path.exists, found)) else []
    return [Path(each).resolve() for each in (source, path) if each and os.path.exists(each)][:1]


def _still_there(run: Path, data: str) -> str:
    """The source of a run that goes on; raises TrainError where a path leads nowhere any more."""
    name, _, path = data.partition(":")
    if (name in {*sources.SOURCES, *sources.CLIPS} and not path) or folder_of(data) is not None or glob.has_magic(data):
        return data
    raise TrainError(f"{run}: its images are no longer at {data}; --data says where they are now")


def _refuse_outputs_as_data(run: Path, data: str) -> None:
    """Raise TrainError where what one training writes would be read by the next."""
    target = run.resolve()
    for source in _folders_of(data):
        if source == target or source in target.parents:
            raise TrainError(f"{run}: lies inside the data, {data}, which its samples would join; take another --run")
        for folder in (source, *source.parents):
            if folder == target or {name for name in RUN_FILES if (folder / name).is_file()} >= RUN_FILES:
                raise TrainError(f"{data}: lies inside a run, {folder}; what a training wrote is no data for one")


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
            refuse_detector(run)
            return _config_of(path, "take another --run, or move this one away", ("settings", "data", "preset"))
        found = {entry.name for entry in run.iterdir()} if run.exists() else set()
        found = {name for name in found if name != LOCK and not name.startswith(".tmp-")}
        if found - set(ARTIFACTS):
            raise TrainError(f"{run}: holds other things and no config.json; take an empty or a new folder for --run")
        if found - {"dataset.json", "interface.json"} and not fresh:
            raise TrainError(f"{run}: holds parts of a run and no config.json; --fresh clears them")
    except NotADirectoryError:
        raise TrainError(f"{run}: not a folder") from None
    except OSError as error:
        raise TrainError(f"{path}: cannot be read ({error.strerror or error}); take another --run") from error
    return None


def _config_of(path: Path, remedy: str, needed: Sequence[str] = ()) -> dict[str, Any]:
    """What a config.json says; raises TrainError where it is damaged, or lacks what `needed` names."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict):
            raise ValueError("no JSON object")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TrainError(f"{path}: cannot be read ({reason}); {remedy}") from error
    for name in needed:
        if name not in config:
            raise TrainError(f"{path}: not of this version of genline ({name!r})")
    return config


def began_with(run: Path) -> dict[str, Any]:
    """What a run's dataset.json says of the images that it began with, their `fingerprint` above all.

    Raises:
        TrainError: it is missing or damaged.
    """
    path = run / "dataset.json"
    try:
        described: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        _ = described["fingerprint"] + "", described["count"], described["image_shape"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise TrainError(f"{path}: cannot be read ({reason}); expected what gentrain fit wrote") from error
    return described


def refuse_detector(run: Path) -> None:
    """Raise TrainError for a run directory of `gentrain detector`, in which no generator is."""
    try:
        config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    if isinstance(config, dict) and config.get("task") == DETECTION:
        raise TrainError(f"{run}: holds a detector, not a generator; its figures are in {run / 'metrics.json'}")


def _settings_of(run: Path, config: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**{**BEFORE, **config["settings"]})
    except (KeyError, TypeError) as error:
        raise TrainError(f"{run / 'config.json'}: not of this version of genline ({error})") from error


def _refuse_changes(
    run: Path,
    config: Mapping[str, Any],
    settings: Settings,
    data: str | None,
    preset: str | None,
    changes: Mapping[str, Any],
    init_from: Path | None,
) -> None:
    """Raise TrainError naming every setting that was given now and cannot differ from what the run began with.

    The place of the data may: whether these are the same images, their fingerprint decides.
    """
    requested: dict[str, Any] = {"preset": preset}
    was = {"preset": config["preset"], **dataclasses.asdict(settings)}
    if init_from is not None:
        requested["init_from"], was["init_from"] = str(init_from), config.get("init_from") or "nothing"
    requested = {name: value for name, value in requested.items() if value is not None}
    requested |= {name: value for name, value in changes.items() if name not in MAY_CHANGE}
    differing = [f"{name} {was[name]} (now {value})" for name, value in requested.items() if value != was[name]]
    if differing and data not in (None, config["data"]):
        differing.append(f"data {config['data']} (now {data})")
    if differing:
        raise TrainError(f"{run} began with {', '.join(differing)}; take another --run")


def describe(plan: Plan, dataset: Dataset) -> dict[str, Any]:
    """What config.json holds."""
    return {
        "data": plan.data,
        "preset": plan.preset,
        "settings": {
            name: value for name, value in dataclasses.asdict(plan.settings).items() if _is_recorded(name, value)
        },
        "init_from": None if plan.init_from is None else str(plan.init_from),
        "image_count": len(dataset.images),
        "image_shape": list(dataset.images.shape[1:]),
        "seed": plan.settings.seed,
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("genline", "tensorflow", "keras", "numpy")},
        },
        "git_commit": _git_commit(),
    }


def _is_recorded(name: str, value: Any) -> bool:
    """Whether a setting is in config.json: conditions do where there are any."""
    return name != "conditions" or bool(value)


def _git_commit() -> str | None:
    """The commit of the code that trains, where it runs from a checkout."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
