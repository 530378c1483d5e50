"""Generators and images judged: real digits that are damaged more and more, and the feature nets."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from gentrain import sources
from gentrain.conditions import Labels
from gentrain.data import holdout
from gentrain.data.dataset import Dataset, Frame
from gentrain.errors import TrainError
from gentrain.metrics import classifier, feature_files
from gentrain.metrics.features import features_for, features_of
from gentrain.metrics.generate import generate
from gentrain.metrics.judge import Judge
from gentrain.metrics.random_net import RandomNet
from gentrain.networks.latents import latents_of_seeds
from scipy.linalg import sqrtm
from scipy.ndimage import gaussian_filter

SAMPLES = 500


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return sources.read("digits", Frame(32))


@pytest.fixture(scope="module")
def judges(digits: Dataset) -> dict[str, Judge]:
    """Nets made for all the digits that judge by 2,000 of them, to be quick."""
    rows = np.random.default_rng(0).permutation(5000)[:2000]
    few = dataclasses.replace(digits, images=digits.images[rows], labels=digits.labels[rows], known_fingerprint=None)
    return {kind: Judge(few, features_for(digits, kind), SAMPLES) for kind in ("classifier", "random")}


@pytest.fixture(scope="module")
def bars() -> Dataset:
    """Small images of two classes, upright bars and level ones, which a classifier learns in a moment."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 60, (240, 8, 8, 1), np.uint8)
    labels = np.arange(240, dtype=np.int32) % 2
    for image, label, place in zip(images, labels, rng.integers(0, 8, 240), strict=True):
        (image if label else image.transpose(1, 0, 2))[place] += 190
    return Dataset("bars", images, labels, ("upright", "level"))


def blurred(images: np.ndarray, strength: float) -> np.ndarray:
    return gaussian_filter(images.astype(np.float32), (0, 0.5 * strength, 0.5 * strength, 0)).round().astype(np.uint8)


