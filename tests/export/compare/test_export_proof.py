"""The proof: what counts as a difference, which limit is whose, who is to blame, and the rise of Fréchet distance."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf
from genexport.compare import frechet, parity
from genexport.compare.frechet import Features
from genexport.compare.parity import Difference, Limit, Limits
from genexport.errors import CannotBeMade, ExportError
from genexport.generator import layer_names
from genexport.generator.load import Generator, load
from genexport.kinds.generator import worst_layer
from keras import layers


def test_every_artifact_has_the_limit_that_was_set_for_it() -> None:
    limits = Limits(float16=1e-2, dynamic_db=50, frechet_rise=0.2)
    assert limits.of("savedmodel") == Limit(max_error=1e-5)
    for signature in ("uint8", "png", "seeds"):
        assert limits.of(f"savedmodel/{signature}").max_error == pytest.approx(0.5 / 255 + 1e-5)
    assert limits.of("tflite/float32") == limits.of("onnx/float32") == Limit(1e-5, None, 0.2)
    assert limits.of("tflite/float16") == Limit(1e-2, None, 0.2)
    assert limits.of("tflite/dynamic") == Limit(None, 50, 0.2)
    assert limits.of("tflite/int8") == limits.of("tflite/micro") == Limit(None, 30, 0.2)
    with pytest.raises(KeyError):
        limits.of("tflite/int4")


def test_rounding_widens_the_limits_that_were_not_given_up_to_half_a_grey_level() -> None:
    assert Limits().over(3e-5) == Limits(savedmodel=3e-5, float32=3e-5)
    assert Limits().over(1e-7) == Limits(savedmodel=1e-5, float32=1e-5)
    assert Limits().over(0.1).float32 == pytest.approx(0.5 / 255)
    given = Limits(savedmodel=1e-3, float32=0.0)
    assert given.over(3e-5) == given


@pytest.mark.parametrize(
    ("what", "difference", "remedy"),
    [
        ("savedmodel/png", Difference(0.01234, 0, 40), "--limit savedmodel=0.013"),
        ("tflite/float32", Difference(2e-5, 0, 90), "--limit float32=2.1e-05"),
        ("onnx/float32", Difference(1.21e-5, 0, 90), "--limit float32=1.3e-05"),
        ("tflite/dynamic", Difference(0.1, 0, 37.9), "--limit dynamic_db=37"),
        ("tflite/micro", Difference(0.1, 0, 22.2), "--limit int8_db=22"),
        ("tflite/int8", Difference(0.1, 0, 20.5, 0.231), "--limit int8_db=20 --limit frechet_rise=0.24"),
        ("tflite/float32", Difference(np.inf, np.inf, -np.inf), ""),
    ],
)
def test_the_limit_that_is_named_as_a_remedy_accepts_the_difference(
    what: str, difference: Difference, remedy: str
) -> None:
    assert parity.remedy(what, difference, Limits().of(what)) == remedy
    wider = dict(part.split("=") for part in remedy.split() if "=" in part)
    if wider:
        parity.check(what, difference, Limits(**{name: float(value) for name, value in wider.items()}).of(what))


def test_an_error_is_set_against_the_spread_of_the_pictures() -> None:
    expected = np.where(np.arange(8) % 2, 0.5, 0.6).reshape(2, 2, 2, 1)
    assert parity.compare(expected + 0.02, expected).of_spread == pytest.approx(0.4)
    assert parity.compare(expected * 0 + 0.5, expected * 0 + 0.6).of_spread is None
    parity.check_spread("x", parity.compare(expected + 0.02, expected), 0.41)
    with pytest.raises(CannotBeMade, match="40% of the pictures' own spread, limit 39%"):
        parity.check_spread("x", parity.compare(expected + 0.02, expected), 0.39)


def test_a_difference_is_measured_and_checked_by_each_limit() -> None:
    expected = np.full((2, 4, 4, 1), 0.5, np.float32)
    images = expected + np.float32(0.1) * (np.arange(2) == 0).reshape(2, 1, 1, 1)
    difference = parity.compare(images, expected)
    assert difference.max_error == pytest.approx(0.1, rel=1e-5)
    assert difference.mean_error == pytest.approx(0.05, rel=1e-5)
    assert difference.psnr_db == pytest.approx(-10 * np.log10(0.005), rel=1e-5)
    parity.check("x", difference, Limit(max_error=0.11, min_psnr_db=23.0, frechet_rise=0.0))
    with pytest.raises(ExportError, match=r"^tflite/x: pixels differ from Keras by 0\.1, limit 0\.09$"):
        parity.check("tflite/x", difference, Limit(max_error=0.09))
    with pytest.raises(ExportError, match=r"^x: 23\.0 dB PSNR against Keras, limit 24\.0 dB$"):
        parity.check("x", difference, Limit(min_psnr_db=24.0))
    with pytest.raises(ExportError, match=r"^x: the Fréchet distance to real images rises by 20\.0%, limit 10\.0%$"):
        parity.check("x", parity.Difference(0, 0, None, 0.2), Limit(frechet_rise=0.1))


def test_images_that_are_no_numbers_count_as_infinitely_far_and_equal_ones_as_identical() -> None:
    expected = np.zeros((1, 2, 2, 1))
    difference = parity.compare(np.full_like(expected, np.nan), expected)
    for limit in (Limit(max_error=1e-5), Limit(min_psnr_db=10)):
        with pytest.raises(ExportError):
            parity.check("x", difference, limit)
    same = parity.compare(expected, expected)
    assert same.psnr_db is None
    parity.check("x", same, Limit(max_error=0, min_psnr_db=1000))
    with pytest.raises(ExportError, match=r"images of shape \(1, 2, 2, 3\) where Keras gives"):
        parity.compare(np.zeros((1, 2, 2, 3)), expected)


def spoiled_generator(folder: Path, guilty: int, huge: float) -> Generator:
    """Three dense layers with Keras' own names; in one of them huge weights meet a feature that is always nought.

    They change no image, yet every other weight of that layer is rounded in steps of their size.
    """
    keras.utils.clear_session()
    kernel = keras.initializers.RandomNormal(stddev=0.15, seed=1)
    sizes = (48, 48, 4 * 4 * 3)
    dense = [layers.Dense(size, kernel_initializer=kernel, activation="relu" if size == 48 else None) for size in sizes]
    inputs = x = keras.Input((40,))
    for layer in dense:
        x = layer(x)
    model = keras.Model(inputs, layers.Activation("sigmoid")(layers.Reshape((4, 4, 3))(x)))
    before, bias = dense[guilty - 1].get_weights()
    before[:, 0], bias[0] = 0.0, 0.0
    dense[guilty - 1].set_weights([before, bias])
    spoiled, bias = dense[guilty].get_weights()
    spoiled[0] = huge
    dense[guilty].set_weights([spoiled, bias])
    assert dense[guilty].name == f"dense_{guilty}"
    model.save(folder / "model.keras")
    return load(folder / "model.keras")


@pytest.mark.parametrize(("variant", "guilty"), [("dynamic", 1), ("dynamic", 2), ("int8", 1), ("micro", 2)])
def test_the_layer_that_loses_most_is_named(variant: str, guilty: int, tmp_path: Path) -> None:
    generator = spoiled_generator(tmp_path, guilty, 100.0)
    told = worst_layer.worst_layer(generator, variant)
    assert told.startswith(f"most is lost in dense_{guilty} (Dense): alone it gives ")
    assert float(told.split()[-2]) < 35


def test_a_node_of_the_graph_leads_to_its_layer_whatever_number_keras_and_tensorflow_put_behind_it(
    tmp_path: Path,
) -> None:
    generator = spoiled_generator(tmp_path, 1, 1.0)
    graph = tf.function(generator.images).get_concrete_function(tf.zeros((1, 40))).graph
    nodes = [op.name for op in graph.get_operations() if op.type == "MatMul"]
    found = [layer_names.find(generator.model, node) for node in nodes]
    assert found == ["dense (Dense)", "dense_1 (Dense)", "dense_2 (Dense)"]
    fused = f"gan_1/activation_1/Sigmoid;{nodes[1]};gan_1/reshape_1/Reshape"
    assert layer_names.find(generator.model, fused) == "dense_1 (Dense)", "the one with the kernel"
    assert layer_names.find(generator.model, "truediv") is None


def test_blame_rounds_one_layer_at_a_time_and_puts_its_weights_back(tmp_path: Path) -> None:
    generator = spoiled_generator(tmp_path, 1, 1.0)
    weights = generator.model.get_weights()
    assert worst_layer.worst_layer(generator, "float16").startswith("most is lost in dense")
    assert "nothing in it is rounded" in worst_layer.worst_layer(generator, "float32")
    for now, then in zip(generator.model.get_weights(), weights, strict=True):
        assert np.array_equal(now, then)


def random_gaussian(seed: int, size: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=size), np.cov(rng.normal(size=(40, size)) @ rng.normal(size=(size, size)), rowvar=False)


def test_frechet_distance_is_that_of_the_paper() -> None:
    (m, a), (n, b) = random_gaussian(0), random_gaussian(1)
    by_scipy = ((m - n) ** 2).sum() + np.trace(a + b - 2 * scipy.linalg.sqrtm(a @ b).real)
    assert frechet.distance(m, a, n, b) == pytest.approx(by_scipy, rel=1e-8)
    assert frechet.distance(m, a, m, a) == pytest.approx(0, abs=1e-9)
    flat = np.diag([1.0, 0, 0, 0, 0, 0])  # covariances of few images have no full rank
    assert frechet.distance(m, flat, m, 4 * flat) == pytest.approx(1.0)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory with a feature network of 4×4 images and statistics of real ones, bright spots on black."""
    inputs = keras.Input((4, 4, 1), name="images")
    model = keras.Model(inputs, layers.Flatten()(layers.AveragePooling2D(2)(inputs)))
    model.save(tmp_path / "features.keras")
    features = np.asarray(model(images_like(0)))
    statistics = {"mean": features.mean(axis=0), "covariance": np.cov(features, rowvar=False), "count": 500}
    np.savez(tmp_path / "features.npz", **statistics)
    return tmp_path


