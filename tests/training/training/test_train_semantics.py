"""What a step must mean: the objective term by term, mirrored images, what is kept and what is resumed."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from gentrain.conditions import Labels
from gentrain.data import holdout
from gentrain.data.dataset import Dataset
from gentrain.data.stream import batches
from gentrain.metrics import METRICS
from gentrain.networks.latents import latents_of_seeds
from gentrain.settings import CHOICES, Settings
from gentrain.training import checkpoints, memory
from gentrain.training.augment import augment
from gentrain.training.callbacks.evaluator import Evaluator
from gentrain.training.callbacks.keeper import _draw, keep_networks
from gentrain.training.callbacks.meter import Meter
from gentrain.training.checkpoints import Progress
from gentrain.training.devices import Devices
from gentrain.training.draws import Draws
from gentrain.training.gan import GAN
from PIL import Image

SIDE = 8


def gan_of(classes: int = 0, channels: int = 3, **changes: object) -> GAN:
    tiny = {"generator_width": 4, "discriminator_width": 4, "batch": 8, "latent_size": 6, "precision": "float32"}
    gan = GAN(SIDE, channels, [Labels(classes)] if classes else (), Settings(**{**tiny, **changes}))  # type: ignore[arg-type]
    gan.compile()
    return gan


def noise(part: int, rows: int = 8) -> tf.Tensor:
    return tf.random.stateless_normal((rows, SIDE, SIDE, 3), seed=(1, part))


def pixels(gan: GAN, images: np.ndarray) -> np.ndarray:
    """Uint8 images as the networks see them in the step that comes next."""
    return np.asarray(gan._prepare({"images": tf.constant(images)}, Draws(0, gan.images_seen, len(images), 1))[0])


def slopes(gan: GAN, images: tf.Tensor, labels: tf.Tensor | None = None) -> np.ndarray:
    """The squared length of the discriminator's gradient at every image, one image at a time."""
    found = []
    for number in range(len(images)):
        one = images[number : number + 1]
        with tf.GradientTape() as tape:
            tape.watch(one)
            logit = gan.discriminator(one if labels is None else [one, labels[number : number + 1]])
        found.append(np.square(tape.gradient(logit, one)).sum())
    return np.array(found)


def objective(gan: GAN, labels: tf.Tensor | None = None) -> float:
    given = {} if labels is None else {"labels": labels}
    return float(gan._objective(noise(0), noise(1), given, Draws(0, gan.images_seen, 8, 1))[0])


@pytest.mark.parametrize("classes", [0, 3])
def test_the_critic_minimises_the_loss_and_half_gamma_times_each_penalty(classes: int) -> None:
    """softplus(fake − real) + γ/2 · (R1 + R2), each term computed here, one image at a time."""
    labels = tf.constant([0, 1, 2, 0, 1, 2, 0, 1]) if classes else None
    gan = gan_of(classes, gamma=8.0, gamma_final=8.0, augment=0.0)
    real, fake = (gan.discriminator(noise(part) if labels is None else [noise(part), labels]) for part in range(2))
    loss = float(np.log1p(np.exp(np.asarray(fake - real, np.float64))).mean())
    r1, r2 = (slopes(gan, noise(part), labels).mean() for part in range(2))
    assert min(loss, r1, r2) > 1e-3, "each term should be seen"
    assert abs(r1 - r2) > 1e-2 * r1, "the two should be told apart"
    assert objective(gan, labels) == pytest.approx(loss + 4 * r1 + 4 * r2, rel=1e-4)
    assert float(gan.means["r1"].result()) == pytest.approx(r1, rel=1e-4)
    assert float(gan.means["r2"].result()) == pytest.approx(r2, rel=1e-4)
    assert float(gan.means["d_loss"].result()) == pytest.approx(loss, rel=1e-4)


def test_gamma_falls_along_its_cosine_in_the_objective() -> None:
    gan = gan_of(gamma=8.0, gamma_final=2.0, augment=0.0)
    objective(gan)
    loss, r1, r2 = (float(gan.means[name].result()) for name in ("d_loss", "r1", "r2"))
    for progress, gamma in ((0.0, 8.0), (0.5, 5.0), (1.0, 2.0)):
        gan.images_seen.assign(round(progress * 220_000))
        assert objective(gan) == pytest.approx(loss + gamma / 2 * (r1 + r2), rel=1e-4)


