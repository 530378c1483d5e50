"""The run directory of contract 1, and going on with a run."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from forked import Process
from gentrain import plan
from gentrain.data.stream import batches
from gentrain.errors import TrainError
from gentrain.settings import Settings
from gentrain.training.callbacks.meter import Meter
from gentrain.training.callbacks.watch import Guard
from gentrain.training.checkpoints import Progress
from gentrain.training.devices import Devices
from gentrain.training.gan import GAN
from PIL import Image

SMALL_RUN = [
    "--data",
    "digits",
    "--set",
    "generator_width=8",
    "--set",
    "latent_size=16",
    "--set",
    "kimg_per_tick=0.512",
]

# Without penalties the graph is compiled in a quarter of the time.
UNPENALISED = ["--loss", "bce", "--set", "gamma=0", "--set", "gamma_final=0", "--precision", "float32"]


def read_log(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def logged_images(run: Path) -> float:
    return read_log(run)[-1]["kimg"] * 1000 if (run / "log.jsonl").exists() else 0


def weights(file: Path) -> list[np.ndarray]:
    return keras.models.load_model(file).get_weights()


def test_run_directory_holds_what_the_contract_names(run_directory: Path) -> None:
    config = json.loads((run_directory / "config.json").read_text())
    assert config["settings"]["kimg"] == 4.0
    assert config["settings"]["batch"] == 64
    assert {"genline", "tensorflow", "keras"} <= config["versions"].keys()
    dataset = json.loads((run_directory / "dataset.json").read_text())
    assert dataset["source"] == "digits"
    assert dataset["count"] == 5000
    assert dataset["image_shape"] == [28, 28, 1]
    assert dataset["class_counts"] == {str(digit): 500 for digit in range(10)}
    for line in read_log(run_directory):
        assert line.keys() >= {"kimg", "d_loss", "g_loss", "images_per_second", "learning_rate"}
    assert list((run_directory / "events").glob("events.out.tfevents.*"))
    assert any((run_directory / "checkpoints").iterdir())


def test_generator_is_a_functional_model_of_stock_layers(run_directory: Path) -> None:
    generator = keras.models.load_model(run_directory / "generator.keras", safe_mode=True)
    assert [(tensor.name, tensor.shape, tensor.dtype) for tensor in generator.inputs] == [
        ("latents", (None, 32), "float32")
    ]
    assert generator.output_shape == (None, 28, 28, 1)
    assert all(type(layer).__module__.startswith("keras.src.layers.") for layer in generator.layers)
    images = np.asarray(generator(np.random.default_rng(0).normal(size=(64, 32)).astype(np.float32)))
    assert images.dtype == np.float32
    assert images.min() >= -1
    assert images.max() <= 1
    assert images.std(axis=0).mean() > 0.05, "different latents should give different images"


def test_kept_generator_is_the_average_and_not_the_last_step(run_directory: Path) -> None:
    """The newest image grid is the kept generator's: seeds 0 to 63 of contract 3, through generator.keras."""
    from gentrain.images import image_grid, to_pixels
    from gentrain.networks.latents import latents_of_seeds

    generator = keras.models.load_model(run_directory / "generator.keras")
    last = sorted((run_directory / "samples").glob("*kimg.png"))[-1]
    drawn = image_grid(to_pixels(np.asarray(generator(latents_of_seeds(range(64), 32)))), columns=8)[..., 0]
    with Image.open(last) as image:
        shown = np.asarray(image.resize(drawn.shape[::-1], Image.Resampling.NEAREST))
    assert np.abs(shown.astype(int) - drawn).max() <= 1


def test_samples_start_at_zero_and_change(run_directory: Path) -> None:
    grids = sorted(path.name for path in (run_directory / "samples").iterdir())
    assert grids[0] == "000000kimg.png"
    assert len(grids) >= 2
    first, last = (np.asarray(Image.open(run_directory / "samples" / name)) for name in (grids[0], grids[-1]))
    assert not np.array_equal(first, last)


