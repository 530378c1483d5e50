"""Nothing is lost: full disks, two trainings in one place, generators that turn bad."""

from __future__ import annotations

import json
import os
import re
import resource
import subprocess
import sys
import time
from pathlib import Path

import disks
import keras
import numpy as np
import pytest
import tensorflow as tf
from gentrain.errors import TrainError
from gentrain.settings import Settings
from gentrain.training import memory
from gentrain.training.callbacks.watch import SATURATED_TICKS, Watch
from gentrain.training.gan import GAN

RUN = ["--data", "digits", "--resolution", 8, "--preset", "quick", "--set", "generator_width=8"]
RUN += ["--set", "discriminator_width=8", "--set", "kimg_per_tick=0.512", "--set", "kimg_per_checkpoint=0.512"]
UNPENALISED = ["--loss", "bce", "--set", "gamma=0"]  # compiled in a quarter of the time
RUN += UNPENALISED


def checkpoints(run: Path) -> list[str]:
    return sorted(path.name for path in (run / "checkpoints").glob("[0-9]*"))


def test_a_full_disk_is_reported_and_the_last_checkpoint_goes_on(tmp_path: Path, command, gentrain) -> None:
    run = tmp_path / "run"
    assert gentrain("fit", "--run", run, *RUN, "--kimg", "0.512")[0] == 0
    before = (run / "generator.keras").read_bytes()

    # No file can grow as large as the generator's.
    no_room = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before) // 2},) * 2)"
    full = command("gentrain", "fit", "--run", run, "--kimg", "1.024", first=no_room)
    assert full.returncode == 1
    assert "cannot be written" in full.stderr.splitlines()[-1]
    assert "Traceback" not in full.stderr
    assert (run / "generator.keras").read_bytes() == before
    assert checkpoints(run) == ["000000000512"]
    assert not list(run.glob("**/.tmp-*"))

    code, _, err = gentrain("fit", "--run", run, "--kimg", "1.024")
    assert code == 0, err
    assert checkpoints(run) == ["000000000512", "000000001024"]


def test_a_disk_without_room_for_the_first_events_is_one_line(tmp_path: Path) -> None:
    run = tmp_path / "disk" / "run"
    command = [Path(sys.executable).with_name("gentrain"), "fit", "--run", run, *map(str, RUN), "--kimg", "0.512"]
    done = subprocess.run(disks.on_small_disk(run.parent, 8, command), capture_output=True, text=True, timeout=300)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.splitlines()[-1] == f"gentrain: {run}/events: cannot be written: No space left on device"


def test_a_place_that_cannot_be_written_to_is_reported_in_one_line(gentrain) -> None:
    code, out, err = gentrain("fit", "--run", "/proc/run", *RUN, "--kimg", "0.1")
    assert (code, out) == (1, "")
    assert err.splitlines()[-1].startswith("gentrain: /proc/run: cannot be written")
    assert "Traceback" not in err


def test_a_second_training_in_the_same_place_is_kept_out(tmp_path: Path, gentrain, forked) -> None:
    run = tmp_path / "run"
    first = forked.start("gentrain", "fit", "--run", run, *RUN, "--kimg", "1000")
    try:
        while not (run / "config.json").exists():
            assert first.poll() is None
            time.sleep(0.05)
        code, _, err = gentrain("fit", "--run", run, *RUN, "--kimg", "1000")
        assert code == 1
        assert f"{run}: another training is under way there" in err
        assert first.poll() is None
    finally:
        first.kill()
        first.wait()


def test_the_best_snapshot_is_kept_and_exported(tmp_path: Path, genexport, gentrain) -> None:
    measured, data = tmp_path / "run", tmp_path / "waves.npz"
    waves = np.sin(np.add.outer(np.arange(300.0), np.arange(64.0) / 9)).reshape(300, 8, 8, 1)
    np.savez(data, images=np.uint8(127.5 + 127.5 * waves))
    length = ["--kimg", "1.536", "--set", "kimg_per_evaluation=0.512"]
    code, _, err = gentrain("fit", "--run", measured, "--data", data, *RUN[2:], *length)
    assert code == 0, err
    log = [json.loads(line) for line in (measured / "log.jsonl").read_text().splitlines()]
    assert all({"frechet", "kernel", "precision", "recall", "density", "coverage"} <= line.keys() for line in log)
    assert checkpoints(measured) == ["000000001024", "000000001536"], "the last two"
    best = json.loads((measured / "best" / "best.json").read_text())
    assert best["frechet"] == min(line["frechet"] for line in log)
    assert best["kimg"] == min(log, key=lambda line: line["frechet"])["kimg"]

    # A later, worse generator is not what is exported, unless asked for.
    generator = keras.models.load_model(measured / "generator.keras")
    generator.set_weights([np.zeros_like(weight) for weight in generator.get_weights()])
    generator.save(measured / "generator.keras")
    for snapshot, spread in (("best", True), ("last", False)):
        models = tmp_path / snapshot
        where = ["--repository", models, "--name", "d", "--files", "float32", "--no-critic"]
        done = genexport("publish", measured, *where, "--snapshot", snapshot)
        assert done.exit_code == 0, done.output
        reference = np.load(models / "d" / "1" / "reference.npz")
        images = reference[next(name for name in reference.files if "image" in name)]
        assert (images.std() > 0.05) == spread
        manifest = json.loads((models / "d" / "1" / "manifest.json").read_text())
        assert manifest["provenance"]["snapshot"] == snapshot


