"""The parts of a training that must hold exactly: the order of the data, the average, the latents of a seed."""

from __future__ import annotations

import itertools

import numpy as np
import tensorflow as tf
from gentrain.dataset import Dataset
from gentrain.gan import GAN
from gentrain.latents import latents_of_seeds
from gentrain.settings import Settings
from gentrain.stream import batches


def numbered(count: int) -> np.ndarray:
    """Images (count, 1, 1, 1) whose one pixel is their number."""
    return np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)


def drawn(count: int, rows: int, seed: int, first_batch: int, number: int) -> np.ndarray:
    stream = batches(Dataset("numbered", numbered(count)), rows, seed, first_batch)
    return np.concatenate([images.ravel() for images, _ in itertools.islice(stream.as_numpy_iterator(), number)])


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


def test_average_moves_half_way_in_a_half_life() -> None:
    settings = Settings(
        batch=50, ema_halflife_kimg=0.1, ema_rampup=1e6, latent_size=4, generator_width=4, precision="float32"
    )
    gan = GAN(8, 1, 0, settings)
    start = [variable.numpy() for variable in gan.averaged.variables]
    for variable in gan.generator.variables:
        variable.assign(variable + 1.0)
    gan.images_seen.assign(1000)
    for _ in range(2):  # two steps of 50 images are one half-life of 100
        gan._average(50)
    for before, variable in zip(start, gan.averaged.variables, strict=True):
        np.testing.assert_allclose(variable.numpy(), before + 0.5, atol=1e-5)


def test_latents_of_a_seed_are_those_of_the_contract() -> None:
    seeds = [0, 7, 2**32 + 5, 2**63 - 1, -1]
    latents = latents_of_seeds(seeds, 10).numpy()
    for seed, row in zip(seeds, latents, strict=True):
        expected = tf.raw_ops.StatelessRandomNormalV2(shape=[10], key=[seed % 2**64], counter=[0, 0], alg=1)
        np.testing.assert_array_equal(row, expected)
