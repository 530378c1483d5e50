"""Every option of `gentrain fit` and `gentrain data`, and every setting, given as a user gives it: what it changes.

An option or a setting that is added without a line here fails the last tests.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from gentrain.commands.data import data as data_command
from gentrain.commands.fit import fit as fit_command
from gentrain.presets import PRESETS
from gentrain.settings import Settings
from gentrain.training.gan import GAN
from PIL import Image

Gentrain = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def photos(tmp_path: Path) -> None:
    """Twelve pictures of two classes in `photos/`, partly transparent; two pairs side by side in `beside/`."""
    for number in range(12):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = np.full((20, 30, 4), (200, 40, 10 * number, 255), np.uint8)
        picture[:6, 5:] = 0  # transparent
        Image.fromarray(picture).save(path)
    for number in range(2):
        path = tmp_path / "beside" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((16, 32, 3), 10 * number, np.uint8)).save(path)


# Option of fit → how it is given, and what config.json says then: of the run, or of its settings.
FIT = {
    "preset": (["--preset", "quick"], {"preset": "quick", "kimg_per_tick": 1.0}),
    "kimg": (["--kimg", "3"], {"kimg": 3.0}),
    "epochs": (["--epochs", "5"], {"kimg": 0.06}),
    "minutes": (["--minutes", "2"], {"minutes": 2.0}),
    "resolution": (["--resolution", "16"], {"image_shape": [16, 16, 3]}),
    "channels": (["--channels", "1"], {"image_shape": [32, 32, 1]}),
    "crop": (["--crop", "none"], {"crop": "none"}),
    "background": (["--background", "blue"], {"background": "blue"}),
    "value_range": (["--value-range", "0:4095"], {"value_range": "0:4095"}),
    "split": (["--split", "all"], {"split": "all"}),
    "labels": (["--labels", "none"], {"labels": "none"}),
    "input_from": (["--from", "blur"], {"input_from": "blur", "preset": "translate"}),
    "input_side": (["--side", "right"], {"input_side": "right"}),
    "fps": (["--fps", "5"], {"fps": 5.0}),
    "flip": (["--flip"], {"flip": True}),
    "conditional": (["--conditional"], {"conditional": True}),
    "loss": (["--loss", "hinge"], {"loss": "hinge"}),
    "augment": (["--augment", "0.25"], {"augment": 0.25}),
    "held_out": (["--holdout", "3"], {"held_out": 3}),
    "batch": (["--batch", "16"], {"batch": 16}),
    "seed": (["--seed", "5"], {"seed": 5}),
    "precision": (["--precision", "float32"], {"precision": "float32"}),
    "sets": (["--set", "latent_size=7"], {"latent_size": 7}),
}

# Of what it is told, unless of photos/.
OF = {"input_side": "pairs:beside"}

# Tested where their effect is: a file, a line, several processes.
ELSEWHERE = {
    "data": "every test here",
    "run": "every test here",
    "strategy": "test_train_devices.py",
    "fresh": "test_train_run.py",
    "dry_run": "every test here",
    "init_from": "test_train_init_from.py",
    "frames": "test_train_moving.py",
    "animate": "test_train_animate.py",
    "hints": "test_train_translate.py",
    "style": "test_train_style.py",
    "captions": "test_train_words.py",
}


@pytest.mark.parametrize("option", FIT)
def test_an_option_of_fit_reaches_the_run(gentrain: Gentrain, option: str) -> None:
    given, expected = FIT[option]
    dry = ("fit", "--data", OF.get(option, "photos"), "--run", "run", "--dry-run")
    code, out, err = gentrain(*dry, *given)
    assert code == 0, err
    standard = json.loads(gentrain(*dry)[1])
    printed = json.loads(out)
    for name, value in expected.items():
        now, before = ((found if name in found else found["settings"])[name] for found in (printed, standard))
        assert now == value
        assert before != value, "the table should give something else than the default"


def test_what_a_preset_switches_on_an_option_switches_off(gentrain: Gentrain) -> None:
    given = ["--set", "flip=1", "--set", "conditional=1"]
    begun = json.loads(gentrain("fit", "--data", "photos", "--run", "run", "--dry-run", *given)[1])["settings"]
    assert (begun["flip"], begun["conditional"]) == (True, True)
    off = ["--no-flip", "--unconditional"]
    printed = json.loads(gentrain("fit", "--data", "photos", "--run", "run", "--dry-run", *off)[1])["settings"]
    assert (printed["flip"], printed["conditional"]) == (False, False)
    code, _, err = gentrain("fit", "--data", "photos", "--run", "run", "--dry-run", *given, *off)
    assert code == 2
    assert "is set twice" in err


# Option of data → how it is given, and what a pixel or the shape of the images must be then.
DATA: dict[str, tuple[list[str], Callable[[np.ndarray], bool]]] = {
    "resolution": (["--resolution", "12"], lambda images: images.shape[1:] == (12, 12, 3)),
    "channels": (["--channels", "1"], lambda images: images.shape[1:] == (32, 32, 1)),
    "crop": (["--crop", "none"], lambda images: bool((images[:, 2, 1, 0] == 200).all())),
    "background": (["--background", "blue"], lambda images: bool((images[:, 2, 20] == (0, 0, 255)).all())),
}


@pytest.mark.parametrize("option", DATA)
def test_an_option_of_data_changes_the_images(gentrain: Gentrain, option: str, monkeypatch) -> None:
    from gentrain.commands import reading

    read, seen = reading.read, []
    monkeypatch.setattr(reading, "read", lambda *given: seen.append(read(*given)) or seen[-1])
    given, holds = DATA[option]
    assert gentrain("data", "photos")[0] == 0
    assert gentrain("data", "photos", *given)[0] == 0
    before, after = (np.asarray(dataset.images) for dataset in seen)
    assert not holds(before)
    assert holds(after)


def test_data_writes_its_sheet_where_it_is_asked_to(gentrain: Gentrain, tmp_path: Path) -> None:
    assert gentrain("data", "photos", "--sheet", "out/sheet.png")[0] == 0
    assert Image.open("out/sheet.png").size[0] > 8 * 32


def test_no_option_is_without_its_test() -> None:
    assert {parameter.name for parameter in fit_command.params} == FIT.keys() | ELSEWHERE.keys()
    names = {parameter.name for parameter in data_command.params}
    assert DATA.keys() | {"source", "sheet"} <= names
    assert names == DATA.keys() | {"source", "sheet"} | OF_SOURCES


OF_SOURCES = {"value_range", "max_megapixels", "split", "labels", "input_from", "input_side", "style", "captions"} | {
    "frames",
    "fps",
    "short",
    "cells",
}
"""Options of data that are tested with the sources."""


# A value other than the default for every setting that has no option of its own.
SETTINGS = {
    "networks": "dcgan64", "latent_size": 7, "generator_width": 6, "discriminator_width": 5, "dropout": 0.5,
    "spectral_norm": True, "gamma": 3.0, "gamma_final": 0.5, "augment_target": 0.6, "augment_ramp": 0.25,
    "shared_pass": True, "learning_rate": 1e-3, "learning_rate_final": 1e-5, "beta_1": 0.5, "beta_2": 0.9,
    "ema_halflife_kimg": 1.0, "ema_rampup": 0.5, "kimg_per_tick": 1.0, "kimg_per_checkpoint": 2.0,
    "kimg_per_evaluation": 3.0, "best_by": "recall", "held_out": 5, "max_megapixels": 5.0, "conditions": "blurred",
    "jitter": 0.1, "l1": 5.0, "adversarial": 0.5, "features_weight": 0.5, "nce": 0.5,
    "short": "skip", "cells": "4x2", "nce_identity": 0.5, "mismatch": 0.5, "likeness": 0.5, "diversity": 0.25,
    "frames_weight": 0.5, "loop": True, "likeness_features": 0.5,
}  # fmt: skip


def test_every_setting_can_be_set_and_none_is_without_a_value_here(gentrain: Gentrain) -> None:
    sets = [part for name, value in SETTINGS.items() for part in ("--set", f"{name}={value}")]
    code, out, err = gentrain("fit", "--data", "photos", "--run", "run", "--dry-run", *sets)
    assert code == 0, err
    printed = json.loads(out)["settings"]
    standard = dataclasses.asdict(Settings())
    for name, value in SETTINGS.items():
        assert printed[name] == value != standard[name]
    assert standard.keys() - SETTINGS.keys() <= FIT.keys() | ELSEWHERE.keys()


def test_every_setting_has_its_row_in_the_guide_with_its_value_in_small() -> None:
    page = (Path(__file__).parents[3] / "docs" / "training.md").read_text(encoding="utf-8")
    table = page[page.index("| setting |") :].split("\n\n")[0].splitlines()[2:]
    named, small = set(), dataclasses.asdict(PRESETS["small"]())
    for row in table:
        names, values = re.findall(r"`(\w+)`", row), [value.strip() for value in row.split("|")[2].split(",")]
        named |= {*names}
        for name, value in zip(names, values, strict=False):
            if re.fullmatch(r"-?[\d.]+(e-?\d+)?", value):
                assert small[name] == float(value), row
    assert small.keys() <= named


def test_settings_of_adam_reach_both_optimisers_and_its_rate_falls_to_the_final_one() -> None:
    options = {"learning_rate": 1e-3, "learning_rate_final": 1e-5, "beta_1": 0.5, "beta_2": 0.9, "kimg": 0.064}
    tiny = {"generator_width": 4, "discriminator_width": 4, "batch": 8, "latent_size": 6, "precision": "float32"}
    gan = GAN(8, 1, (), Settings(**{**tiny, **options, "gamma": 0.0, "gamma_final": 0.0}))  # type: ignore[arg-type]
    gan.compile()
    for optimizer in (gan.g_optimizer, gan.d_optimizer):
        assert (optimizer.beta_1, optimizer.beta_2) == (0.5, 0.9)
    rates = []
    for seen in (0, 32, 64):
        gan.images_seen.assign(seen)
        gan.train_step({"images": tf.zeros((2, 8, 8, 8, 1), tf.uint8)})
        rates.append(float(gan.g_optimizer.learning_rate.numpy()))
        assert float(gan.d_optimizer.learning_rate.numpy()) == rates[-1]
    assert rates == pytest.approx([1e-3, (1e-3 + 1e-5) / 2, 1e-5], rel=1e-3)
    gan.images_total.assign(100_000)  # a finished run goes on: the schedule is near its beginning again
    gan.train_step({"images": tf.zeros((2, 8, 8, 8, 1), tf.uint8)})
    assert float(gan.g_optimizer.learning_rate.numpy()) == pytest.approx(1e-5 + 1e-3 * 8 / 5000, rel=1e-3)