def test_a_finished_run_is_left_as_it_is_without_loading_tensorflow(run_directory: Path, command) -> None:
    before = (run_directory / "generator.keras").stat().st_mtime_ns
    again = command(
        "gentrain",
        "fit",
        "--data",
        "digits",
        "--run",
        run_directory,
        "--preset",
        "quick",
        "--kimg",
        "4",
        env={"PATH": ""},
    )
    assert again.returncode == 0
    assert "finished" in again.stderr
    assert (run_directory / "generator.keras").stat().st_mtime_ns == before


def test_killed_run_goes_on_to_the_very_weights_of_an_undisturbed_one(tmp_path: Path, gentrain, forked) -> None:
    length = ["--kimg", "4.096", "--set", "kimg_per_checkpoint=0.512"]
    small = [*SMALL_RUN, "--resolution", "12", "--set", "discriminator_width=8"]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    assert gentrain("fit", "--run", whole, *small, *length)[0] == 0

    process = forked.start("gentrain", "fit", "--run", killed, *small, *length)
    wait_until(lambda: any((killed / "checkpoints").glob("[0-9]*")), process)
    process.kill()
    process.wait()
    kept = max(int(path.name) for path in (killed / "checkpoints").glob("[0-9]*"))
    assert 0 < kept < 4096, "the kill should come in the middle"

    code, _, err = gentrain("fit", "--run", killed, *small, *length)
    assert code == 0, err
    assert "going on at" in err
    for name in ("generator.keras", "discriminator.keras"):
        for undisturbed, resumed in zip(weights(whole / name), weights(killed / name), strict=True):
            np.testing.assert_array_equal(undisturbed, resumed)
    assert [line["kimg"] for line in read_log(killed)] == [line["kimg"] for line in read_log(whole)]


def test_polite_stop_keeps_the_run_and_says_how_to_go_on(tmp_path: Path) -> None:
    """Ctrl-C, then the same command again, then SIGTERM: each keeps what was learned."""
    run = tmp_path / "run"
    gentrain = Path(sys.executable).with_name("gentrain")
    kept = 0
    for number in (signal.SIGINT, signal.SIGTERM):
        arguments = [gentrain, "fit", "--run", run, *SMALL_RUN, *UNPENALISED, "--kimg", "1000"]
        process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True)
        wait_until(lambda: logged_images(run) > kept, process)  # noqa: B023
        process.send_signal(number)
        _, stderr = process.communicate(timeout=180)
        assert process.returncode == 130
        assert f"go on with: gentrain fit --run {run}" in stderr
        assert "Traceback" not in stderr
        assert (run / "generator.keras").exists()
        newest = max((run / "checkpoints").glob("[0-9]*/progress.json"))
        before, kept = kept, json.loads(newest.read_text())["images_seen"]
        assert kept > before


def test_changed_settings_are_refused_by_name_and_a_longer_run_is_not(run_directory: Path, gentrain) -> None:
    changed = ["--batch", 32, "--set", "generator_width=16", "--data", "tests"]
    code, _, err = gentrain("fit", "--run", run_directory, *changed)
    assert code == 1
    for name in ("batch 64 (now 32)", "generator_width 48 (now 16)", "data digits (now tests)"):
        assert name in err
    assert err.count("\n") == 1


def test_the_content_of_the_data_decides_and_not_their_name(tmp_path: Path, gentrain) -> None:
    images, renamed, run = tmp_path / "images", tmp_path / "renamed", tmp_path / "run"
    draw_images(images, 8, seed=1)
    length = ["--kimg", "0.1", "--batch", "8", "--set", "generator_width=8", *UNPENALISED]
    assert gentrain("fit", "--data", images, "--run", run, *length)[0] == 0
    images.rename(renamed)
    assert gentrain("fit", "--run", run, "--kimg", "5") == (
        1,
        "",
        f"gentrain: {run}: its images are no longer at {images}; --data says where they are now\n",
    )
    code, _, err = gentrain("fit", "--data", renamed, "--run", run)
    assert code == 0, err
    for file, key in (("config.json", "data"), ("dataset.json", "source")):
        assert json.loads((run / file).read_text())[key] == str(renamed)
    draw_images(images, 9, seed=2)
    code, _, err = gentrain("fit", "--data", images, "--run", run, "--kimg", "5")
    assert code == 1
    assert "8 of [16, 16, 3] then, 9 of [16, 16, 3] now" in err
    code, _, err = gentrain("fit", "--data", images, "--run", run, *length, "--fresh")
    assert code == 0, err
    assert json.loads((run / "dataset.json").read_text())["count"] == 9
    assert read_log(run)[-1]["kimg"] == 0.128, "nothing of the old run is gone on with"