def images_like(seed: int, count: int = 500) -> np.ndarray:
    return np.random.default_rng(seed).beta(0.5, 2, size=(count, 4, 4, 1)).astype(np.float32)


def moments(features: Features, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    found = np.asarray(features.network(images), np.float64)
    return found.mean(axis=0), np.cov(found, rowvar=False)


def test_the_rise_is_nought_for_the_same_images_and_grows_with_the_damage(run: Path) -> None:
    features = Features.of(run)
    assert features is not None
    expected = np.clip(images_like(1) + 0.1, 0, 1)
    assert features.rise(expected, expected) == 0
    slight, strong = (features.rise(np.clip(expected + by, 0, 1), expected) for by in (0.01, 0.1))
    assert 0 < slight < strong
    assert features.rise(images_like(2), expected) < 0, "nearer to real images than Keras' own is a fall"
    other = images_like(3)
    for images in (expected, other):  # the last half counts, and what was found of other images is not kept
        damaged = np.where(np.arange(500)[:, None, None, None] < 250, images, 1 - images)
        real = moments(features, images_like(0))
        now, before = (frechet.distance(*moments(features, each), *real) for each in (damaged, images))
        assert features.rise(damaged, images) == pytest.approx(now / before - 1, rel=1e-4)
    assert parity.compare(expected, expected).frechet_rise is None


def test_without_a_feature_network_there_are_no_features_and_with_a_broken_one_it_is_said(run: Path) -> None:
    assert Features.of(None) is None
    assert Features.of(run / "elsewhere") is None
    np.savez(run / "features.npz", mean=np.zeros(3), covariance=np.zeros((3, 3)))
    with pytest.raises(ExportError, match=r"features\.npz: mean \(3,\).*expected \(4,\)"):
        Features.of(run)
    (run / "features.npz").write_text("no arrays")
    with pytest.raises(ExportError, match=r"features\.npz: cannot be read"):
        Features.of(run)
    np.savez(run / "features.npz", mean=np.zeros(4), covariance=np.zeros((4, 4)))
    (run / "features.keras").write_text("no model")
    with pytest.raises(ExportError, match=r"features\.keras: cannot be loaded"):
        Features.of(run)
