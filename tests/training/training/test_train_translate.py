"""A translation from pairs: what it leaves in its run directory, and that pictures are never out of step."""

from __future__ import annotations

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from gentrain.conditions import Hints, Image, hints
from gentrain.data import holdout
from gentrain.data.stream import batches
from gentrain.metrics import translation
from gentrain.settings import Settings
from gentrain.sources import pairs
from gentrain.sources import read as read_source
from gentrain.training import examples
from gentrain.training.draws import Draws
from gentrain.training.gan import GAN
from killed import kill_after_a_checkpoint
from PIL import Image as Pillow

SIDE, COUNT = 16, 60
TINY = {"generator_width": 4, "discriminator_width": 4, "batch": 8, "precision": "float32", "gamma": 0.0, "loss": "bce"}
SETS = [part for name, value in TINY.items() if name != "loss" for part in ("--set", f"{name}={value}")]
LENGTH = ["--kimg", "0.192", "--set", "kimg_per_tick=0.064", "--set", "kimg_per_checkpoint=0.064"]


def drawn(number: int) -> np.ndarray:
    """A picture (16, 16, 3) whose blocks of colour tell which one it is."""
    blocks = np.random.default_rng(number).integers(0, 256, (4, 4, 3), np.uint8)
    return blocks.repeat(4, axis=0).repeat(4, axis=1)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Sixty pairs: the input is the negative of the target, which tells any two that do not belong together."""
    root = tmp_path_factory.mktemp("pairs")
    for number in range(COUNT):
        for name, pixels in (("negative", 255 - drawn(number)), ("picture", drawn(number))):
            (root / name).mkdir(exist_ok=True)
            Pillow.fromarray(pixels).save(root / name / f"{number:02}.png")
    return f"pairs:{root}/negative,{root}/picture"


@pytest.fixture(scope="module")
def run(source: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained a few ticks with hints, with nothing but the data to say that it is a translation."""
    from click.testing import CliRunner
    from gentrain.cli import cli

    run = tmp_path_factory.mktemp("runs") / "whole"
    done = CliRunner().invoke(cli, list(map(str, [*fitted(source), "--run", run])), catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return run


def fitted(source: str) -> list[str]:
    """The command, but for where the run is."""
    return ["fit", "--data", source, "--hints", "--loss", "bce", "--set", "held_out=12", *SETS, *LENGTH]


def belong_together(inputs: np.ndarray, targets: np.ndarray) -> bool:
    """Whether each picture lies beside its own negative."""
    return np.array_equal(inputs, 255 - np.asarray(targets))


def test_the_run_says_what_its_generator_takes(run: Path) -> None:
    config = json.loads((run / "config.json").read_text())
    assert config["preset"] == "translate"
    interface = json.loads((run / "interface.json").read_text())
    assert interface["task"] == "image-to-image"
    image, dots = interface["inputs"]
    preprocessing = {"crop": "center", "background": "white", "resize": "lanczos"}
    shown = {"role": "image", "dtype": "float32", "shape": [None, SIDE, SIDE, 3], "range": [-1, 1]}
    assert image == {"name": "image", **shown, "preprocessing": preprocessing}
    assert dots == {"name": "hints", **shown, "role": "hints", "shape": [None, SIDE, SIDE, 4]}
    generator = keras.models.load_model(run / "generator.keras", safe_mode=True)
    assert [tensor.name for tensor in generator.inputs] == ["image", "hints"]
    assert all(type(layer).__module__.startswith("keras.src.layers.") for layer in generator.layers)
    discriminator = keras.models.load_model(run / "discriminator.keras")
    assert discriminator.output_shape == (None, 1), "patches are averaged in what is kept"


def test_examples_are_pairs_that_were_held_out(run: Path, source: str) -> None:
    data = read_source(source, Settings(resolution=64).frame)
    unseen = holdout.split(data, 12)[1]
    with np.load(run / "examples.npz") as kept:
        assert set(kept.files) == {"image", "hints", "images"}
        assert all(kept[name].dtype == np.uint8 for name in kept.files)
        assert belong_together(kept["image"], kept["images"])
        np.testing.assert_array_equal(kept["images"], data.images[unseen])
        given = kept["hints"][..., 3] > 127
        assert given.any()
        assert (kept["hints"][~given] == 0).all(), "no hint is black in all four channels"
    with Pillow.open(run / "samples" / "000000kimg.png") as grid:
        assert grid.width / grid.height == pytest.approx(4 * 3 / 3, rel=0.1), "four pairs a row, each in three pictures"


def test_a_run_that_kill_9_ends_goes_on_to_the_very_weights_of_an_undisturbed_one(
    run: Path, source: str, tmp_path: Path, gentrain, forked
) -> None:
    killed = tmp_path / "killed"
    process = forked.start("gentrain", *fitted(source), "--run", killed)
    assert 0 < kill_after_a_checkpoint(process, killed) < 192, "the kill should come in the middle"
    code, _, err = gentrain("fit", "--run", killed)
    assert code == 0, err
    assert "going on at" in err
    whole, again = (keras.models.load_model(folder / "generator.keras").get_weights() for folder in (run, killed))
    assert all(np.array_equal(one, other) for one, other in zip(whole, again, strict=True))


def test_evaluate_and_report_show_translations_beside_the_right_answers(run: Path, gentrain, source: str) -> None:
    code, out, err = gentrain("evaluate", run, "--features", "random")
    assert code == 0, err
    assert all(
        name in out for name in ("l1", "psnr", "ssim", "frechet", "3 dots", "pairs held out of the training: 12")
    )
    measured = json.loads((run / "metrics.json").read_text())
    assert measured["metrics"]["l1"]["value"] == measured["dots"]["0"]["l1"]
    negative = np.concatenate([drawn(number)[None] for number in range(COUNT)])[holdout_rows(source)]
    expected = np.abs(255.0 - 2.0 * negative).mean() / 255
    assert measured["metrics"]["l1"]["unchanged"] == pytest.approx(expected, abs=1e-5)
    code, out, err = gentrain("evaluate", run, "--features", "random", "--on", source, "--out", "all.json")
    assert code == 0, err
    assert json.loads(Path("all.json").read_text())["samples"] == COUNT
    code, _, err = gentrain("report", run)
    assert code == 0, err
    page = (run / "report.html").read_text()
    assert "Input, translated and true side by side" in page
    assert "input as it is" in page


def holdout_rows(source: str) -> np.ndarray:
    return holdout.split(read_source(source, Settings(resolution=64).frame), 12)[1]


def test_batches_keep_pairs_together_from_memory_and_from_the_disk(source: str, monkeypatch) -> None:
    data = read_source(source, Settings(resolution=64).frame)
    columns = {"images": data.images, **data.columns}
    for limit in (2**27, 0):
        monkeypatch.setattr("gentrain.data.stream.LARGEST_IN_MEMORY_BYTES", limit)
        for batch in batches(columns, 16, seed=3, first_batch=5, parts=2).take(9):
            assert belong_together(batch["image"].numpy(), batch["images"].numpy())


def test_a_pair_is_mirrored_and_moved_as_one_and_hints_are_of_what_came_of_it() -> None:
    images = np.stack([drawn(number) for number in range(8)])
    conditions = (Image(255 - images), Hints(SIDE))
    gan = GAN(SIDE, 3, conditions, Settings(networks="unet", latent_size=0, flip=True, jitter=0.25, **TINY))  # type: ignore[arg-type]
    batch = {"images": tf.constant(images), "image": tf.constant(255 - images)}

    def prepared(seen: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        made, given = gan._prepare(batch, Draws(0, tf.constant(seen, tf.int64), 8, 1))
        return made.numpy(), {name: tensor.numpy() for name, tensor in given.items()}

    made, given = prepared(0)
    assert not np.allclose(made, images / 127.5 - 1, atol=0.1), "they are changed"
    np.testing.assert_allclose(given["image"], -made, atol=1e-6)
    dotted = given["hints"][..., 3] == 1
    assert dotted.any()
    assert (given["hints"][~dotted] == hints.NO_HINT).all()
    for picture, row, column in np.argwhere(dotted):
        around = made[picture, max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
        assert np.isin(True, (around == given["hints"][picture, row, column, :3]).all(axis=-1)), "it is the picture's"
    again = prepared(0)[1]["hints"]
    np.testing.assert_array_equal(again, given["hints"])
    assert not np.array_equal(prepared(8)[1]["hints"], again), "other dots at each step"


def test_so_many_dots_are_of_the_colour_under_their_middle() -> None:
    flat = np.full((6, SIDE, SIDE, 3), 0.25, np.float32)
    for count in (0, 1, 8):
        dots = hints.some(flat, count).numpy()
        there = dots[..., 3] == 1
        most = 9 * count
        assert (there.sum(axis=(1, 2)) <= most).all()
        assert (there.sum(axis=(1, 2)) >= min(count, 1) * 4).all(), "a dot in a corner is cut to 2×2"
        assert (dots[there][:, :3] == 0.25).all()


def test_dots_fall_on_areas_in_proportion_to_their_size_and_each_on_a_colour_that_none_has_told() -> None:
    areas = np.ones((2000, 32, 32, 3), np.float32)
    areas[:, :10, :10] = (1, -1, -1)
    areas[:, 16:, 14:] = (-1, -1, 1)
    outline = np.ones((2000, 32, 32, 1), np.float32)

    def given(count: int) -> np.ndarray:
        """Which of white, red and blue the dots of each picture say, bool (2000, 3)."""
        dots = hints.some(areas, count, outline).numpy()
        white, red, blue = ((dots == (*colour, 1)).all(axis=-1) for colour in ((1, 1, 1), (1, -1, -1), (-1, -1, 1)))
        return np.stack([white.any(axis=(1, 2)), red.any(axis=(1, 2)), blue.any(axis=(1, 2))], axis=1)

    white, red, blue = given(1).mean(axis=0)
    assert red / blue == pytest.approx(9 * 9 / (15 * 17), rel=0.15), "where a dot lies in one colour wholly"
    assert 0.5 * hints.ANYWHERE < white < hints.ANYWHERE
    assert given(2)[:, 1:].all(axis=1).mean() > 0.85, "the second is of the other colour"
    assert given(8)[:, 1:].all(axis=1).mean() > 0.99


def test_the_penalty_is_on_the_mean_of_the_patches() -> None:
    images = np.stack([drawn(number) for number in range(8)])
    settings = Settings(networks="unet", latent_size=0, adversarial=1.0, **{**TINY, "gamma": 1.0})  # type: ignore[arg-type]
    gan = GAN(SIDE, 3, (Image(images),), settings)
    one = tf.constant(images / 127.5 - 1, tf.float32)
    assert gan.discriminator([one, one]).shape[1] > 1
    gan.float32_discriminator.set_weights(gan.discriminator.get_weights())
    np.testing.assert_allclose(
        gan.float32_discriminator([one, one])[:, 0], tf.reduce_mean(gan.discriminator([one, one]), axis=1), atol=1e-5
    )
    beside = tf.identity(one)
    gan._objective(one, -one, {"image": beside}, Draws(0, gan.images_seen, 8, 1))
    with tf.GradientTape() as tape:
        tape.watch(one)
        pooled = gan.float32_discriminator([one, beside])
    expected = tf.reduce_mean(tf.reduce_sum(tf.square(tape.gradient(pooled, one)), axis=[1, 2, 3]))
    assert float(gan.means["r1"].result()) == pytest.approx(float(expected), rel=1e-3)


def test_without_an_adversarial_loss_the_generator_learns_alone() -> None:
    images = np.stack([drawn(number) for number in range(8)])
    picture = Image(255 - images)
    settings = Settings(networks="unet", latent_size=0, adversarial=0.0, **TINY)  # type: ignore[arg-type]
    picture.configure(settings)
    gan = GAN(SIDE, 3, (picture,), settings)
    gan.compile()
    judged = [weight.copy() for weight in gan.discriminator.get_weights()]
    step = tf.function(gan.train_step)
    batch = {"images": tf.stack([images] * 2), "image": tf.stack([255 - images] * 2)}
    losses = []
    for _ in range(30):
        for mean in gan.metrics:
            mean.reset_state()
        losses.append(float(step(batch)["g_l1"]))
    assert losses[-1] < 0.7 * losses[0]
    assert all(np.array_equal(a, b) for a, b in zip(judged, gan.discriminator.get_weights(), strict=True))


def test_distances_are_those_of_the_definitions() -> None:
    true = np.stack([drawn(number) for number in range(4)])
    off = np.clip(true.astype(int) + 10, 0, 255).astype(np.uint8)
    found = translation.distances(off, true)
    errors = (off.astype(float) - true) / 255
    assert found["l1"] == pytest.approx(np.abs(errors).mean(), rel=1e-4)
    assert found["psnr"] == pytest.approx(-10 * np.log10(np.square(errors).mean()), rel=1e-4)
    assert 0.9 < found["ssim"] < 1
    assert translation.distances(true, true)["ssim"] == pytest.approx(1)


WRONG = [
    (
        ["--data", "plain.npz", "--preset", "translate"],
        "has no inputs to translate; pairs:INPUTS,TARGETS brings them",
        1,
    ),
    (["--preset", "translate", "--set", "networks=genline"], "networks genline start from latents", 2),
    (["--preset", "small", "--set", "networks=unet"], "networks unet start from pictures: --preset translate", 2),
    (["--set", "conditional=1"], "has no classes", 1),
    (["--preset", "small", "--set", "best_by=l1"], "best_by l1 needs pairs to compare with", 2),
]


@pytest.mark.parametrize(("options", "message", "expected"), WRONG)
def test_settings_that_do_not_go_together_are_reported_in_one_line(
    options: list[str], message: str, expected: int, source: str, gentrain
) -> None:
    np.savez("plain.npz", images=np.stack([drawn(number) for number in range(4)]))
    data = [] if "--data" in options else ["--data", source]
    code, _, err = gentrain("fit", "--run", "run", *data, *options)
    assert code == expected, err
    assert message in err.splitlines()[-1]


def test_a_run_is_not_put_into_the_data_of_either_side(source: str, gentrain) -> None:
    for folder in pairs.places(source.removeprefix("pairs:")):
        code, _, err = gentrain("fit", "--data", source, "--run", f"{folder}/run", "--dry-run")
        assert code == 1
        assert "lies inside the data" in err


def test_a_grid_shows_dots_on_the_input() -> None:
    image, dots = np.full((1, 8, 8, 1), -1.0, np.float32), np.full((1, 8, 8, 4), -1.0, np.float32)
    dots[0, 2:5, 2:5] = (1, -1, -1, 1)
    shown = examples.Examples({"image": image, "hints": dots}, np.zeros((1, 8, 8, 3), np.uint8)).inputs()
    assert shown.shape == (1, 8, 8, 3)
    assert (shown[0, 3, 3] == (255, 0, 0)).all()
    assert (shown[0, 7, 7] == 0).all()


def test_pairs_with_one_answer_for_all_inputs_are_shown_though_none_is_held_out(tmp_path: Path) -> None:
    for side in ("a", "b"):
        (tmp_path / side).mkdir()
    for number in range(20):
        Pillow.fromarray(drawn(number)).save(tmp_path / "a" / f"{number}.png")
        Pillow.fromarray(np.full((SIDE, SIDE, 3), 200, np.uint8)).save(tmp_path / "b" / f"{number}.png")
    settings = Settings(networks="unet", latent_size=0, conditions="image", resolution=SIDE)
    dataset = read_source(f"pairs:{tmp_path / 'a'},{tmp_path / 'b'}", settings.frame)
    shown = examples.held_out((Image(dataset.columns["image"]),), dataset, 4)
    assert shown is not None
    assert len(shown.given["image"]) == 1