def test_minutes_end_a_run_by_the_clock(tmp_path: Path, gentrain) -> None:
    length = ["--minutes", "0.02"]
    code, _, err = gentrain("fit", "--run", tmp_path / "run", *SMALL_RUN, *UNPENALISED, *length)
    assert code == 0, err
    progress = json.loads(next((tmp_path / "run" / "checkpoints").glob("*/progress.json")).read_text())
    assert progress["seconds"] >= 1.2
    assert "finished" in gentrain("fit", "--run", tmp_path / "run", *SMALL_RUN, *UNPENALISED, *length)[2]


def test_epochs_set_the_length_by_the_number_of_images(tmp_path: Path, gentrain) -> None:
    _, out, _ = gentrain("fit", "--data", "digits", "--run", tmp_path / "run", "--epochs", 3, "--dry-run")
    assert json.loads(out)["settings"]["kimg"] == 15.0
    assert not (tmp_path / "run").exists(), "a dry run writes nothing"


@pytest.mark.parametrize("total", [0.2, 10.0])
def test_progress_never_goes_beyond_what_is_to_be_done(total: float) -> None:
    """A run ends with whole calls of the graph, eight steps of 64 images: that is what it is measured against."""
    shown: list[tuple[int, int]] = []
    gan = GAN(8, 1, (), Settings(latent_size=4, generator_width=4, discriminator_width=4, kimg=total))
    meter = Meter(Progress(), lambda now, of, _: shown.append((now.images_seen, of)), images=512)
    meter.set_model(gan)
    last = -(-round(total * 1000) // 512) * 512
    for seen in range(512, last + 1, 512):
        gan.images_seen.assign(seen)
        meter.on_train_batch_end(0, {})
    assert {of for _, of in shown} == {last}
    assert shown[-1][0] == last


@pytest.mark.parametrize("option", ["--resume", "--continue", "--fesh", "--restart"])
def test_an_option_that_is_not_there_never_leads_to_one_that_starts_over(option: str, gentrain) -> None:
    code, _, err = gentrain("fit", option, "runs/digits")
    assert (code, err.count("\n")) == (2, 1)
    assert "--fresh" not in err
    assert ("the same command goes on with a run" in err.lower()) == (option != "--fesh")


def test_losses_that_are_no_numbers_stop_the_run_and_name_the_last_checkpoint(run_directory: Path) -> None:
    gan = GAN(8, 1, (), Settings(latent_size=4, batch=4, generator_width=4, discriminator_width=4, precision="float32"))
    gan.compile()
    kernel = gan.discriminator.trainable_variables[0]
    kernel.assign(kernel * np.nan)
    stream = batches({"images": np.zeros((16, 8, 8, 1), np.uint8)}, batch_size=8, seed=0, first_batch=0)
    images = Devices("one").feed(stream, parts=2)
    with pytest.raises(TrainError, match=r"d_loss.*no longer finite.*checkpoints/0000"):
        gan.fit(images, steps_per_epoch=1, verbose=0, shuffle=False, callbacks=[Guard(run_directory)])


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--run", "x"], 2, "a new run needs --data"),
        (["--run", "x", "--data", "nowhere"], 1, "nowhere: no such data source"),
        (["--run", "x", "--data", "digits", "--preset", "huge"], 2, "--preset huge: no such preset"),
        (["--run", "x", "--data", "digits", "--kimg", "-1"], 2, "kimg must be from 0.001"),
        (["--run", "x", "--data", "digits", "--kimg", "nan"], 2, "kimg must be"),
        (["--run", "x", "--data", "digits", "--batch", "1"], 2, "batch must be from 2"),
        (["--run", "x", "--data", "digits", "--epochs", "0"], 2, "kimg must be from"),
        (["--run", "x", "--data", "digits", "--set", "resolution=30"], 2, "multiple of 4"),
        (["--run", "x", "--data", "digits", "--set", "depth=3"], 2, "no such setting"),
        (["--run", "x", "--data", "digits", "--set", "batch"], 2, "name=value"),
        (["--run", "x", "--data", "digits", "--set", "batch=a"], 2, "expected a whole number, got 'a'"),
        (
            ["--run", "x", "--data", "digits", "--loss", "l3"],
            2,
            "loss must be one of rpgan, bce, lsgan, hinge, wgan-gp",
        ),
        (["--run", "x", "--data", "digits", "--crop", "left"], 2, "crop must be one of center, none"),
        (["--run", "x", "--data", "digits", "--set", "flip=maybe"], 2, "expected 1 or 0, got 'maybe'"),
        (["--run", "x", "--data", "digits", "--background", "blueish"], 2, "background"),
        (["--run", "x", "--data", "digits", "--data", "digits"], 2, "--data is given 2 times"),
        (["--run", "x", "--data", "digits", "--channels", "4"], 2, "channels must be 1, 3, or 0 for what the images"),
        (
            ["--run", "x", "--data", "digits", "--resolution", "260"],
            2,
            "resolution must be a multiple of 4 from 8 to 256",
        ),
        (["--run", "x", "--data", "digits", "--value-range", "5"], 2, "value_range must be LOW:HIGH"),
        (["--run", "./x", "--data", "."], 1, "x: lies inside the data, ., which its samples would join"),
        (["--run", ".", "--data", "digits"], 1, "holds other things and no config.json"),
        (["--run", "file", "--data", "digits"], 1, "not a folder"),
    ],
)
def test_wrong_use_is_one_line(arguments: list[str], code: int, message: str, tmp_path: Path, gentrain) -> None:
    (tmp_path / "file").write_text("")
    ended, _, err = gentrain("fit", *arguments)
    assert ended == code
    assert message in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


