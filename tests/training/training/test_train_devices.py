"""Several devices make the steps that one would make; a cluster leaves one run directory."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from pathlib import Path

import keras
import numpy as np
import pytest
from forked import Forked

RUN = ["--data", "digits", "--resolution", "8", "--preset", "quick", "--kimg", "1.024", "--precision", "float32"]
RUN += ["--set", "generator_width=8", "--set", "discriminator_width=8", "--set", "kimg_per_tick=0.512"]

TWO_CPUS = """
import tensorflow as tf
tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, command) -> Path:
    run = tmp_path_factory.mktemp("alone") / "run"
    done = command("gentrain", "fit", *RUN, "--run", run)
    assert done.returncode == 0, done.stderr
    return run


def first_losses(run: Path) -> dict[str, float]:
    line = json.loads((run / "log.jsonl").read_text().splitlines()[0])
    return {name: line[name] for name in ("d_loss", "g_loss", "r1", "r2", "real_logit")}


def assert_alike(run: Path, alone: Path) -> None:
    """After eight steps the losses are one device's but for rounding, and all of contract 1 is there."""
    expected = first_losses(alone)
    assert first_losses(run) == pytest.approx(expected, rel=2e-3, abs=2e-4)
    assert {path.name for path in run.iterdir()} == {path.name for path in alone.iterdir()}
    one, several = (keras.models.load_model(path / "generator.keras") for path in (alone, run))
    latents = np.random.default_rng(0).normal(size=(16, 32)).astype(np.float32)
    assert np.abs(np.asarray(one(latents)) - np.asarray(several(latents))).mean() < 0.05


def test_two_devices_make_the_steps_of_one(tmp_path: Path, alone: Path, command) -> None:
    run = tmp_path / "run"
    done = command("gentrain", "fit", *RUN, "--run", run, "--strategy", "mirrored", first=TWO_CPUS)
    assert done.returncode == 0, done.stderr
    assert_alike(run, alone)


def test_two_workers_of_a_cluster_make_the_steps_of_one_and_go_on_after_a_stop(
    tmp_path: Path, alone: Path, forked
) -> None:
    run = tmp_path / "run"
    finish_cluster(forked, *RUN, "--run", run)
    assert_alike(run, alone)
    finish_cluster(forked, "--run", run, "--kimg", "1.536")
    assert [json.loads(line)["kimg"] for line in (run / "log.jsonl").read_text().splitlines()] == [0.512, 1.024, 1.536]


def test_a_batch_that_cannot_be_shared_and_a_broken_tf_config_are_told(
    tmp_path: Path, command, gentrain, monkeypatch: pytest.MonkeyPatch
) -> None:
    uneven = ["--batch", "7", "--strategy", "mirrored"]
    done = command("gentrain", "fit", *RUN, "--run", tmp_path / "run", *uneven, first=TWO_CPUS)
    assert done.returncode == 1
    assert "batch 7 cannot be shared by 2 devices" in done.stderr
    monkeypatch.setenv("TF_CONFIG", "{")
    code, _, err = gentrain("fit", *RUN, "--run", tmp_path / "run")
    assert code == 2
    assert err.startswith("gentrain: TF_CONFIG: expected JSON")


def finish_cluster(forked: Forked, *arguments: object) -> None:
    """Two workers run `gentrain fit` with these arguments to its end."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(2)]
    addresses = [f"localhost:{opened.getsockname()[1]}" for opened in sockets]
    for opened in sockets:
        opened.close()
    with tempfile.TemporaryFile("w+b") as stderr:
        workers = []
        for index in range(2):
            task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            environment = {**os.environ, "TF_CONFIG": json.dumps(task)}
            workers.append(forked.start("gentrain", "fit", *arguments, env=environment, stderr=stderr))
        codes = [worker.wait(300) for worker in workers]
        stderr.seek(0)
        assert codes == [0, 0], stderr.read().decode()
