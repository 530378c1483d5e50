"""The parts of a training that must hold exactly: the order of the data, the average, the clock, latents of a seed."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from gentrain.data import holdout
from gentrain.data.dataset import Dataset
from gentrain.data.stream import batches
from gentrain.networks.latents import latents_of_seeds
from gentrain.run import _ticks, _train
from gentrain.settings import Settings
from gentrain.training.callbacks.log import _drop_lines_after
from gentrain.training.callbacks.meter import Clock, Meter
from gentrain.training.checkpoints import Progress
from gentrain.training.devices import Devices
from gentrain.training.gan import GAN


def numbered(count: int) -> np.ndarray:
    """Images (count, 1, 1, 1) whose one pixel is their number."""
    return np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)


def drawn(count: int, rows: int, seed: int, first_batch: int, number: int) -> np.ndarray:
    stream = batches({"images": numbered(count)}, rows, seed, first_batch)
    return np.concatenate([batch["images"].ravel() for batch in itertools.islice(stream.as_numpy_iterator(), number)])


def test_every_image_comes_once_an_epoch_in_another_order_each_time() -> None:
    order = drawn(count=30, rows=6, seed=3, first_batch=0, number=15).reshape(3, 30)
    for epoch in order:
        assert sorted(epoch) == list(range(30))
    assert len({tuple(epoch) for epoch in order}) == 3


def test_order_goes_on_from_any_batch_even_across_epochs() -> None:
    whole = drawn(count=10, rows=4, seed=1, first_batch=0, number=9)
    assert np.array_equal(drawn(count=10, rows=4, seed=1, first_batch=5, number=4), whole[20:])
    assert not np.array_equal(drawn(count=10, rows=4, seed=2, first_batch=0, number=9), whole)


def test_order_holds_with_fewer_images_than_rows() -> None:
    assert sorted(drawn(count=3, rows=6, seed=0, first_batch=0, number=1)) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(("halflife_kimg", "rampup"), [(0.1, 1e6), (1e3, 0.1)])
def test_average_moves_half_way_in_a_half_life_or_early_on_in_a_part_of_the_images_seen(
    halflife_kimg: float, rampup: float
) -> None:
    options = {"ema_halflife_kimg": halflife_kimg, "ema_rampup": rampup, "latent_size": 4, "generator_width": 4}
    gan = GAN(8, 1, (), Settings(batch=50, precision="float32", **options))
    start = [variable.numpy() for variable in gan.ema.variables]
    for variable in gan.generator.variables:
        variable.assign(variable + 1.0)
    gan.images_seen.assign(1000)
    for _ in range(2):  # two steps of 50 images are one half-life of 100
        gan._update_ema(50)
    for before, variable in zip(start, gan.ema.variables, strict=True):
        np.testing.assert_allclose(variable.numpy(), before + 0.5, atol=1e-5)


@pytest.fixture
def meter(monkeypatch: pytest.MonkeyPatch) -> Meter:
    """Of a run of 10,000 images and 30 seconds so far, with a clock that a test sets: `meter.clock[0] = seconds`."""
    clock = [100.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    meter = Meter(Progress(10_000, 30.0), lambda *_: None)
    meter.clock = clock
    meter.set_model(GAN(8, 1, (), Settings(latent_size=4, generator_width=4, discriminator_width=4)))
    meter.model.images_seen.assign(10_000)
    meter.on_epoch_begin(0)
    meter.model.images_seen.assign(11_000)
    meter.clock[0] = 105.0
    meter.on_train_batch_end(0, {})
    return meter


def test_seconds_are_those_of_all_sessions_and_the_rate_is_that_of_the_tick(meter: Meter) -> None:
    assert meter.progress == Progress(11_000, 35.0)
    assert meter.images_per_second == pytest.approx(200)


def test_schedules_of_a_run_by_the_clock_end_where_it_will_be_by_then(meter: Meter) -> None:
    clock = Clock(meter, minutes=1.0, devices=Devices("one"))
    clock.set_model(meter.model)
    meter.model.stop_training = False
    clock.on_train_batch_end(0)
    assert int(meter.model.images_total) == 11_000 + 25 * 200
    assert not meter.model.stop_training
    meter.clock[0] = 130.0
    clock.on_train_batch_end(1)
    assert meter.model.stop_training
    assert float(meter.model.progress()) == 1.0


@pytest.mark.parametrize("seen", [0, 128, 512, 576, 1024, 1536])
def test_ticks_end_at_the_same_images_wherever_a_run_goes_on(seen: int) -> None:
    ends, at = [], seen
    for executions, ticks in _ticks(Settings(batch=8, kimg=1.5, kimg_per_tick=0.512), seen):
        for _ in range(ticks):
            ends.append(at := at + 64 * executions)
    assert ends == [end for end in (512, 1024, 1536) if end > seen]


def test_a_run_goes_on_with_the_next_batch_of_what_is_not_held_out(monkeypatch: pytest.MonkeyPatch) -> None:
    class Drawn(Exception): ...

    def batches(*arguments: object) -> None:
        raise Drawn(*arguments)

    monkeypatch.setattr("gentrain.run.batches", batches)
    gan = GAN(8, 1, (), Settings(latent_size=4, generator_width=4, discriminator_width=4, batch=8, held_out=5))
    gan.images_seen.assign(800)
    data = Dataset("numbered", np.tile(numbered(40), (1, 8, 8, 1)))
    with pytest.raises(Drawn) as drawn:
        _train(gan, data, Devices("one"), [])
    _, rows, seed, first_batch, parts, chosen = drawn.value.args
    assert (rows, seed, first_batch, parts) == (16, 0, 100, 2)
    np.testing.assert_array_equal(chosen, holdout.split(data, 5)[0])
    assert len(chosen) == 35


def test_what_a_killed_run_logged_after_its_checkpoint_is_forgotten(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text('{"kimg": 0.512}\n{"kimg": 1.024}\n{"kimg": 1.536}\n{"kimg": 0.1')
    _drop_lines_after(log, 1024)
    assert log.read_text() == '{"kimg": 0.512}\n{"kimg": 1.024}\n'


def test_latents_of_a_seed_are_those_of_the_contract() -> None:
    seeds = [0, 7, 2**32 + 5, 2**63 - 1, -1]
    latents = latents_of_seeds(seeds, 10).numpy()
    for seed, row in zip(seeds, latents, strict=True):
        expected = tf.raw_ops.StatelessRandomNormalV2(shape=[10], key=[seed % 2**64], counter=[0, 0], alg=1)
        np.testing.assert_array_equal(row, expected)
