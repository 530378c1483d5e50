"""Clips from latents: what such a run leaves, that it goes on exactly, and that what moves stays what it is."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from gentrain.cli import cli
from gentrain.data.dataset import Dataset
from gentrain.errors import UsageError
from gentrain.metrics.exposures import exposed, held, shuffled
from gentrain.networks import build_generator, check, moving
from gentrain.settings import Settings
from gentrain.training.draws import Draws
from gentrain.training.frames import as_channels, as_clips
from gentrain.training.gan import GAN
from gentrain.training.initial import restore
from PIL import Image

SIDE, FRAMES = 16, 4
TINY = {"generator_width": 4, "discriminator_width": 4, "batch": 8, "precision": "float32", "held_out": 200}
SETS = [part for name, value in TINY.items() for part in ("--set", f"{name}={value}")]
LENGTH = ["--kimg", "0.192", "--set", "kimg_per_tick=0.064", "--set", "kimg_per_checkpoint=0.064"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("runs") / "digits"
    data = ["--data", "moving-digits", "--frames", str(FRAMES), "--resolution", str(SIDE), "--conditional"]
    done = CliRunner().invoke(cli, ["fit", *data, *SETS, *LENGTH, "--run", str(run)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return run


def test_the_run_says_that_its_generator_makes_clips_of_latents(run: Path) -> None:
    assert json.loads((run / "config.json").read_text())["preset"] == "clips"
    interface = json.loads((run / "interface.json").read_text())
    assert interface["task"] == "video-generation"
    assert [about["role"] for about in interface["inputs"]] == ["latents", "labels"]
    (output,) = interface["outputs"]
    assert (output["name"], output["frames_per_second"]) == ("clips", 12)
    generator = keras.models.load_model(run / "generator.keras", safe_mode=True)
    assert generator.output_shape == (None, FRAMES, SIDE, SIDE, 1)
    assert all(type(layer).__module__.startswith("keras.src.layers.") for layer in generator.layers)
    discriminator = keras.models.load_model(run / "discriminator.keras")
    assert [tuple(tensor.shape) for tensor in discriminator.inputs] == [generator.output_shape, (None,)]
    with Image.open(run / "samples" / "000000kimg.webp") as film:
        assert film.n_frames == FRAMES
    last = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()][-1]
    assert {"g_frames", "rival_frames"} <= last.keys()


def test_a_run_that_lost_its_newest_checkpoint_comes_to_the_very_same_weights(
    run: Path, gentrain, tmp_path: Path
) -> None:
    again = tmp_path / "again"
    shutil.copytree(run, again)
    first, last = sorted((again / "checkpoints").iterdir())
    shutil.rmtree(last)
    (again / "generator.keras").unlink()
    code, _, err = gentrain("fit", "--run", again)
    assert code == 0, err
    assert f"going on at {int(first.name) / 1000:g} kimg" in err
    whole, other = (keras.models.load_model(folder / "generator.keras").get_weights() for folder in (run, again))
    assert all(np.array_equal(one, two) for one, two in zip(whole, other, strict=True))


def test_evaluate_measures_clips_beside_shuffled_and_held_frames(run: Path, gentrain) -> None:
    code, out, err = gentrain("evaluate", run, "--samples", 200)
    assert code == 0, err
    scores = json.loads((run / "metrics.json").read_text())
    assert {"frechet", "precision", "recall"} <= scores["metrics"].keys()
    assert scores["motion"]["floor"] == 1
    reference = scores["metrics"]["frechet"]["floor"]
    assert min(each["frechet"] for each in scores["baselines"].values()) > reference
    assert scores["baselines"]["held"]["motion"] == pytest.approx(0, abs=1e-6)
    assert "frames shuffled" in out
    code, _, err = gentrain("report", run)
    assert code == 0, err
    assert "A row is a class" in (run / "report.html").read_text()


def test_a_sprite_is_moved_by_pixels_and_parts_of_them() -> None:
    pictures, ways = np.random.default_rng(0).random((2, 12, 2, 12), np.float32), np.zeros((2, FRAMES, 1), np.float32)
    down, across = ways.copy(), ways.copy()
    down[:, 1], across[:, 1], across[:, 2] = 2, -1, 0.5
    sprite, inputs = keras.Input((12, 2, 12)), [keras.Input((FRAMES, 1)) for _ in "yx"]
    matrices = [moving.shifts(way, SIDE, 2) for way in inputs]
    model = keras.Model([sprite, *inputs], moving.travelling(sprite, *matrices))
    made = model([pictures, down, across]).numpy().reshape(2, FRAMES, SIDE, 2, SIDE)
    np.testing.assert_array_equal(made[:, 0, 2:14, :, 2:14], pictures)
    np.testing.assert_array_equal(made[:, 1, 1:13, :, 4:16], pictures)
    np.testing.assert_allclose(made[:, 2, 3:14, :, 2:14], (pictures[:, 1:] + pictures[:, :-1]) / 2, atol=1e-6)
    np.testing.assert_allclose(
        made[:, :3].sum(axis=(2, 3, 4)), pictures.sum(axis=(1, 2, 3))[:, None].repeat(3, 1), rtol=1e-5
    )


def test_the_first_latents_draw_the_path_and_the_others_the_pictures() -> None:
    generator = build_generator(SIDE, 1, (), settings(latent_size=8))
    latents = np.random.default_rng(0).standard_normal((3, 8), np.float32)
    latents[1, 2:], latents[2, :2] = latents[0, 2:], latents[0, :2]
    of = {name: generator.get_layer(name).output for name in ("sprite", "down")}
    found = {name: keras.Model(generator.input, output)(latents).numpy() for name, output in of.items()}
    for name, same, other in (("sprite", 1, 2), ("down", 2, 1)):
        np.testing.assert_allclose(found[name][0], found[name][same], atol=1e-6)
        assert np.abs(found[name][0] - found[name][other]).max() > 1e-4


@pytest.mark.parametrize("frames", [FRAMES, 18])
def test_a_path_that_loops_can_begin_at_any_frame(frames: int) -> None:
    """Paths begun a frame later are sums of paths, with nothing left, where the last frame leads to the first."""

    def left(loop: bool) -> float:
        generator = build_generator(SIDE, 1, (), settings(latent_size=80, frames=frames, loop=loop))
        drawn = keras.Model(generator.input, [generator.get_layer(name).output for name in ("down", "across")])
        paths = np.concatenate(drawn(np.random.default_rng(0).standard_normal((40, 80), np.float32)))[..., 0].T
        later = np.roll(paths, 1, axis=0)
        sums = np.linalg.lstsq(paths, later, rcond=1e-5)[0]
        return float(np.abs(paths @ sums - later).max() / np.abs(paths).max())

    assert left(loop=True) < 1e-3
    assert frames == FRAMES or left(loop=False) > 0.02


def test_loops_are_of_clips_that_are_made_of_latents() -> None:
    with pytest.raises(UsageError, match="loop 1: networks genline make no clips of latents"):
        check((), settings(networks="genline", frames=0, loop=True))


def test_longer_clips_start_from_the_pictures_and_paths_of_shorter_ones(tmp_path: Path) -> None:
    shorter = build_generator(SIDE, 1, (), settings())
    shorter.save(tmp_path / "shorter.keras")
    gan = GAN(SIDE, 1, (), settings(frames=2 * FRAMES, seed=5))
    gan.compile()
    assert "starting from" in restore(tmp_path / "shorter.keras", gan)
    latents = np.random.default_rng(0).standard_normal((3, 32), np.float32)
    for name in ("sprite", "down"):
        one, two = (keras.Model(net.input, net.get_layer(name).output)(latents) for net in (shorter, gan.ema))
        if name == "down":
            two = (two[:, ::2] + two[:, 1::2]) / 2
        np.testing.assert_allclose(one, two, atol=0.05 * np.abs(one).max())


def test_augmentation_changes_the_colours_of_a_clip_as_one() -> None:
    gan = GAN(SIDE, 3, (), settings(augment=1.0))
    gan.augmented.assign(1.0)
    clips = tf.constant(np.random.default_rng(0).uniform(-1, 1, (8, 1, SIDE, SIDE, 3)).astype(np.float32))
    still = tf.repeat(clips, FRAMES, axis=1)
    changed = as_clips(
        gan._augment(as_channels(still), {}, Draws(0, tf.constant(0, tf.int64), 8, 1))[0], FRAMES
    ).numpy()
    assert np.abs(changed - still).max() > 0.1
    for number in range(1, FRAMES):
        np.testing.assert_array_equal(changed[:, number], changed[:, 0])
    one = GAN(SIDE, 3, (), settings(augment=1.0, frames=0, networks="genline"))
    one.augmented.assign(1.0)
    alone = one._augment(clips[:, 0], {}, Draws(0, tf.constant(0, tf.int64), 8, 1))[0]
    np.testing.assert_allclose(changed[:, 0], alone, atol=1e-5)


def test_a_step_in_colour_moves_all_three_networks() -> None:
    gan = GAN(SIDE, 3, (), settings(augment=1.0, augment_target=0.0, augment_ramp=0.0, batch=4))
    gan.compile()
    (rival, _), clips = gan.rivals["frames"], np.random.default_rng(0).integers(0, 256, (2, 4, FRAMES, SIDE, SIDE, 3))
    networks = (gan.generator, gan.discriminator, rival)
    before = [network.get_weights() for network in networks]
    losses = gan.train_step({"images": tf.constant(clips.astype(np.uint8))})
    assert all(np.isfinite(float(value)) for value in losses.values())
    for network, weights in zip(networks, before, strict=True):
        moved = [not np.array_equal(a, b) for a, b in zip(network.get_weights(), weights, strict=True)]
        assert sum(moved) > len(moved) / 2, network.name


def settings(**changes: object) -> Settings:
    return Settings(**{"networks": "moving", "frames": FRAMES, **TINY, **changes})  # type: ignore[arg-type]


def test_what_moves_is_coloured_where_three_frames_are_one_picture() -> None:
    clips = np.zeros((2, 8, 8, 8, 1), np.uint8)
    for number in range(8):
        clips[:, number, 2, number] = 255
    pictures = exposed(clips)
    assert pictures.shape == (2, 8, 8, 3)
    assert [pictures[0, 2, place].argmax() for place in (3, 4, 5)] == [0, 1, 2]
    assert np.ptp(exposed(held(clips)), axis=-1).max() == 0
    assert sorted(shuffled(clips)[0].argmax(axis=2)[:, 2, 0]) == [*range(8)]
    np.testing.assert_array_equal(exposed(pictures), pictures)
    assert Dataset("clips", clips[:, :2]).frames == 2
    assert exposed(clips[:, :2]).shape == (2, 8, 8, 3)