def test_wgan_gp_minimises_its_loss_and_ten_times_the_slope_between_real_and_fake() -> None:
    gan = gan_of(loss="wgan-gp", augment=0.0)
    real, fake = noise(0), noise(1)
    part = Draws(0, gan.images_seen, 8, 1).uniform(1)[:, :, None, None]
    slope = np.square(np.sqrt(slopes(gan, real + part * (fake - real))) - 1).mean()
    loss = float(tf.reduce_mean(gan.discriminator(fake) - gan.discriminator(real)))
    assert objective(gan) == pytest.approx(loss + 10 * slope, rel=1e-4)


def test_each_image_is_mirrored_for_itself_half_of_the_time() -> None:
    """Of a batch some are mirrored and some are not, and no image is anything else."""
    gan = gan_of(flip=True)
    images = np.random.default_rng(0).integers(0, 256, (64, SIDE, SIDE, 3), np.uint8)
    plain = images / 127.5 - 1.0
    mirrored = []
    for step in range(16):
        gan.images_seen.assign(64 * step)
        shown = pixels(gan, images)
        turned = np.array([np.allclose(a, b[:, ::-1], atol=1e-6) for a, b in zip(shown, plain, strict=True)])
        same = np.array([np.allclose(a, b, atol=1e-6) for a, b in zip(shown, plain, strict=True)])
        assert (turned ^ same).all()
        assert 0.2 < turned.mean() < 0.8, "within one batch"
        mirrored.append(turned)
    assert np.mean(mirrored) == pytest.approx(0.5, abs=0.06)
    assert len({tuple(turned) for turned in mirrored}) == 16, "every step draws anew"
    np.testing.assert_allclose(pixels(gan_of(), images), plain, atol=1e-6)


def test_the_critic_sees_real_and_fake_images_augmented_alike() -> None:
    gan = gan_of(augment=1.0, loss="bce", gamma=8.0, gamma_final=8.0)
    gan.augmented.assign(1.0)
    draws = Draws(0, gan.images_seen, 8, 1)
    both = tf.concat([noise(0), noise(1)], axis=0)
    logits = gan.discriminator(augment(both, tf.constant(1.0), lambda values: draws.uniform(values, 16)))
    objective(gan)
    for name, rows in (("real_logit", logits[:8]), ("fake_logit", logits[8:])):
        assert float(gan.means[name].result()) == pytest.approx(float(tf.reduce_mean(rows)), abs=1e-5)
    assert np.abs(logits - gan.discriminator(both)).max() > 1e-3


def test_the_generator_minimises_its_loss_on_fakes_normalised_by_their_batch_and_augmented_like_real_images() -> None:
    gan = gan_of(augment=1.0)
    gan.augmented.assign(1.0)
    pixels = np.random.default_rng(0).integers(0, 256, (8, SIDE, SIDE, 3), np.uint8)
    latents, draws = tf.random.stateless_normal((8, 6), (0, 0)), Draws(0, gan.images_seen, 8, 1)
    made, real = gan.generator(latents, training=True), tf.constant(pixels / 127.5 - 1, tf.float32)
    fake, real = (gan.discriminator(augment(images, tf.constant(1.0), draws.uniform)) for images in (made, real))
    expected = float(tf.reduce_mean(tf.nn.softplus(real - fake)))
    gan._generator_step({"images": tf.constant(pixels)}, latents, Draws(0, gan.images_seen, 8, 1))
    assert float(gan.means["g_loss"].result()) == pytest.approx(expected, rel=1e-4)


def test_each_network_has_images_labels_and_latents_of_its_own() -> None:
    gan, given = gan_of(classes=3), {}
    gan._discriminator_step = lambda *arguments: given.update(discriminator=arguments[:2])
    gan._generator_step = lambda *arguments: given.update(generator=arguments[:2])
    images = np.random.default_rng(0).integers(0, 256, (2, 8, SIDE, SIDE, 3), np.uint8)
    labels = np.random.default_rng(1).integers(0, 3, (2, 8), np.int32)
    gan.train_step({"images": tf.constant(images), "labels": tf.constant(labels)})
    for part, network in enumerate(("discriminator", "generator")):
        np.testing.assert_array_equal(given[network][0]["images"], images[part])
        np.testing.assert_array_equal(given[network][0]["labels"], labels[part])
    assert not np.isin(given["generator"][1], given["discriminator"][1]).any()
    draws = Draws(0, gan.images_seen, 8, 1)
    assert not np.isin(draws.uniform(2), draws.uniform(2)).any(), "nor are any two draws of a step alike"