def noised(images: np.ndarray, strength: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, 12 * strength, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


def cropped(images: np.ndarray, strength: float) -> np.ndarray:
    """Enlarged, so that the border is lost."""
    side = images.shape[1]
    centre = (side - 1) / 2
    place = np.rint(centre + (np.arange(side) - centre) / (1 + 0.1 * strength)).astype(int)
    return images[:, place][:, :, place]


def blacked_out(images: np.ndarray, strength: float) -> np.ndarray:
    images, half = images.copy(), round(2 * strength)
    images[:, 14 - half : 14 + half, 14 - half : 14 + half] = 0
    return images


@pytest.mark.parametrize("damage", [blurred, noised, cropped, blacked_out])
@pytest.mark.parametrize("kind", ["classifier", "random"])
def test_distances_grow_with_damage(
    kind: str, damage: Callable[[np.ndarray, float], np.ndarray], judges: dict[str, Judge]
) -> None:
    judge = judges[kind]
    images = judge.dataset.images[judge.held_out]
    scores = [judge.reference, *(judge.score(damage(images, strength)) for strength in (1, 2, 3))]
    for name in ("frechet", "kernel"):
        values = [score[name] for score in scores]
        assert all(less < more for less, more in itertools.pairwise(values)), (name, values)
    assert scores[-1]["coverage"] < 0.95 * scores[0]["coverage"]


def test_reference_is_what_unseen_real_images_score(digits: Dataset, judges: dict[str, Judge]) -> None:
    """Half of the digits are judged by the other half: as the floor says, whichever half it is."""
    net = judges["classifier"].features
    judge, other = (Judge(digits, net, 10**6, seed) for seed in (0, 1))
    assert judge.samples == 2500
    for name in ("frechet", "precision", "recall", "density", "coverage"):
        assert judge.reference[name] == pytest.approx(other.reference[name], rel=0.3), name
    spread = judge.real.var(axis=0).sum()
    assert 0.002 * spread < judge.reference["frechet"] < 0.01 * spread, (
        "images that were compared with themselves get less"
    )
    assert 0.9 < judge.reference["precision"] < 0.99
    assert 0.9 < judge.reference["recall"] < 0.99
    assert 0.8 < judge.reference["coverage"] < 0.99
    assert judge.reference["density"] == pytest.approx(1, abs=0.05)


class Reader:
    """A feature net that reads the number which an image shows."""

    name, hash, accuracy, note = "reader", "", None, ""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return images[:, 0, 0, :].astype(np.float32).repeat(2, axis=1)

    def classes(self, features: np.ndarray) -> None: ...

    def model(self) -> None: ...


NUMBERS = np.arange(240, dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(8, axis=1).repeat(8, axis=2)
TWICE = np.tile(NUMBERS, (2, 1, 1, 1))
COPIES = np.tile(np.arange(240), 2)


@pytest.mark.parametrize("samples", [40, 10**6])
@pytest.mark.parametrize("copies", [False, True])
def test_no_image_of_the_reference_is_among_those_that_are_scored(copies: bool, samples: int) -> None:
    """By identity: every image shows its own number, and the feature net reads it."""
    data = Dataset("twice", TWICE, first_alike=COPIES) if copies else Dataset("numbered", NUMBERS)
    judge = Judge(data, Reader(), samples)
    reference = [int(number) for number in judge.real[:, 0]]
    held_out = list(judge.held_out)
    assert len(held_out) == len(set(held_out)) == judge.samples == min(samples, 120)
    assert len(reference) == len(set(reference)) == min(2 * judge.samples, 240 - judge.samples)
    assert not set(reference) & set(held_out)


def test_of_copies_one_is_held_out_and_none_of_it_is_trained_on() -> None:
    data = Dataset("twice", TWICE, np.arange(480, dtype=np.int32) % 2, ("a", "b"), first_alike=COPIES)
    trained, unseen = holdout.split(data, 30)
    assert len(unseen) == 30
    assert len(trained) == 480 - 60
    assert not set(COPIES[trained]) & set(COPIES[unseen])
    learned, kept = classifier._split(data)
    assert not set(COPIES[learned]) & set(COPIES[kept])


def test_labels_are_drawn_as_often_as_the_data_has_them() -> None:
    labels = (np.arange(240) % 10 == 0).astype(np.int32)
    judge = Judge(Dataset("numbered", NUMBERS, labels, ("often", "seldom")), Reader())
    latents = keras.Input((4,), name="latents")
    generator = keras.Model([latents, *Labels(2).inputs().values()], latents)
    assert judge.given(generator)["labels"].mean() == pytest.approx(0.1, abs=0.07)


def test_noise_and_blots_do_not_look_real(judges: dict[str, Judge]) -> None:
    """A classifier's features alone find most of pure noise among the real images."""
    judge = judges["classifier"]
    rng = np.random.default_rng(0)
    real = judge.dataset.images[judge.held_out]
    clouds = gaussian_filter(rng.normal(size=real.shape), (0, 2, 2, 0))
    wrong = {
        "noise": rng.integers(0, 256, real.shape).astype(np.uint8),
        "noise as bright as digits": np.clip(rng.normal(real.mean(), real.std(), real.shape), 0, 255).astype(np.uint8),
        "blots": (255 * (clouds > 1.3 * clouds.std())).astype(np.uint8),
        "blur": blurred(real, 3),
    }
    for name, images in wrong.items():
        found = judge.score(images)
        assert found["precision"] < 0.05, name
        assert found["density"] < 0.05, name
    assert judge.score(real)["precision"] == judge.reference["precision"] > 0.85


def test_classifier_of_digits_reads_digits(judges: dict[str, Judge]) -> None:
    net = judges["classifier"].features
    assert net.name == "classifier"
    assert net.accuracy is not None
    assert net.accuracy >= 0.96
    assert judges["classifier"].reference["accuracy"] == net.accuracy
    assert judges["classifier"].real.var(axis=0).mean() == pytest.approx(1, abs=0.15)


def test_classifier_comes_from_the_cache_the_second_time(bars: Dataset, own_cache: Path) -> None:
    first = features_for(bars)
    assert first.name == "classifier"
    (kept,) = (own_cache / "features").glob(f"{bars.fingerprint[:32]}*")
    written = kept.stat().st_mtime_ns
    second = features_for(bars)
    assert kept.stat().st_mtime_ns == written
    assert (second.hash, second.accuracy) == (first.hash, first.accuracy)
    np.testing.assert_array_equal(first(bars.images), second(bars.images))


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"no zip"])
def test_damaged_cache_is_replaced_by_the_same_net(
    bars: Dataset, own_cache: Path, damage: Callable[[bytes], bytes]
) -> None:
    expected = features_for(bars).hash
    (kept,) = (own_cache / "features").glob(f"{bars.fingerprint[:32]}*")
    kept.write_bytes(damage(kept.read_bytes()))
    assert features_for(bars).hash == expected
    assert keras.models.load_model(kept, compile=False).name == "classifier"


