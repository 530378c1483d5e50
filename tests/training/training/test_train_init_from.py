"""Runs that start from another one, and what is advised when a run goes wrong."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from gentrain.errors import TrainError, UsageError
from gentrain.plan import plan
from gentrain.settings import Settings
from gentrain.training import checkpoints, initial
from gentrain.training.checkpoints import Progress
from gentrain.training.gan import GAN

Gentrain = Callable[..., tuple[int, str, str]]
TINY = ["--set", "generator_width=4", "--set", "discriminator_width=4", "--batch", "8", "--precision", "float32"]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "images.npz", images=rng.integers(0, 256, (20, 8, 8, 1), np.uint8))
    return tmp_path / "images.npz"


def gan_of(**changes: object) -> GAN:
    tiny = {"generator_width": 4, "discriminator_width": 4, "batch": 8, "precision": "float32", "latent_size": 6}
    gan = GAN(8, 1, (), Settings(**{**tiny, **changes}))  # type: ignore[arg-type]
    gan.compile()
    return gan


def run_of(folder: Path, gan: GAN, **config: object) -> Path:
    """A run directory with one checkpoint."""
    checkpoints.save(folder, gan, Progress(512, 3.0))
    recorded = {"data": "digits", "preset": "small", "image_shape": [8, 8, 1], "image_count": 20}
    settings = {name: getattr(gan.settings, name) for name in Settings.__dataclass_fields__}
    (folder / "config.json").write_text(json.dumps({**recorded, "settings": settings, **config}))
    return folder


def assert_equal(first: keras.Model, second: keras.Model) -> None:
    for one, other in zip(first.get_weights(), second.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_run_lends_its_networks_data_and_settings(tmp_path: Path) -> None:
    first = gan_of(seed=3, loss="hinge", held_out=5)
    first.ema.set_weights([weight + 0.5 for weight in first.ema.get_weights()])
    source = run_of(tmp_path / "first", first)
    begun = plan(tmp_path / "second", init_from=source, changes={"learning_rate": 1e-4})
    assert (begun.data, begun.preset, begun.done, begun.continues) == ("digits", "small", Progress(), False)
    assert (begun.settings.loss, begun.settings.latent_size, begun.settings.learning_rate) == ("hinge", 6, 1e-4)
    assert begun.settings.ema_rampup == initial.NO_RAMPUP, "or the average would be forgotten at once"
    assert begun.settings.held_out == 5, "the same images stay unseen"
    assert plan(tmp_path / "third", "other.npz", init_from=source).settings.held_out == -1, "what fits other images"

    second = gan_of(seed=9)
    message = initial.restore(source, second)
    assert message.startswith(f"starting from {checkpoints.latest(source)}: generator, discriminator and EMA")
    for name in ("generator", "discriminator", "ema"):
        assert_equal(getattr(first, name), getattr(second, name))
    assert int(second.images_seen) == 0


def test_a_keras_file_lends_its_weights_and_its_neighbours(tmp_path: Path) -> None:
    first = gan_of(seed=3)
    first.ema.save(tmp_path / "generator.keras")
    second = gan_of(seed=9)
    before = second.discriminator.get_weights()
    assert "the discriminator is new" in initial.restore(tmp_path / "generator.keras", second)
    assert_equal(second.ema, first.ema)
    assert_equal(second.generator, first.ema)
    assert all(np.array_equal(a, b) for a, b in zip(before, second.discriminator.get_weights(), strict=True))
    first.float32_discriminator.save(tmp_path / "discriminator.keras")
    assert initial.restore(tmp_path / "generator.keras", second).endswith("generator and discriminator")
    assert_equal(second.discriminator, first.float32_discriminator)


def test_of_other_settings_what_fits_is_taken_and_the_rest_is_named(tmp_path: Path) -> None:
    """A run of other latents, a wider one and a larger one: each layer whose name and shapes agree, in one line."""
    first = gan_of(seed=3)
    first.ema.set_weights([weight + 0.5 for weight in first.ema.get_weights()])
    run = run_of(tmp_path / "run", first)
    first.ema.save(run / "generator.keras")
    first.float32_discriminator.save(run / "discriminator.keras")
    for changes, expected in (
        ({"latent_size": 5}, "generator (8 of 9 layers; new: dense 1) and discriminator"),
        ({"discriminator_width": 5}, "the generator; the discriminator is new, none of its layers fit"),
    ):
        other = gan_of(seed=9, **changes)
        begun = other.generator.get_weights()
        message = initial.restore(run, other)
        assert message == f"starting from {run / 'generator.keras'}: {expected}"
        pairs = zip(other.generator.get_weights(), first.ema.get_weights(), strict=True)
        taken = [np.array_equal(mine, theirs) for mine, theirs in pairs]
        assert taken.count(False) == ("new: dense 1" in expected)
        assert_equal(other.generator, other.ema)
        if not all(taken):
            at = taken.index(False)
            np.testing.assert_array_equal(other.generator.get_weights()[at], begun[at])


def test_networks_with_nothing_in_common_are_refused_in_one_line(tmp_path: Path) -> None:
    inputs = keras.Input((6,), name="latents")
    images = keras.layers.Reshape((1, 1, 3))(keras.layers.Dense(3)(inputs))
    keras.Model(inputs, images).save(tmp_path / "generator.keras")
    with pytest.raises(TrainError, match="none of its 1 layers fit") as raised:
        initial.restore(tmp_path / "generator.keras", gan_of())
    assert "\n" not in str(raised.value)
    with pytest.raises(TrainError, match="is not there to take what fits from"):
        initial.restore(run_of(tmp_path / "run", gan_of()), gan_of(latent_size=5))


def test_what_cannot_be_started_from_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("")
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "config.json").write_text("{}")
    for source, message in (
        (tmp_path / "nowhere", "no run"),
        (tmp_path / "text.txt", "a run directory or a .keras file"),
        (empty, "no checkpoint and no generator.keras"),
        (tmp_path / "second", "the same command goes on"),
    ):
        with pytest.raises(UsageError, match=message):
            plan(tmp_path / "second", "digits", init_from=source)


def test_losses_that_run_away_end_with_a_command_that_works(gentrain: Gentrain, images: Path, tmp_path: Path) -> None:
    """Before a checkpoint the advice starts anew, after one from there; each time in a folder of its own."""
    wild = ["--loss", "wgan-gp", "--set", "learning_rate=1", "--set", "beta_2=0"]
    code, _, err = gentrain("fit", "--data", images, "--run", "run", "--kimg", "3", *TINY, *wild)
    last = err.splitlines()[-1]
    assert code == 1
    assert "no longer finite; there is no checkpoint yet; try a lower learning rate: gentrain fit --data" in last
    advice = shlex.split(last.partition(": gentrain ")[2])
    assert advice[advice.index("--run") + 1] == "run-2"
    retried = plan(tmp_path / "run-2", str(images), "small", changes_of(advice))
    assert (retried.settings.loss, retried.settings.batch, retried.settings.learning_rate) == ("wgan-gp", 8, 0.002)

    gan = gan_of()
    checkpoints.save(tmp_path / "run", gan, Progress(64, 1.0))
    advice = shlex.split(initial.retry(Path("run")))
    assert advice[:6] == ["gentrain", "fit", "--init-from", "run", "--run", "run-2"]
    assert changes_of(advice) == {"learning_rate": 0.002, "learning_rate_final": 0.0003}


def changes_of(arguments: list[str]) -> dict[str, object]:
    from gentrain.settings import parse_change

    return dict(parse_change(arguments[at + 1]) for at, word in enumerate(arguments) if word == "--set")


def test_a_run_that_starts_from_another_goes_on_by_itself(gentrain: Gentrain, images: Path, tmp_path: Path) -> None:
    """The networks it starts from are its first checkpoint: the other run may be gone by then."""
    unpenalised = ["--loss", "bce", "--set", "gamma=0", "--set", "gamma_final=0"]  # compiled in a quarter of the time
    code, _, err = gentrain("fit", "--data", images, "--run", "first", "--kimg", "0.064", *TINY, *unpenalised)
    assert code == 0, err
    code, out, err = gentrain("fit", "--init-from", "first", "--run", "second", "--kimg", "0.064")
    assert code == 0, err
    assert out.strip() == "second"
    assert "starting from first/checkpoints/000000000064: generator, discriminator and EMA" in err
    config = json.loads((tmp_path / "second" / "config.json").read_text())
    assert (config["init_from"], config["data"], config["settings"]["loss"]) == ("first", str(images), "bce")
    shutil.rmtree(tmp_path / "first")
    shutil.rmtree(tmp_path / "second" / "checkpoints" / "000000000064")
    code, _, err = gentrain("fit", "--run", "second", "--kimg", "0.128")
    assert code == 0, err
    assert "going on at 0 kimg" in err
    code, _, err = gentrain("fit", "--init-from", "third", "--run", "second", "--kimg", "0.2")
    assert (code, err.count("\n")) == (1, 1)
    assert "init_from first (now third)" in err