def test_dropout_is_another_at_each_step_and_the_same_when_a_step_is_repeated() -> None:
    """It is all that changes what the discriminator says of the same images by the same weights."""
    gan = gan_of(networks="dcgan28", dropout=0.5, augment=0.0)
    batch = {"images": tf.zeros((2, 8, SIDE, SIDE, 3), tf.uint8) + 200}
    start, said = [np.asarray(variable) for variable in gan.state], []
    for seen in (0, 8, 0):
        for variable, value in zip(gan.state, start, strict=True):
            variable.assign(value)
        gan.images_seen.assign(seen)
        gan.means["real_logit"].reset_state()
        gan.train_step(batch)
        said.append(float(gan.means["real_logit"].result()))
    assert said[0] == said[2] != said[1]


def test_samples_of_a_conditional_generator_are_a_row_of_each_class_and_a_column_of_each_seed() -> None:
    gan = gan_of(classes=3)
    latents = latents_of_seeds([*range(8)] * 3, 6)
    expected = gan.ema([latents, tf.constant([0] * 8 + [1] * 8 + [2] * 8)], training=False)
    np.testing.assert_allclose(_draw(gan), expected, atol=1e-6)


COLOURS = Dataset("colours", np.random.default_rng(0).integers(0, 256, (40, SIDE, SIDE, 3), np.uint8))


def train(gan: GAN, steps: int) -> None:
    first = int(gan.images_seen.numpy()) // 8
    stream = batches({"images": COLOURS.images}, 16, seed=0, first_batch=first, parts=2)
    gan.fit(Devices("one").feed(stream, 2), steps_per_epoch=steps, verbose=0, shuffle=False)


def test_a_resumed_training_with_augmentation_is_the_undisturbed_one(tmp_path: Path) -> None:
    """In colour, mirrored, augmentation under way, with a discriminator on features: all are in a checkpoint."""
    options = {"augment": 0.8, "augment_target": 0.1, "flip": True, "kimg": 0.2, "loss": "bce"}
    options |= {"features_weight": 2.0}
    options |= {"gamma": 0.0, "gamma_final": 0.0}  # compiled in a quarter of the time
    whole = gan_of(**options)
    whole.augmented.assign(0.4)
    train(whole, 4)
    checkpoints.save(tmp_path, whole, Progress(32, 1.0))
    halfway = float(whole.augmented)
    train(whole, 4)

    resumed = gan_of(**options)
    checkpoints.restore(checkpoints.latest(tmp_path), resumed)
    assert float(resumed.augmented) == halfway != 0.4
    train(resumed, 4)
    assert int(resumed.images_seen) == 64
    for undisturbed, again in zip(whole.state, resumed.state, strict=True):
        np.testing.assert_array_equal(np.asarray(undisturbed), np.asarray(again))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_discriminator_on_features_is_learned_from_and_learns_by_itself(channels: int) -> None:
    """Its net stays as it was trained; the generator's other loss and the discriminator on pixels are left alone."""
    plain, gan = (gan_of(channels=channels, gamma=0.0, features_weight=weight, kimg=1) for weight in (0.0, 2.0))
    features = gan.auxiliary[0]
    frozen = features.maps.get_weights()
    heads = features.rival.get_weights()
    for each in (plain, gan):
        each.images_seen.assign(100)  # half of the way up the ramp
        images = np.random.default_rng(0).integers(0, 256, (2, 8, SIDE, SIDE, channels), np.uint8)
        logs = each.train_step({"images": tf.constant(images)})
    np.testing.assert_allclose(float(features.weight_at(gan.progress())), 2.0 * 3 / 8 * 108 / 200)
    for progress, weight in ((0.2, 0.75), (0.7, 0.75), (0.8, 2.0)):
        np.testing.assert_allclose(float(features.weight_at(tf.constant(progress))), weight)
    assert {"g_features", "rival_features"} == {name for name in logs if "features" in name}
    assert all(np.array_equal(a, b) for a, b in zip(frozen, features.maps.get_weights(), strict=True))
    moved = [not np.array_equal(a, b) for a, b in zip(heads, features.rival.get_weights(), strict=True)]
    # The logits of real and fake images are compared, so a bias of both is none, but for rounding.
    assert all(
        each or weight.path.endswith("_logits/bias") for each, weight in zip(moved, features.rival.weights, strict=True)
    )
    assert not features.maps.trainable_variables
    for network, alike in (("discriminator", True), ("generator", False)):
        one, other = (getattr(each, network).trainable_variables[0].numpy() for each in (plain, gan))
        assert np.allclose(one, other, atol=1e-6) == alike, network
    net = features.maps.get_layer("pretrained")
    outputs = keras.Model(net.input, [layer.output for layer in net.layers])(tf.zeros((1, 32, 32, 3)))
    of_a_pixel = sum(map(np.size, outputs)) / 32**2
    more = memory.bytes_per_image(gan) - memory.bytes_per_image(plain)
    assert more == pytest.approx(memory.BYTES_PER_OUTPUT["float32"] * of_a_pixel * 64**2, rel=0.01)
    maps = features.maps(noise(0) if channels == 3 else noise(0)[..., :1])
    assert [seen.shape[1] for seen in maps] == [16, 8, 4], (
        "strides of images of 64 pixels, to which smaller are enlarged"
    )
    for seen in maps:
        np.testing.assert_allclose(np.square(seen).mean(axis=-1), 1.0, rtol=1e-3)


