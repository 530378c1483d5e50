"""Generated images with labels: from a generator trained on the drawn real images alone, or from one that exists."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gentrain import plan as plans
from gentrain import quiet, sources
from gentrain import run as training
from gentrain.commands.study.options import Options
from gentrain.data.dataset import Dataset
from gentrain.errors import TrainError, UsageError
from gentrain.files import replacing
from gentrain.images import to_pixels
from gentrain.report.record import input_names

Images = np.ndarray[Any, np.dtype[np.uint8]]
Labels = np.ndarray[Any, np.dtype[np.int32]]

AT_ONCE = 500  # images a call of the generator


def plan(options: Options, run: Path, data: Path | str, seed: int) -> plans.Plan:
    """The training of one generator, as `gentrain fit` would plan it.

    Raises:
        UsageError: the preset or a setting cannot be, or is the command's own; or it trains something else.
    """
    own = {"conditional": True, "seed": seed, "kimg": options.kimg}
    for name, _ in options.changes:
        if name in own:
            raise UsageError(f"--set {name}: this command sets it, here to {own[name]}")
    # Measuring takes time, and it is the last generator that is used.
    changes = {"kimg_per_evaluation": 0.0, "held_out": 0, **dict(options.changes), **own}
    planned = plans.plan(run, str(data), options.preset, changes)
    if planned.settings.conditions or planned.settings.frames:
        raise UsageError(f"--preset {options.preset}, or --set, makes other things than images of classes")
    return planned


def train(options: Options, real: Dataset, run: Path, seed: int, show: Callable[[], Any]) -> Path:
    """Train a conditional generator on `real` and nothing else, or go on with it; gives its .keras file.

    The images lie in RUN.npz, so that the run is one that every command of gentrain takes.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM; the training is kept, and goes on next time.
    """
    data = run.with_name(run.name + ".npz")
    assert real.labels is not None
    if not data.exists():
        with replacing(data) as temporary, temporary.open("wb") as file:
            np.savez(file, images=real.images, labels=real.labels, class_names=np.array(real.class_names))
    planned = plan(options, run, data, seed)
    if not planned.finished:
        with show() as line:
            done = training.fit(planned, sources.read(planned.data, planned.frame), line.show, line.note)
        if not plans.plan(run).finished:
            raise KeyboardInterrupt(f"at {done.images_seen} images")
    return run / "generator.keras"


def check(generator: Path) -> str:
    """The SHA-256 of a conditional generator's file.

    Raises:
        TrainError: it cannot be read, or has no input `labels`.
    """
    try:
        digest = hashlib.sha256(generator.read_bytes()).hexdigest()
    except OSError as error:
        raise TrainError(f"{generator}: cannot be read: {error.strerror}") from error
    if {"latents", "labels"} - set(input_names(generator)):
        raise TrainError(
            f"{generator}: no conditional generator; expected a .keras file with inputs latents and labels"
        )
    return digest


def draw(generator: Path, shape: tuple[int, ...], classes: int, count: int, seed: int) -> tuple[Images, Labels]:
    """`count` images of every class: uint8 (classes · count, *shape) and their labels int32.

    Raises:
        TrainError: the generator cannot be loaded, makes images of another shape, or knows fewer classes.
    """
    quiet.import_tensorflow()
    import keras

    try:
        model = keras.models.load_model(generator, compile=False)
    except Exception as error:  # Keras raises many kinds, by what is wrong with the file
        raise TrainError(f"{generator}: cannot be loaded: {str(error).strip().splitlines()[0]}") from error
    if model.output_shape[1:] != shape:
        raise TrainError(f"{generator}: makes images of {model.output_shape[1:]}; the data has {shape}")
    size = next(tensor.shape[1] for tensor in model.inputs if tensor.name == "latents")
    labels = np.repeat(np.arange(classes, dtype=np.int32), count)
    latents = np.random.default_rng([seed, classes]).standard_normal((len(labels), size), np.float32)
    images = np.empty((len(labels), *shape), np.uint8)
    for start in range(0, len(labels), AT_ONCE):
        rows = slice(start, start + AT_ONCE)
        try:
            drawn = model({"latents": latents[rows], "labels": labels[rows]}, training=False)
        except Exception as error:  # tf.errors.InvalidArgumentError and others: a label beyond its embedding
            raise TrainError(f"{generator}: fails for labels up to {labels[rows][-1]} of {classes} classes") from error
        images[rows] = to_pixels(np.asarray(drawn))
    return images, labels