def test_a_run_cut_short_is_not_measured(run_directory: Path) -> None:
    assert not (run_directory / "best").exists()


def watched(note) -> Watch:
    watch = Watch(note)
    gan = GAN(8, 1, (), Settings(latent_size=4, generator_width=4, discriminator_width=4, precision="float32"))
    gan.images_seen.assign(gan.images_total)
    watch.set_model(gan)
    return watch


def test_a_discriminator_that_wins_is_reported_once_and_logged_each_time() -> None:
    notes: list[str] = []
    watch = watched(notes.append)
    logs = [{"d_accuracy": 1.0} for _ in range(SATURATED_TICKS + 2)]
    for number, line in enumerate(logs):
        watch.on_epoch_end(number, line)
    assert ["warning" in line for line in logs] == [False] * (SATURATED_TICKS - 1) + [True] * 3
    assert len(notes) == 1
    assert "raise gamma" in notes[0]


def test_a_discriminator_ahead_early_on_or_now_and_then_is_no_news() -> None:
    notes: list[str] = []
    watch = watched(notes.append)
    for number in range(3 * SATURATED_TICKS):
        watch.on_epoch_end(number, {"d_accuracy": 0.9 if number % SATURATED_TICKS == 1 else 1.0})
    watch.model.images_seen.assign(0)
    for number in range(SATURATED_TICKS):
        watch.on_epoch_end(number, {"d_accuracy": 1.0})
    assert notes == []


def test_lost_coverage_is_told() -> None:
    notes: list[str] = []
    watch = watched(notes.append)
    for number, coverage in enumerate((0.1, 0.8, 0.7, 0.39)):
        assert not notes
        watch.on_epoch_end(number, {"d_accuracy": 0.7, "coverage": coverage})
    assert "collapsing" in notes[0]


LOCKING = """
import sys
from pathlib import Path
from gentrain import run, sources
from gentrain.data.dataset import Frame
print(*sources.read(sys.argv[2], Frame(32)).notes, sep="\\n")
with run.locked(Path(sys.argv[1]), print):
    assert (Path(sys.argv[1]) / ".lock").exists()
"""


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A file of images that no cache has."""
    np.savez(tmp_path / "images.npz", images=np.arange(256, dtype=np.uint8).reshape(4, 8, 8, 1))
    return tmp_path / "images.npz"


@pytest.mark.skipif(sys.platform != "linux", reason="LD_PRELOAD is Linux' way to stand in for a function of C")
def test_a_file_system_without_locks_is_reported_once_and_trained_on(tmp_path: Path, images: Path) -> None:
    """As some network mounts: both the cache and the run do without a lock."""
    (tmp_path / "shim.c").write_text("#include <errno.h>\nint flock(int fd, int how) { errno = ENOSYS; return -1; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tmp_path / "shim.so", tmp_path / "shim.c"], check=True)
    settings = {"LD_PRELOAD": str(tmp_path / "shim.so"), "GENLINE_CACHE": str(tmp_path / "cache")}
    arguments = [sys.executable, "-c", LOCKING, tmp_path / "run", images]
    done = subprocess.run(arguments, env={**os.environ, **settings}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (warning,) = [line for line in done.stdout.splitlines() if "warning" in line]
    assert "this file system cannot lock files (Function not implemented); going on" in warning


def test_python_without_fcntl_trains_too(tmp_path: Path, images: Path) -> None:
    arguments = [sys.executable, "-c", f"import sys; sys.modules['fcntl'] = None{LOCKING}", tmp_path / "run", images]
    settings = {"GENLINE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(arguments, env={**os.environ, **settings}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "cannot lock files (Python has no fcntl here)" in done.stdout


def test_too_little_memory_is_reported_with_a_batch_that_fits(tmp_path: Path, command) -> None:
    """Found out by C++ code that would end the process, or by TensorFlow: either way it is one line."""

    def little() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (6_000_000_000, 6_000_000_000))

    many = ["--batch", "8192", "--precision", "float32", "--channels", "3", *UNPENALISED]
    done = command("gentrain", "fit", "--data", "digits", "--run", tmp_path / "run", *many, preexec_fn=little)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "terminate called" not in done.stderr
    found = re.fullmatch(
        r"gentrain: out of memory with batch 8192: --batch (\d+) would probably fit", done.stderr.splitlines()[-1]
    )
    assert found, done.stderr
    assert 64 <= int(found[1]) < 8192


@pytest.mark.parametrize("raised", [MemoryError, tf.errors.ResourceExhaustedError])
def test_an_error_of_python_or_tensorflow_tells_the_same(raised: type[Exception]) -> None:
    gan = GAN(8, 1, (), Settings(latent_size=4, generator_width=4, discriminator_width=4, precision="float32"))
    error = raised() if raised is MemoryError else raised(None, None, "OOM when allocating tensor with shape[8192,64]")
    with pytest.raises(TrainError, match="out of memory with batch 64: "), memory.reported_as(memory.OutOfMemory(gan)):
        raise error