def test_the_generator_that_is_kept_is_the_average_to_the_bit(tmp_path: Path) -> None:
    gan = gan_of()
    for number, weight in enumerate((*gan.generator.weights, *gan.discriminator.weights)):
        weight.assign(weight + 0.1 + 0.01 * number)
    keep_networks(gan, tmp_path)
    kept = keras.models.load_model(tmp_path / "generator.keras").get_weights()
    for mean, last, weight in zip(gan.ema.weights, gan.generator.weights, kept, strict=True):
        np.testing.assert_array_equal(weight, np.asarray(mean))
        assert not np.array_equal(weight, np.asarray(last)), "the last step's weights are others"
    discriminator = keras.models.load_model(tmp_path / "discriminator.keras").get_weights()
    for weight, trained in zip(discriminator, gan.discriminator.weights, strict=True):
        np.testing.assert_array_equal(weight, np.asarray(trained))


@pytest.fixture
def evaluator(tmp_path: Path) -> Evaluator:
    evaluator = Evaluator(tmp_path, Meter(Progress(), lambda *_: None), COLOURS, 1.0, "frechet", lambda line: None)
    evaluator.best.mkdir()
    return evaluator


@pytest.mark.parametrize("metric", CHOICES["best_by"])
def test_the_best_snapshot_is_the_one_that_its_metric_calls_better(evaluator: Evaluator, metric: str) -> None:
    evaluator.by = metric
    (evaluator.best / "best.json").write_text(json.dumps({metric: 0.5}))
    lower = metric in ("frechet", "kernel", "l1")
    assert METRICS[metric].better == ("lower" if lower else "higher")
    assert [evaluator._is_better(value) for value in (0.4, 0.5, 0.6)] == [lower, False, not lower]
    (evaluator.best / "best.json").unlink()
    assert [evaluator._is_better(value) for value in (np.nan, np.inf, 0.5)] == [False, False, True]


@pytest.mark.parametrize(("before", "expected"), [(0, [1000, 2000, 2500]), (1500, [2000, 2500])])
def test_a_run_is_measured_each_time_so_many_images_are_over_and_at_its_end(
    tmp_path: Path, before: int, expected: list[int]
) -> None:
    gan, at = gan_of(kimg=2.5), []
    meter = Meter(Progress(before, 1.0), lambda *_: None)
    evaluator = Evaluator(tmp_path, meter, COLOURS, 1.0, "frechet", lambda line: None, held_out=6)
    evaluator.measure = lambda: at.append(int(gan.images_seen)) or {"frechet": np.nan, "memorised": 0.0}
    for callback in (meter, evaluator):
        callback.set_model(gan)
    for seen in range(before + 500, 2501, 500):
        gan.images_seen.assign(seen)
        evaluator.on_epoch_end(0, {})
    assert at == expected
    np.testing.assert_array_equal(evaluator.unseen, holdout.split(COLOURS, 6)[1])