def test_data_that_have_a_name_lie_in_no_folder_of_that_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "digits" / "photos").mkdir(parents=True)
    assert plan.folder_of("digits") is None
    assert plan.folder_of("./digits") == plan.folder_of("folder:digits") == (tmp_path / "digits").resolve()


@pytest.mark.parametrize("fresh", [[], ["--fresh"]])
def test_a_folder_that_is_no_run_is_left_alone_even_by_fresh(fresh: list[str], tmp_path: Path, gentrain) -> None:
    for name in ("samples", "holiday"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.txt").write_text("dear to me")
    begin = ["fit", "--run", tmp_path, *SMALL_RUN, "--kimg", 1]
    code, _, err = gentrain(*begin, *fresh)
    assert code == 1
    assert "holds other things and no config.json" in err
    assert (tmp_path / "samples" / "mine.txt").exists()
    shutil.rmtree(tmp_path / "holiday")
    code, _, err = gentrain(*begin)
    assert code == 1
    assert "--fresh clears them" in err
    assert (tmp_path / "samples" / "mine.txt").exists()


def test_what_a_kill_left_half_written_before_a_run_is_no_obstacle_and_goes(tmp_path: Path, gentrain) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / ".tmp-1-config.json").write_text("{")
    (run / "dataset.json").write_text("{")
    (run / "interface.json").write_text("{")
    code, _, err = gentrain("fit", "--run", run, *SMALL_RUN, *UNPENALISED, "--kimg", "0.1")
    assert code == 0, err
    assert not list(run.glob("**/.tmp-*"))
    assert json.loads((run / "interface.json").read_text())["inputs"][0]["shape"] == [None, 16]


def test_two_lengths_are_wrong_use(tmp_path: Path, gentrain) -> None:
    assert gentrain("fit", "--data", "digits", "--run", tmp_path / "x", "--kimg", 1, "--minutes", 1) == (
        2,
        "",
        "gentrain: --kimg, --epochs and --minutes all set the length; give one of them\n",
    )


def wait_until(condition, process: subprocess.Popen | Process) -> None:
    while not condition():
        assert process.poll() is None, "the training ended before the condition was met"
        try:
            process.wait(0.05)
        except subprocess.TimeoutExpired:
            continue


def draw_images(folder: Path, count: int, seed: int) -> None:
    folder.mkdir()
    generator = np.random.default_rng(seed)
    for i in range(count):
        Image.fromarray(generator.integers(0, 255, (16, 16, 3), np.uint8)).save(folder / f"{i}.png")
