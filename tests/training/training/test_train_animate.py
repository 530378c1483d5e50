"""Stills that learn to move: what such a run leaves, and that a clip is changed as one."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from gentrain.conditions import Still
from gentrain.data.dataset import Dataset
from gentrain.metrics.motion import ClipJudge, crossfade
from gentrain.networks import build_generator
from gentrain.settings import Settings
from gentrain.training.draws import Draws
from gentrain.training.frames import as_channels, as_clips
from gentrain.training.gan import GAN
from killed import kill_after_a_checkpoint
from PIL import Image

SIDE, FRAMES, COUNT = 16, 4, 40
TINY = {"generator_width": 4, "discriminator_width": 4, "batch": 8, "precision": "float32", "gamma": 0.0}
SETS = [part for name, value in TINY.items() for part in ("--set", f"{name}={value}")]
LENGTH = ["--kimg", "0.192", "--set", "kimg_per_tick=0.064", "--set", "kimg_per_checkpoint=0.064"]


def clips(count: int = COUNT) -> np.ndarray:
    """Squares of any colour that move to the right, uint8 (N, 4, 16, 16, 3)."""
    random, found = np.random.default_rng(0), np.full((count, FRAMES, SIDE, SIDE, 3), 255, np.uint8)
    for clip in found:
        colour, top = random.integers(40, 200, 3), random.integers(0, 10)
        for number, picture in enumerate(clip):
            picture[top : top + 5, 1 + 3 * number : 6 + 3 * number] = colour
    return found


def fitted(source: Path, run: Path) -> list[str]:
    return [
        "fit",
        "--data",
        str(source),
        "--animate",
        "--frames",
        "4",
        "--fps",
        "10",
        *SETS,
        *LENGTH,
        "--run",
        str(run),
    ]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("moving")
    for number, clip in enumerate(clips()):
        first, *others = map(Image.fromarray, clip)
        first.save(folder / f"{number:02}.webp", save_all=True, append_images=others, duration=100, lossless=True)
    return folder


@pytest.fixture(scope="module")
def run(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from click.testing import CliRunner
    from gentrain.cli import cli

    run = tmp_path_factory.mktemp("runs") / "whole"
    done = CliRunner().invoke(cli, [*fitted(source, run), "--set", "kimg_per_evaluation=0.064"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return run


def test_the_run_says_that_its_generator_makes_clips_of_stills(run: Path) -> None:
    assert json.loads((run / "config.json").read_text())["preset"] == "animate"
    interface = json.loads((run / "interface.json").read_text())
    preprocessing = {"crop": "center", "background": "white", "resize": "lanczos"}
    rest = {"dtype": "float32", "range": [-1, 1], "preprocessing": preprocessing}
    assert interface["task"] == "video-generation"
    assert interface["inputs"] == [{"name": "image", "role": "image", "shape": [None, SIDE, SIDE, 3], **rest}]
    shape = [None, FRAMES, SIDE, SIDE, 3]
    assert interface["outputs"] == [
        {"name": "clips", "role": "clips", "shape": shape, "frames_per_second": 10, **rest},
    ]
    generator = keras.models.load_model(run / "generator.keras", safe_mode=True)
    assert generator.output_shape == (None, FRAMES, SIDE, SIDE, 3)
    assert generator.layers[-1].name == "clips"
    assert all(type(layer).__module__.startswith("keras.src.layers.") for layer in generator.layers)
    discriminator = keras.models.load_model(run / "discriminator.keras")
    assert [tuple(tensor.shape) for tensor in discriminator.inputs] == [generator.output_shape, (None, SIDE, SIDE, 3)]
    with np.load(run / "examples.npz") as kept:
        assert set(kept.files) == {"image", "clips"}
        np.testing.assert_array_equal(kept["image"], kept["clips"][:, 0])
        assert {kept[name].dtype for name in kept.files} == {np.dtype(np.uint8)}
    with Image.open(run / "samples" / "000000kimg.webp") as moving:
        assert moving.n_frames == FRAMES
    last = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()][-1]
    assert {"l1", "psnr", "ssim", "motion"} <= last.keys()
    assert (run / "best" / "samples.png").exists()


def test_evaluate_and_report_show_clips_beside_a_repeated_still_and_a_cross_fade(
    run: Path, gentrain, source: Path
) -> None:
    code, out, err = gentrain("evaluate", run)
    assert code == 0, err
    assert "clips held out of the training: 4" in out
    scores = json.loads((run / "metrics.json").read_text())["metrics"]
    assert scores["motion"]["unchanged"] == pytest.approx(0, abs=1e-6)
    assert scores["l1"]["fade"] < scores["l1"]["unchanged"]
    with Image.open(run / "animations.webp") as moving:
        assert moving.n_frames == FRAMES
    code, out, err = gentrain("evaluate", run, "--on", source, "--out", "all.json")
    assert code == 0, err
    assert json.loads(Path("all.json").read_text())["samples"] == COUNT
    code, _, err = gentrain("report", run)
    assert code == 0, err
    assert "A clip a row" in (run / "report.html").read_text()


def test_a_run_that_kill_9_ends_goes_on_to_the_very_weights_of_an_undisturbed_one(
    run: Path, source: Path, tmp_path: Path, gentrain, forked
) -> None:
    killed = tmp_path / "killed"
    process = forked.start("gentrain", *fitted(source, killed))
    kill_after_a_checkpoint(process, killed)
    code, _, err = gentrain("fit", "--run", killed)
    assert code == 0, err
    whole, again = (keras.models.load_model(folder / "generator.keras").get_weights() for folder in (run, killed))
    assert all(np.array_equal(one, other) for one, other in zip(whole, again, strict=True))


def test_a_clip_is_mirrored_and_moved_as_one_and_begins_with_its_still() -> None:
    data = Dataset("squares", clips(8))
    still = Still.of(data)
    gan = GAN(SIDE, 3, (still,), settings(flip=True, jitter=0.25))
    batch = {"images": tf.constant(data.images), "image": tf.constant(still.columns(data)["image"])}
    made, given = gan._prepare(batch, Draws(0, tf.constant(0, tf.int64), 8, 1))
    prepared = as_clips(made, FRAMES).numpy()
    assert not np.allclose(prepared, data.images / 127.5 - 1, atol=0.1), "they are changed"
    np.testing.assert_array_equal(prepared[:, 0], given["image"])
    steps = np.argmax((prepared < 0.9).any(axis=(2, 4)), axis=2)
    assert all(len({abs(step) for step in np.diff(clip[1:3])}) == 1 for clip in steps)
    np.testing.assert_array_equal(as_clips(as_channels(tf.constant(data.images)), FRAMES), data.images)


def settings(**changes: object) -> Settings:
    rest = {"networks": "animate", "conditions": "still", "latent_size": 0, "frames": FRAMES, **TINY, **changes}
    return Settings(**rest)  # type: ignore[arg-type]


def test_what_does_not_move_stays_as_it_is() -> None:
    data = Dataset("squares", clips(8))
    generator = build_generator(SIDE, 3, (Still.of(data),), settings())
    for layer in generator.layers:
        if (
            isinstance(layer, keras.layers.Conv2D)
            and float(keras.ops.min(layer.bias if layer.use_bias else [0.0])) < -1
        ):
            layer.bias.assign(np.full(layer.bias.shape, -100.0))  # nothing moves
    still = data.images[:, 0].astype(np.float32) / 127.5 - 1
    for number in range(FRAMES):
        np.testing.assert_array_equal(generator(still)[:, number], still)


def test_scores_are_of_the_definitions() -> None:
    data = Dataset("squares", clips(6))
    judge = ClipJudge(data, [0, 2, 4])
    perfect = judge.score(data.images[[0, 2, 4]])
    assert (perfect["l1"], perfect["motion"]) == pytest.approx((0, 1))
    chosen = data.images[[0, 2, 4]].astype(float)
    assert judge.unchanged["l1"] == pytest.approx(np.abs(chosen - chosen[:, :1]).mean() / 255, abs=1e-6)
    faded = crossfade(data.images)
    np.testing.assert_array_equal(faded[:, [0, -1]], data.images[:, [0, -1]])


def test_what_cannot_be_animated_is_refused_in_one_line(source: Path, gentrain) -> None:
    for options, message in (
        (("--frames", 4, "--set", "networks=genline"), "--animate of pictures"),
        (("--animate", "--set", "frames=0"), "--frames 16 cuts clips"),
        (("--animate", "--hints"), "--hints are for pictures"),
        (("--preset", "translate", "--frames", 4), "has no inputs to translate"),
    ):
        code, _, err = gentrain("fit", "--data", source, "--run", "new", *options)
        assert code in (1, 2)
        assert message in err
        assert len(err.strip().splitlines()) < 8