def test_the_best_snapshot_is_chosen_by_other_held_out_images_than_it_is_reported_on(tmp_path: Path) -> None:
    many = Dataset("many", np.random.default_rng(0).integers(0, 256, (250, SIDE, SIDE, 3), np.uint8))
    meter = Meter(Progress(), lambda *_: None)
    evaluator = Evaluator(tmp_path, meter, many, 1.0, "frechet", lambda line: None, held_out=100)
    evaluator.set_model(gan_of())
    chosen_by, reported_on = holdout.halves(holdout.split(many, 100)[1])
    np.testing.assert_array_equal(evaluator._judge().compared, chosen_by)
    assert sorted({*chosen_by} | {*reported_on}) == evaluator.unseen.tolist()
    assert len(chosen_by) == len(reported_on) == 50
    assert [len(half) for half in holdout.halves(evaluator.unseen[:99])] == [99, 99], "half of it would tell nothing"


def test_a_generator_that_copies_is_never_the_best(tmp_path: Path) -> None:
    notes: list[str] = []
    gan = gan_of(kimg=1.0)
    gan.images_seen.assign(1000)
    meter = Meter(Progress(), lambda *_: None)
    evaluator = Evaluator(tmp_path, meter, COLOURS, 1.0, "frechet", notes.append)
    for callback in (meter, evaluator):
        callback.set_model(gan)
    for frechet, memorised, kept in ((9.0, 0.02, 9.0), (1.0, 0.9, 9.0), (8.0, 0.5, 8.0)):
        evaluator.measure = lambda scores=(frechet, memorised): dict(zip(("frechet", "memorised"), scores, strict=True))
        evaluator.on_epoch_end(0, {})
        assert json.loads((tmp_path / "best" / "best.json").read_text())["frechet"] == kept
    assert len(notes) == 1
    assert "90% of the images are copies" in notes[0]
    evaluator.measure = lambda: {"frechet": 1.0, "memorised": 0.1, "originality": 0.2}
    evaluator.on_epoch_end(0, {})
    assert "0.20 times as far from training images" in notes[1]
    assert json.loads((tmp_path / "best" / "best.json").read_text())["frechet"] == 8.0
    assert Image.open(tmp_path / "best" / "samples.png").width > 8 * 8, "the grid of the one that was kept"


@pytest.mark.parametrize(("count", "rows"), [(1000, 64), (37, 8)])
def test_in_an_epoch_each_network_sees_every_image_once(count: int, rows: int) -> None:
    numbers = np.arange(count, dtype=np.int32)
    data = Dataset("numbered", np.zeros((count, 1, 1, 1), np.uint8), numbers)
    steps = -(-count // rows)
    columns = {"images": data.images, "labels": numbers}
    stream = batches(columns, 2 * rows, seed=0, first_batch=0, parts=2).take(steps).as_numpy_iterator()
    labels = np.stack([batch["labels"] for batch in stream])
    for part in (labels[:, :rows], labels[:, rows:]):
        assert sorted(part.ravel()[:count]) == list(range(count))
    assert not np.array_equal(labels[:, :rows], labels[:, rows:]), "the two do not see the same batches"


def test_images_that_are_held_out_are_never_drawn() -> None:
    chosen = np.array([1, 3, 4, 7])
    data = Dataset("numbered", np.zeros((9, 1, 1, 1), np.uint8), np.arange(9, dtype=np.int32))
    columns = {"images": data.images, "labels": data.labels}
    drawn = itertools.islice(batches(columns, 8, 0, 0, parts=2, chosen=chosen).as_numpy_iterator(), 50)
    counts = np.bincount(np.concatenate([batch["labels"] for batch in drawn]), minlength=9)
    assert {number for number in range(9) if counts[number]} == set(chosen)
    assert set(counts[chosen]) == {100}