def test_a_cache_that_cannot_be_written_is_said_and_borne(
    bars: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("GENLINE_CACHE", str(tmp_path / "file"))
    net = features_for(bars)
    assert net.name == "classifier"
    assert "not kept" in net.note


def test_preparing_nets_leaves_a_training_under_way_alone(bars: Dataset, own_cache: Path) -> None:
    """Neither random state nor the numbers in layers' names move, and precision is the net's own."""

    def restart() -> None:
        tf.random.set_seed(3)
        keras.utils.set_random_seed(3)
        keras.utils.clear_session()
        keras.config.set_dtype_policy("mixed_bfloat16")

    def drawn() -> list[object]:
        return [
            float(tf.random.uniform([])),
            float(np.random.rand()),
            random.random(),
            keras.layers.Dense(1).name,
            keras.layers.Conv2D(1, 1).name,
            keras.config.dtype_policy().name,
        ]

    expected = features_for(bars)
    (kept,) = (own_cache / "features").glob(f"{bars.fingerprint[:32]}*")
    kept.unlink()
    try:
        restart()
        undisturbed = drawn()
        restart()
        trained = features_for(bars)
        features_for(bars)
        features_for(bars, "random")
        assert drawn() == undisturbed
        assert trained.hash == expected.hash
        np.testing.assert_array_equal(trained(bars.images), expected(bars.images))
    finally:
        keras.config.set_dtype_policy("float32")


def test_features_are_a_random_nets_where_labels_say_nothing(bars: Dataset) -> None:
    unlabelled = Dataset("bars", bars.images)
    shuffled = Dataset("bars", bars.images, np.random.default_rng(1).permutation(bars.labels), bars.class_names)  # type: ignore[arg-type]
    scarce = Dataset("bars", bars.images[:30], bars.labels[:30], bars.class_names)  # type: ignore[index]
    for dataset, reason in ((unlabelled, "no labels"), (shuffled, "guessing"), (scarce, "2 are needed")):
        net = features_for(dataset)
        assert net.name == "random"
        assert reason in net.note
        with pytest.raises(TrainError, match=reason):
            features_for(dataset, "classifier")


def test_a_generator_is_not_judged_by_the_net_that_it_was_trained_through(bars: Dataset) -> None:
    large = np.random.default_rng(0).integers(0, 256, (30, 32, 32, 3), np.uint8)
    assert features_for(Dataset("large", large)).name == "efficientnet-lite0"
    judge = Judge(Dataset("large", large), seen_through="lite0")
    assert judge.features.name == "efficientnet-lite1"
    assert judge.other is not None
    assert judge.other.name == "random"
    assert features_for(Dataset("grey", large[..., :1])).name == "efficientnet-lite0"
    assert features_for(Dataset("small", large[:, :8, :8])).name == "random", "too small for a net of photographs"


def test_random_net_is_the_same_everywhere_and_takes_any_image(bars: Dataset) -> None:
    net = RandomNet(bars)
    assert net.hash == "95239a3c37e3fadbe135c09d0cc3363c474715234ea06cf20aa5b5a58f285510"
    features = net(bars.images)
    assert features.shape == (240, 256)
    assert features.mean() == pytest.approx(0, abs=0.05)
    assert features.var(axis=0).mean() == pytest.approx(1, abs=0.05)
    in_colour = RandomNet(Dataset("bars", bars.images.repeat(3, axis=3)))
    np.testing.assert_allclose(in_colour(bars.images.repeat(3, axis=3)), features, atol=1e-4)
    assert in_colour(np.zeros((2, 128, 128, 3), np.uint8)).shape == (2, 256)


@pytest.mark.parametrize("kind", ["classifier", "random"])
def test_a_run_keeps_its_yardstick_for_who_has_no_gentrain(kind: str, judges: dict[str, Judge], tmp_path: Path) -> None:
    """What Keras and NumPy alone read from the two files gives the judge's own Fréchet distance."""
    judge = judges[kind]
    feature_files.keep(judge, tmp_path)
    net, real = (
        keras.models.load_model(tmp_path / "features.keras", compile=False),
        dict(np.load(tmp_path / "features.npz")),
    )
    images = judge.dataset.images[judge.held_out]
    features = np.asarray(net(images.astype(np.float32) / 255), np.float64)
    np.testing.assert_allclose(features, judge.features(images), atol=1e-3)
    product = real["covariance"] @ np.cov(features, rowvar=False)
    spread = np.trace(real["covariance"] + np.cov(features, rowvar=False)) - 2 * np.trace(sqrtm(product)).real
    distance = np.sum((real["mean"] - features.mean(axis=0)) ** 2) + spread
    assert distance == pytest.approx(judge.reference["frechet"], rel=1e-3, abs=1e-3)
    assert int(real["count"]) == len(judge.real)
    assert str(real["hash"]) == judge.features.hash
    assert ("kernel" in real) == (kind == "classifier")
    if kind == "classifier":
        told = (features @ real["kernel"] + real["bias"]).argmax(axis=1)
        assert (told == judge.dataset.labels[judge.held_out]).mean() > 0.9

    whole = (tmp_path / "features.npz").read_bytes()
    (tmp_path / "features.npz").write_bytes(whole[: len(whole) // 2])  # as a broken copy has it
    feature_files.keep(judge, tmp_path)
    assert (tmp_path / "features.npz").stat().st_size == len(whole)
    written = (tmp_path / "features.keras").stat().st_mtime_ns
    feature_files.keep(judge, tmp_path)
    assert (tmp_path / "features.keras").stat().st_mtime_ns == written
    if kind == "classifier":  # as runs of earlier versions are
        np.savez(tmp_path / "features.npz", **{name: real[name] for name in real if name not in ("kernel", "bias")})
        feature_files.keep(judge, tmp_path)
        assert "kernel" in np.load(tmp_path / "features.npz")
    other = judges["random" if kind == "classifier" else "classifier"]
    feature_files.keep(other, tmp_path)
    assert str(np.load(tmp_path / "features.npz")["hash"]) == other.features.hash


def test_nets_of_keras_take_the_users_file_and_no_other(bars: Dataset, tmp_path: Path) -> None:
    whole = keras.applications.InceptionV3(include_top=False, weights=None, input_shape=(75, 75, 3), pooling="avg")
    file = tmp_path / "own_notop.weights.h5"
    whole.save_weights(file)
    net = features_for(bars, file)
    assert net.name == "inception"
    assert net(bars.images[:2]).shape == (2, 2048)
    small = keras.applications.MobileNetV2(include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg")
    small.save_weights(tmp_path / "mobile.weights.h5")
    net = features_for(bars, "mobilenet-v2", tmp_path / "mobile.weights.h5")
    assert (net.name, net(bars.images[:2]).shape) == ("mobilenet-v2", (2, 1280))

    keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]).save_weights(tmp_path / "other.weights.h5")
    (tmp_path / "text.h5").write_text("no weights")
    for name in ("other.weights.h5", "text.h5", "missing.h5"):
        with pytest.raises(TrainError, match=f"{name}.*notop"):
            features_for(bars, tmp_path / name)


def test_scores_want_as_many_images_as_the_reference_and_of_the_same_shape(judges: dict[str, Judge]) -> None:
    with pytest.raises(TrainError, match="expected 500 × 28 × 28 × 1"):
        judges["random"].score(np.zeros((499, 28, 28, 1), np.uint8))


def test_too_few_images_are_refused(bars: Dataset) -> None:
    with pytest.raises(TrainError, match="at least 20"):
        Judge(Dataset("few", bars.images[:19]))


def stamping(digits: Dataset, classes: list[int]) -> keras.Model:
    """A conditional generator that shows a real digit of the class for every label, whatever the latents."""
    assert digits.labels is not None
    examples = np.stack([digits.images[digits.labels == number][0] for number in classes]).reshape(10, -1)
    latents, labels = keras.Input((4,), name="latents"), keras.Input((), dtype="int32", name="labels")
    x = keras.layers.Embedding(10, 784, weights=[examples / 127.5 - 1])(labels)
    x = keras.layers.Add()([x, keras.layers.Dense(784, kernel_initializer="zeros")(latents)])
    return keras.Model([latents, labels], keras.layers.Reshape((28, 28, 1))(x))


def test_conditional_generator_is_given_classes_as_the_data_has_them(digits: Dataset, judges: dict[str, Judge]) -> None:
    judge = judges["classifier"]
    right, wrong = (stamping(digits, classes) for classes in (list(range(10)), [*range(1, 10), 0]))
    given = judge.given(right)
    assert np.bincount(given["labels"], minlength=10).min() > 0.05 * SAMPLES
    assert judge.score_generator(right)["accuracy"] >= 0.85
    assert judge.score_generator(wrong)["accuracy"] <= 0.15
    by_class = judge.class_accuracy(generate(right, SAMPLES, given=given), given["labels"])
    assert by_class.keys() == set("0123456789")
    assert set(by_class.values()) <= {0.0, 1.0}


def test_generated_images_are_those_of_the_contracts_seeds() -> None:
    """A generator that shows its latents: 300 of them go through in two batches."""
    latents = keras.Input((4,), name="latents")
    shown = keras.Model(latents, keras.layers.Reshape((2, 2, 1))(latents))
    expected = np.rint((np.clip(latents_of_seeds(range(2**40, 2**40 + 300), 4), -1, 1) + 1) * 127.5)
    np.testing.assert_array_equal(generate(shown, 300, first_seed=2**40).reshape(300, 4), expected)


def test_generator_that_gives_no_numbers_is_refused() -> None:
    latents = keras.Input((4,), name="latents")
    broken = keras.Model(latents, keras.layers.Rescaling(np.nan)(keras.layers.Reshape((2, 2, 1))(latents)))
    with pytest.raises(TrainError, match="no numbers"):
        generate(broken, 3)


def test_features_are_read_in_the_order_requested(bars: Dataset) -> None:
    net, counted = RandomNet(bars), []
    rows = np.random.default_rng(2).integers(0, 240, 600)
    np.testing.assert_allclose(features_of(net, bars.images, rows, counted.append), net(bars.images)[rows], atol=1e-4)
    assert counted == [256, 256, 88]
    assert classifier.build(8, 1, 2).output_shape == [(None, 64), (None, 2)]
