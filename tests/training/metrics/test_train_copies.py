"""Generators that copy: images held out of a training, and the search for the nearest ones."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf
from gentrain import sources
from gentrain.data import holdout
from gentrain.data.dataset import Dataset, Frame
from gentrain.metrics import nearest
from gentrain.metrics.judge import Judge
from gentrain.metrics.random_net import RandomNet
from gentrain.settings import Settings
from scipy.ndimage import gaussian_filter


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return sources.read("digits", Frame(32))


def drawing(images: np.ndarray) -> keras.Model:
    """A generator that shows one of these images, drawn at random by its latents."""
    flat = (images.reshape(len(images), -1) / 127.5 - 1).astype(np.float32)
    latents = keras.Input((len(images),), name="latents")
    x = keras.layers.Lambda(lambda z: tf.one_hot(tf.argmax(z, axis=1), len(images)))(latents)
    x = keras.layers.Dense(flat.shape[1], use_bias=False, kernel_initializer=lambda *_, **__: tf.constant(flat))(x)
    return keras.Model(latents, keras.layers.Reshape(images.shape[1:])(x))


def test_copies_of_training_images_score_worse_than_unseen_real_ones(digits: Dataset) -> None:
    """A quarter of the images is kept apart for the second generator; some of the others are held out of training."""
    order = np.random.default_rng(0).permutation(5000)
    known = dataclasses.replace(digits, images=digits.images[order[:1500]], labels=None, known_fingerprint=None)
    trained, unseen = holdout.split(known, 75)
    judge = Judge(known, "random", 300, unseen=unseen)
    copies = judge.score_generator(drawing(known.images[trained][:500]))
    honest = judge.score_generator(drawing(digits.images[order[1500:2000]]))
    assert copies["memorised"] > 0.9 > nearest.MEMORISER
    assert honest["memorised"] < 0.05
    assert copies["originality"] < 0.1
    assert honest["originality"] == pytest.approx(1, abs=0.1)
    softened = gaussian_filter(known.images[trained][:500].astype(np.float32), (0, 0.7, 0.7, 0)).astype(np.uint8)
    softened = judge.score_generator(drawing(softened))
    assert softened["memorised"] < 0.5, "they are farther from what they copy than some unseen images are"
    assert nearest.copies(softened["memorised"], softened["originality"])
    assert not nearest.copies(honest["memorised"], honest["originality"])
    blurred = gaussian_filter(digits.images[order[1500:2000]].astype(np.float32), (0, 1, 1, 0)).astype(np.uint8)
    assert judge.score_generator(drawing(blurred))["originality"] > 0.8, "what is blurred is near everything"
    held_out = judge.score_generator(drawing(known.images[unseen]))
    assert held_out["memorised"] < 0.05, "what was not trained on is no copy"


def test_images_that_are_there_twice_do_not_break_the_search(digits: Dataset) -> None:
    twice = Dataset("twice", digits.images[:300].repeat(2, axis=0))
    net = RandomNet(twice)
    unseen = nearest.search(digits.images[300:500], twice, net)
    copies = nearest.search(digits.images[:200], twice, net)
    for space in ("features", "pixels"):
        assert unseen[space].ratio == pytest.approx(1, abs=0.2)
        assert copies[space].ratio < 0.1
    assert nearest.memorised(unseen) < 0.05
    assert nearest.memorised(copies) > 0.95
    black = Dataset("black", np.zeros((40, 8, 8, 1), np.uint8))
    assert nearest.search(black.images, black, RandomNet(black))["pixels"].ratio == 1.0


@pytest.mark.parametrize(
    ("images", "held_out"),
    [(150, 0), (199, 0), (200, 20), (399, 40), (420, 140), (600, 200), (2000, 200), (5000, 500), (100_000, 2000)],
)
def test_a_tenth_is_held_out_and_of_few_images_what_can_be_spared(images: int, held_out: int) -> None:
    assert holdout.count(images, Settings()) == held_out
    assert holdout.count(images, Settings(held_out=7)) == 7
    assert holdout.count(images, Settings(held_out=0)) == 0
    assert holdout.count(images, Settings(held_out=10**6)) == images // 2


def test_what_too_few_images_cannot_tell_is_said() -> None:
    assert holdout.unknown(5000, 500, enough=50) == ""
    assert "none of 150 images was held out" in holdout.unknown(150, 0, enough=50)
    assert "only 30 of 300 images were held out" in holdout.unknown(300, 30, enough=50)


def test_held_out_images_leave_every_class_to_train_on() -> None:
    labels = np.array([0] * 300 + [1] * 15 + [2] * 100, np.int32)
    data = Dataset("few", np.zeros((415, 1, 1, 1), np.uint8), labels, ("a", "b", "c"))
    trained, unseen = holdout.split(data, 21)
    assert sorted([*trained, *unseen]) == list(range(415))
    assert len(unseen) == 21
    assert 1 not in labels[unseen]


def test_memorised_images_are_recognised(digits: Dataset) -> None:
    rng = np.random.default_rng(0)
    order = rng.permutation(5000)
    known = Dataset("digits", digits.images[order[:4000]])
    net = RandomNet(known)
    copies = np.clip(known.images[:60].astype(int) + rng.integers(-3, 4, (60, 28, 28, 1)), 0, 255).astype(np.uint8)
    for space, found in nearest.search(copies, known, net).items():
        assert found.ratio < 0.3, space
        assert list(found.indices[:, 0]) == list(range(60)), space
        assert all(len(set(nearest)) == 3 for nearest in found.indices)
    for space, found in nearest.search(digits.images[order[4000:]], known, net).items():
        assert found.ratio == pytest.approx(1, abs=0.15), space
