"""All that resuming needs, one folder a checkpoint under RUN/checkpoints, each whole or not there at all.

Data order and noise follow from the seed and the image counter, so weights, optimisers and that counter are everything.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gentrain.errors import TrainError
from gentrain.files import disk_errors, replacing

if TYPE_CHECKING:
    from gentrain.training.gan import GAN

KEPT = 2


@dataclass(frozen=True)
class Progress:
    """How far a run has come: real images shown to the discriminator, and seconds of training."""

    images_seen: int = 0
    seconds: float = 0.0


def latest(run: Path) -> Path | None:
    """The newest checkpoint of a run, if there is any."""
    found = sorted((run / "checkpoints").glob("[0-9]*"))
    return found[-1] if found else None


def progress_of(checkpoint: Path | None) -> Progress:
    """How far a checkpoint is, read without TensorFlow; the start where there is none.

    Raises:
        TrainError: the checkpoint's progress.json is damaged.
    """
    if checkpoint is None:
        return Progress()
    try:
        return Progress(**json.loads((checkpoint / "progress.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise TrainError(
            f"{checkpoint}: damaged checkpoint ({error}); remove it to go on from the one before"
        ) from error


def save(run: Path, gan: GAN, progress: Progress) -> Path:
    """Write a checkpoint and remove all but the newest `KEPT`.

    Raises:
        TrainError: it cannot be written; the checkpoints before it are intact.
    """
    place = run / "checkpoints" / f"{progress.images_seen:012d}"
    if not place.exists():
        with replacing(place) as folder:
            folder.mkdir()
            with disk_errors(place):
                _trackable(gan).write(str(folder / "state"))
            (folder / "progress.json").write_text(json.dumps(asdict(progress)) + "\n", encoding="utf-8")
    for old in sorted(place.parent.glob("[0-9]*"))[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return place


def restore(checkpoint: Path, gan: GAN) -> None:
    """Put the state of a checkpoint into a compiled GAN of the same settings.

    Raises:
        TrainError: files are damaged or belong to other networks.
    """
    try:
        _trackable(gan).read(str(checkpoint / "state")).assert_consumed()
    except Exception as error:  # tf.errors.*, AssertionError and ValueError, by what is wrong with the files
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TrainError(
            f"{checkpoint}: cannot be restored ({reason}); remove it to go on from the one before"
        ) from error


def _trackable(gan: GAN):  # type: ignore[no-untyped-def]
    import tensorflow as tf

    helpers = {
        f"{kind}_{name}{suffix}": part
        for kind, networks in (("auxiliary", gan.helpers), ("rival", gan.rivals))
        for name, parts in networks.items()
        for suffix, part in zip(("", "_optimizer"), parts, strict=True)
    }
    return tf.train.Checkpoint(
        generator=gan.generator,
        discriminator=gan.discriminator,
        averaged=gan.ema,
        g_optimizer=gan.g_optimizer,
        d_optimizer=gan.d_optimizer,
        images_seen=gan.images_seen,
        augmented=gan.augmented,
        **helpers,
    )
