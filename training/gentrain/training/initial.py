"""A run that starts from the networks of another run, or from a generator.keras, instead of from random weights."""

from __future__ import annotations

import json
import re
import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gentrain import quiet
from gentrain.errors import TrainError, UsageError
from gentrain.presets import PRESETS
from gentrain.settings import BEFORE, Settings
from gentrain.training import checkpoints

if TYPE_CHECKING:
    from gentrain.training.gan import GAN

# The EMA does not start anew, so it is as slow from the beginning as it will be.
NO_RAMPUP = 1e6


def check(source: Path, run: Path) -> None:
    """Raise UsageError unless `source` is another run that has kept something, or a .keras file."""
    if source.resolve() == run.resolve():
        raise UsageError(f"--init-from {source}: the run itself; without the option the same command goes on with it")
    if source.is_file():
        if source.suffix != ".keras":
            raise UsageError(f"--init-from {source}: expected a run directory or a .keras file")
        return
    if not (source / "config.json").is_file():
        raise UsageError(f"--init-from {source}: no run (it has no config.json) and no .keras file")
    if checkpoints.latest(source) is None and not (source / "generator.keras").is_file():
        raise UsageError(
            f"--init-from {source}: has no checkpoint and no generator.keras yet; train it: gentrain fit --run {source}"
        )


def restore(source: Path, gan: GAN) -> str:
    """Put the networks of a run, or those of a .keras file and its neighbour, into a compiled GAN.

    From a run: generator, discriminator and EMA of its newest checkpoint; where other settings make other networks of
    it, what fits of its .keras files. From FILE.keras: the generator, which is its own EMA then, and the
    discriminator.keras beside it. Layers that do not fit stay as they begin; optimisers and schedules start anew.

    Returns:
        One line for the user: what was taken from where, and what was not.

    Raises:
        TrainError: networks that have no layer in common with the GAN's, or a file that cannot be read.
    """
    checkpoint = checkpoints.latest(source) if source.is_dir() else None
    if checkpoint is not None and _of_checkpoint(checkpoint, gan):
        return f"starting from {checkpoint}: generator, discriminator and EMA"
    file = source / "generator.keras" if source.is_dir() else source
    if checkpoint is not None and not file.is_file():
        raise TrainError(f"{checkpoint}: not of networks like these, and {file} is not there to take what fits from")
    generator = _take(gan.ema, _load(file), file)
    gan.generator.set_weights(gan.ema.get_weights())
    beside = file.with_name("discriminator.keras")
    if not beside.is_file() or beside == file:
        return f"starting from {file}: the generator{generator}; the discriminator is new"
    try:
        discriminator = _take(gan.float32_discriminator, _load(beside), beside)
    except NoMatchingWeights:
        return f"starting from {file}: the generator{generator}; the discriminator is new, none of its layers fit"
    gan.discriminator.set_weights(gan.float32_discriminator.get_weights())
    return f"starting from {file}: generator{generator} and discriminator{discriminator}"


def _of_checkpoint(checkpoint: Path, gan: GAN) -> bool:
    """Whether its networks are the GAN's, which has their weights then; raises TrainError where it is damaged."""
    import tensorflow as tf

    kept = tf.train.Checkpoint(generator=gan.generator, discriminator=gan.discriminator, averaged=gan.ema)
    state = str(checkpoint / "state")
    expected = {"averaged/": gan.ema.variables, "d_optimizer/_trainable_": gan.discriminator.trainable_variables}
    try:
        held = tf.train.list_variables(state)
        for beginning, variables in expected.items():  # TensorFlow reports mismatches in a hundred lines
            shapes = [tuple(shape) for name, shape in held if name.startswith(beginning)]
            if sorted(shapes) != sorted(tuple(variable.shape) for variable in variables):
                return False
        kept.read(state).expect_partial().assert_existing_objects_matched()
    except Exception as error:  # tf.errors.*, AssertionError and ValueError, by what is wrong
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TrainError(f"{checkpoint}: not of networks like these ({reason})") from error
    return True


def _load(file: Path) -> Any:
    quiet.import_tensorflow()
    import keras

    try:
        return keras.models.load_model(file, compile=False)
    except Exception as error:  # zipfile, h5py, json and Keras each raise their own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TrainError(f"{file}: not a Keras model that can be loaded: {reason[:200]}") from error


class NoMatchingWeights(TrainError):
    """Two networks without a layer in common."""


def _take(network: Any, loaded: Any, file: Path) -> str:
    """Give `network` the weights of each layer that a model has too, by name and shapes; words on those it has not."""
    if _shapes(network) == _shapes(loaded):  # another's network, whose layers may have any names
        network.set_weights(loaded.get_weights())
        return ""
    has, layers = _layers(loaded), _layers(network)
    fitting = [name for name, layer in layers.items() if name in has and _shapes(has[name]) == _shapes(layer)]
    if not fitting:
        raise NoMatchingWeights(
            f"{file}: none of its {len(has)} layers fit these networks; --set networks, generator_width and "
            "discriminator_width as they were trained"
        )
    for name in fitting:
        layers[name].set_weights(has[name].get_weights())
    new = [name for name in layers if name not in fitting]
    return f" ({len(fitting)} of {len(layers)} layers; new: {', '.join(new)})" if new else ""


def _layers(network: Any) -> dict[str, Any]:
    """The layers that have weights. Keras numbers names through all networks that were built: here each for itself."""
    named: dict[str, Any] = {}
    counts: Counter[str] = Counter()
    for layer in network.layers:
        if layer.weights:
            kind = re.sub(r"_[0-9]+$", "", layer.name)
            named[f"{kind} {counts[kind] + 1}"] = layer
            counts[kind] += 1
    return named


def _shapes(part: Any) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in part.weights]


def retry(run: Path) -> str:
    """The command that starts again after a run whose losses are no longer finite, at a lower learning rate.

    From the last good checkpoint where there is one, else from the beginning; always in a folder of its own.
    """
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    settings = Settings(**{**BEFORE, **config["settings"]})
    standard = PRESETS.get(config["preset"], Settings)()
    rate = min(settings.learning_rate / 10, standard.learning_rate)
    changes = {"learning_rate": rate, "learning_rate_final": min(settings.learning_rate_final, rate)}
    if checkpoints.latest(run) is not None:
        return _command(["--init-from", str(run), "--run", str(_sibling(run))], changes)
    *_, height, width, channels = config["image_shape"]
    standard = standard.resolved((height, width), channels, settings.precision)
    changes = {
        name: value
        for name, value in (asdict(settings) | changes).items()
        if value != getattr(standard, name) and name not in ("precision", "held_out")
    }
    return _command(["--data", config["data"], "--preset", config["preset"], "--run", str(_sibling(run))], changes)


def _sibling(run: Path) -> Path:
    """A folder for another try that is not there yet."""
    number = 2
    while (place := run.with_name(f"{run.resolve().name}-{number}")).exists():
        number += 1
    return place


def _command(arguments: list[str], changes: Mapping[str, Any]) -> str:
    shown = {name: int(value) if isinstance(value, bool) else value for name, value in changes.items()}
    sets = [part for name, value in shown.items() for part in ("--set", f"{name}={value}")]
    return shlex.join(["gentrain", "fit", *arguments, *sets])
