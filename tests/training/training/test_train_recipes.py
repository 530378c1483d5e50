"""Presets, networks, losses, conditions and augmentation: any of them trains, with any of the others."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from gentrain.conditions import Labels, columns
from gentrain.conditions import image as conditions_image
from gentrain.data.sizes import Size, both
from gentrain.data.stream import batches
from gentrain.losses import LOSSES, gradient_penalty, wgan_gp
from gentrain.networks import NETWORKS, build_discriminator, build_generator
from gentrain.presets import PRESETS
from gentrain.settings import Settings
from gentrain.training.augment import augment
from gentrain.training.devices import Devices
from gentrain.training.draws import Draws
from gentrain.training.gan import GAN
from PIL import Image

TINY = {"generator_width": 4, "discriminator_width": 4, "batch": 4, "latent_size": 6}


def tiny_gan(side: int = 16, classes: int = 0, **changes: object) -> GAN:
    settings = Settings(**{"precision": "float32", "conditional": classes > 0, **TINY, **changes})  # type: ignore[arg-type]
    gan = GAN(side, 3, [Labels(classes)] if classes else (), settings)
    gan.compile()
    return gan


def one_step(gan: GAN, side: int = 16) -> dict[str, float]:
    from gentrain.data.dataset import Dataset

    images = np.random.default_rng(0).integers(0, 255, (16, side, side, 3), np.uint8)
    data = Dataset("noise", images, np.arange(16, dtype=np.int32) % 3, ("0", "1", "2"))
    stream = batches(columns(gan.conditions, data), gan.parts * gan.settings.batch, seed=0, first_batch=0)
    batch = next(iter(Devices("one").feed(stream, gan.parts)))
    return {name: float(value) for name, value in gan.train_step(batch).items()}


# The other presets have the networks of `small`, or of dcgan28.
@pytest.mark.parametrize("preset", ["small", "dcgan28", "dcgan64", "celeba64"])
def test_any_pair_of_preset_and_loss_trains(preset: str) -> None:
    for loss in LOSSES:
        settings = dataclasses.replace(PRESETS[preset](), loss=loss, precision="float32", **TINY)
        gan = GAN(16, 3, (), settings)
        gan.compile()
        before = [variable.numpy() for variable in (*gan.generator.variables, *gan.discriminator.variables)]
        results = one_step(gan)
        assert all(np.isfinite(list(results.values()))), (loss, results)
        after = [variable.numpy() for variable in (*gan.generator.variables, *gan.discriminator.variables)]
        moved = [not np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
        assert sum(moved) > len(moved) / 2, loss


@pytest.mark.parametrize("loss", ["rpgan", "wgan-gp"])
def test_a_conditional_normalised_augmented_step_in_bfloat16_is_that_of_float32(loss: str) -> None:
    """The same images, mirrored and augmented alike, with the same labels, so the same losses but for rounding."""
    found = {}
    for precision in ("float32", "bfloat16"):
        gan = tiny_gan(classes=3, loss=loss, spectral_norm=True, augment=0.5, flip=True, precision=precision)
        gan.augmented.assign(0.5)
        found[precision] = one_step(gan)
    assert found["bfloat16"].keys() == found["float32"].keys()
    for name in ("d_loss", "real_logit", "fake_logit"):
        assert found["bfloat16"][name] == pytest.approx(found["float32"][name], rel=0.05, abs=0.02), name


def test_every_preset_says_what_it_is_for(command) -> None:
    listed = " ".join(command("gentrain", "presets").stdout.split())
    for name, preset in PRESETS.items():
        assert isinstance(preset(), Settings)
        assert f"{name} {' '.join(str(preset.__doc__).split())}" in listed


SIZES: list[Size] = [8, 28, 36, 256, (16, 24), (36, 8), (64, 36)]


@pytest.mark.parametrize(
    ("networks", "size"),
    [(name, size) for name in NETWORKS for size in SIZES if name != "moving" or isinstance(size, int)],
)
def test_networks_fit_each_other_at_any_size(networks: str, size: Size) -> None:
    height, width = both(size)
    composes = hasattr(NETWORKS[networks], "compose")
    frames = (3,) if composes or hasattr(NETWORKS[networks], "film") else ()
    settings = Settings(networks=networks, latent_size=5, generator_width=4, discriminator_width=4, frames=sum(frames))
    starts_from_pictures = composes or hasattr(NETWORKS[networks], "translate")
    for channels in (1, 3):
        latents, pictures = tf.zeros((2, 5)), tf.zeros((2, height, width, channels if composes else 1))
        conditions = [conditions_image.Image(pictures)] if starts_from_pictures else []
        given = [latents, pictures] if starts_from_pictures else latents
        images = build_generator(size, channels, conditions, settings)(given)
        assert images.shape == (2, *frames, height, width, channels)
        judge = build_discriminator(size, channels, conditions, settings, pooled=True)
        assert judge([images, pictures] if starts_from_pictures else images).shape == (2, 1)


def test_the_published_pairs_have_the_published_widths() -> None:
    def shapes(preset: str, channels: int = 3) -> list[tuple[int, ...]]:
        settings = PRESETS[preset]()
        model = build_generator(settings.resolution, channels, (), settings)
        kinds = keras.layers.Reshape | keras.layers.Conv2DTranspose
        return [tuple(layer.output.shape[1:]) for layer in model.layers if isinstance(layer, kinds)]

    assert shapes("tf-tutorial", 1) == [(7, 7, 256), (7, 7, 128), (14, 14, 64), (28, 28, 1)]
    assert shapes("dcgan28", 1)[0] == (7, 7, 128)
    assert shapes("dcgan64")[0] == (4, 4, 128)
    assert shapes("dcgan64")[-1] == (64, 64, 3)
    assert shapes("celeba64") == [(8, 8, 1024), (16, 16, 512), (32, 32, 256), (64, 64, 3)]
    discriminator = build_discriminator(64, 3, (), PRESETS["celeba64"]())
    assert any(isinstance(layer, keras.layers.MaxPooling2D) for layer in discriminator.layers)


def test_weights_follow_from_the_seed() -> None:
    first, second, other = (
        build_generator(8, 1, [Labels(3)], Settings(seed=seed, generator_width=4)).get_weights() for seed in (1, 1, 2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[0], other[0])
    critics = [build_discriminator(8, 1, (), Settings(spectral_norm=True)).get_weights() for _ in range(2)]
    assert all(np.array_equal(a, b) for a, b in zip(*critics, strict=True))


def test_discriminator_has_no_norm_and_generator_only_what_folds() -> None:
    def norms(model: keras.Model) -> set[str]:
        return {type(layer).__name__ for layer in model.layers if "Norm" in type(layer).__name__}

    assert norms(build_discriminator(28, 1, (), Settings())) == set()
    assert norms(build_generator(28, 1, (), Settings())) == {"BatchNormalization"}


def test_losses_have_their_textbook_values() -> None:
    real, fake = tf.constant([[2.0]]), tf.constant([[-1.0]])
    log, exp = np.log, np.exp
    expected = {
        "rpgan": (log(1 + exp(-3)), log(1 + exp(3))),
        "bce": (log(1 + exp(-2)) + log(1 + exp(-1)), log(1 + exp(1))),
        "lsgan": (0.5 * (1 + 1), 0.5 * 4),
        "hinge": (0.0, 1.0),
        "wgan-gp": (-3.0, 1.0),
    }
    for name, (discriminator, generator) in expected.items():
        assert float(LOSSES[name].discriminator(real, fake)[0, 0]) == pytest.approx(discriminator, abs=1e-6), name
        assert float(LOSSES[name].generator(real, fake)[0, 0]) == pytest.approx(generator, abs=1e-6), name


def test_penalties_are_those_of_a_linear_critic() -> None:
    slope = tf.constant([[[[3.0]], [[4.0]]]])  # (1, 2, 1, 1), length 5
    images = tf.random.stateless_normal((6, 2, 1, 1), seed=(1, 2))
    with tf.GradientTape() as tape:
        tape.watch(images)
        scores = tf.reduce_sum(images * slope, axis=[1, 2, 3])
    gradients = tape.gradient(scores, images)
    np.testing.assert_allclose(gradient_penalty(gradients), [25.0] * 6, rtol=1e-6)
    np.testing.assert_allclose(wgan_gp.gradient_penalty(gradients), [16.0] * 6, rtol=1e-6)


def test_penalties_reach_the_discriminators_weights_in_both_precisions() -> None:
    """Second derivatives: the gradient of softplus(fake − real) + γ/2 · (R1 + R2), written out here in float32."""
    real, fake = (tf.random.stateless_normal((8, 16, 16, 3), seed=(1, part)) for part in range(2))

    def gradient(precision: str) -> np.ndarray:
        gan = tiny_gan(loss="rpgan", gamma=1000.0, gamma_final=1000.0, precision=precision, augment=0.0)
        draws = Draws(0, gan.images_seen, 8, 1)
        with tf.GradientTape() as tape:
            objective, *_ = gan._objective(real, fake, {}, draws)
        return tape.gradient(objective, gan.discriminator.trainable_variables[0]).numpy().ravel()

    def written_out() -> np.ndarray:
        discriminator = tiny_gan(loss="rpgan").discriminator
        with tf.GradientTape() as tape:
            with tf.GradientTape(persistent=True) as at_images:
                at_images.watch([real, fake])
                of_real, of_fake = discriminator(real), discriminator(fake)
            loss = tf.reduce_mean(tf.math.log1p(tf.exp(of_fake - of_real)))
            for logits, images in ((of_real, real), (of_fake, fake)):
                slope = at_images.gradient(logits, images)
                loss += 500.0 * tf.reduce_sum(slope**2) / 8
        return tape.gradient(loss, discriminator.trainable_variables[0]).numpy().ravel()

    expected, exact, rough = written_out(), gradient("float32"), gradient("bfloat16")
    np.testing.assert_allclose(exact, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())
    assert np.dot(expected, rough) / np.linalg.norm(expected) / np.linalg.norm(rough) > 0.99
    assert np.linalg.norm(rough) == pytest.approx(np.linalg.norm(expected), rel=0.05)


def test_spectral_norm_holds_every_kernel_at_one() -> None:
    gan = tiny_gan(spectral_norm=True)
    images = tf.random.stateless_normal((4, 16, 16, 3), seed=(1, 2))
    for _ in range(60):  # the layer takes one step towards the largest singular value each time
        gan.discriminator(images, training=True)
    for layer in gan.discriminator.layers:
        if isinstance(layer, keras.layers.SpectralNormalization):
            kernel = layer.layer.kernel.numpy()
            largest = np.linalg.svd(kernel.reshape(-1, kernel.shape[-1]), compute_uv=False)[0]
            assert largest == pytest.approx(1.0, abs=0.02), layer.name


def test_augmentation_changes_the_requested_part_and_can_be_derived_twice() -> None:
    images = tf.random.stateless_uniform((400, 16, 16, 3), seed=(1, 1), minval=-1.0)

    def changed(part: float) -> float:
        calls = iter(range(100))
        drawn = augment(images, tf.constant(part), lambda k: tf.random.stateless_uniform((400, k), (7, next(calls))))
        assert drawn.shape == images.shape
        return float(np.mean(np.abs(drawn - images).max(axis=(1, 2, 3)) > 1e-6))

    assert changed(0.0) == 0.0
    assert changed(1.0) == 1.0
    assert changed(0.3) == pytest.approx(1 - 0.7**3, abs=0.08)  # three kinds of change, each for itself

    calls = iter(range(100))
    with tf.GradientTape() as outer:
        outer.watch(images)
        with tf.GradientTape() as inner:
            inner.watch(images)
            drawn = augment(images, tf.constant(1.0), lambda k: tf.random.stateless_uniform((400, k), (7, next(calls))))
            score = tf.reduce_sum(drawn**3)
        length = tf.reduce_sum(tf.square(inner.gradient(score, images)))
    assert np.abs(outer.gradient(length, images).numpy()).max() > 0


def changed_by(kind: int, images: np.ndarray, drawn: list[list[float]]) -> np.ndarray:
    """Images (N, H, W, C) with the colours, the shift or the hole (0, 1, 2) of these draws (N, k) alone."""
    nothing = [np.full((len(images), size), 0.5) for size in (3, 2, 2)]
    draws = [drawn if number == kind else none for number, none in enumerate(nothing)]
    chosen = [np.full((len(images), 1), 0.0 if number == kind else 0.9) for number in range(3)]
    steps = iter([step for pair in zip(chosen, draws, strict=True) for step in pair])
    changed = augment(tf.constant(images, tf.float32), tf.constant(0.5), lambda _: tf.constant(next(steps), tf.float32))
    return np.asarray(changed)


def test_rectangles_are_moved_and_cut_by_parts_of_each_side() -> None:
    images = np.ones((9, 8, 32, 1))
    draws = [[(i + 0.5) / 9, (j + 0.5) / 3] for i in range(0, 9, 4) for j in range(3)]
    moved = changed_by(1, images, draws)[..., 0]
    empty = {((image == 0).all(axis=0).sum(), (image == 0).all(axis=1).sum()) for image in moved}
    assert empty == {(across, down) for across in (0, 4) for down in (0, 1)}, "an eighth of each side, either way"
    cut = changed_by(2, images[:1], [[0.5, 0.5]])[0, ..., 0]
    expected = np.ones((8, 32))
    expected[2:6, 8:24] = 0
    np.testing.assert_array_equal(cut, expected)


def test_augmentation_is_that_of_its_paper() -> None:
    """Brightness ±0.5, saturation × 0 to 2, contrast × 0.5 to 1.5; moved by an eighth; a hole of half the side."""
    images = np.random.default_rng(0).integers(-8, 9, (2, 16, 16, 3)) / 8
    for brightness, saturation, contrast in ((0.9, 0.5, 0.5), (0.5, 0.1, 0.5), (0.5, 0.5, 0.9), (0.2, 0.8, 0.3)):
        x = images + brightness - 0.5
        x = (x - x.mean(axis=3, keepdims=True)) * 2 * saturation + x.mean(axis=3, keepdims=True)
        mean = x.mean(axis=(1, 2, 3), keepdims=True)
        expected = (x - mean) * (contrast + 0.5) + mean
        found = changed_by(0, images, [[brightness, saturation, contrast]] * 2)
        np.testing.assert_allclose(found, expected, atol=1e-5)

    draws = [[(i + 0.5) / 5, (j + 0.5) / 5] for i in range(5) for j in range(5)]
    moved = changed_by(1, images[:1].repeat(25, axis=0), draws)
    framed = np.pad(images[0], ((2, 2), (2, 2), (0, 0)))
    expected = {framed[i : i + 16, j : j + 16].astype(np.float32).tobytes() for i in range(5) for j in range(5)}
    assert {image.tobytes() for image in moved} == expected

    expected = images.copy()
    expected[0, 4:12, 4:12] = expected[1, :4, 12:] = 0
    np.testing.assert_allclose(changed_by(2, images, [[0.5, 0.5], [0.0, 0.999]]), expected, atol=1e-6)


def test_augmentation_follows_its_ramp_or_the_discriminators_lead() -> None:
    ramp = tiny_gan(augment=0.6, augment_target=0.0, augment_ramp=0.5)
    for progress, expected in ((0.25, 0.3), (0.5, 0.6), (1.0, 0.6)):
        ramp.images_seen.assign(round(progress * 220_000))
        ramp._adapt_augmentation(tf.constant(0.5), batch_size=4)
        assert float(ramp.augmented) == pytest.approx(expected, abs=1e-3)

    held = tiny_gan(augment=0.6, augment_target=0.7)
    for accuracy, steps, expected in ((0.9, 10, 0.1), (0.6, 5, 0.05), (0.6, 50, 0.0), (1.0, 500, 0.6)):
        for _ in range(steps):
            held._adapt_augmentation(tf.constant(accuracy), batch_size=1000)
        assert float(held.augmented) == pytest.approx(expected, abs=1e-3)
    assert any(variable is held.augmented for variable in held.state), "it is kept in checkpoints"


def test_gamma_augmentation_and_the_weight_of_features_fit_the_images_unless_they_are_given() -> None:
    def gammas(side: Size, channels: int, **changes: float) -> tuple[float, float]:
        settings = Settings(**changes).resolved(side, channels, "float32")  # type: ignore[arg-type]
        assert settings.augment == (0.0 if channels == 1 else 0.8)
        return settings.gamma, settings.gamma_final

    assert gammas(28, 1) == (1.0, 1.0)
    assert gammas(32, 3) == (10.0, 10.0)
    assert gammas(64, 3) == (40.0, 40.0)
    assert gammas(32, 3, gamma=2.0, gamma_final=0.0) == (2.0, 0.0)

    assert gammas((64, 96), 3) == (60.0, 60.0), "by the number of pixels"
    assert gammas((16, 32), 1) == (1.0, 1.0)

    def features(side: Size, channels: int, preset: str = "medium", **changes: object) -> float:
        return dataclasses.replace(PRESETS[preset](), **changes).resolved(side, channels, "float32").features_weight

    assert features(64, 3) == features(32, 3) == features(32, 3, "small") == 0.4
    assert features((64, 96), 3) == features((32, 256), 3) == 0.4
    assert features((24, 96), 3) == features((96, 128), 3) == 0.0
    assert features(64, 1) == features(28, 3) == features(128, 3, "large") == features(64, 3, loss="bce") == 0.0
    assert features(32, 3, "text") == features(32, 3, "quick") == 0.0
    assert features(64, 3, "translate") == features(64, 3, "style") == features(64, 3, "dcgan64") == 0.0
    assert (features(64, 3, features_weight=0.0), features(32, 1, features_weight=2.0)) == (0.0, 2.0)


def test_the_machines_best_precision_is_taken_but_where_features_are_looked_at_or_one_is_given() -> None:
    def precision(side: int, channels: int, **changes: object) -> str:
        return Settings(**changes).resolved(side, channels, "bfloat16").precision  # type: ignore[arg-type]

    assert precision(28, 1) == precision(64, 3, features_weight=0.0) == "bfloat16"
    assert (
        precision(64, 3) == precision(28, 1, features_weight=0.1) == precision(8, 1, precision="float32") == "float32"
    )
    assert precision(64, 3, precision="bfloat16") == "bfloat16"
    assert precision(32, 3, conditions="tokens", networks="drawn") == "float32", "likeness in features"


def test_labels_reach_both_networks() -> None:
    settings = Settings(conditional=True, latent_size=5, generator_width=4, discriminator_width=4)
    generator, discriminator = (build(8, 1, [Labels(3)], settings) for build in (build_generator, build_discriminator))
    assert [(t.name, t.shape, t.dtype) for t in generator.inputs] == [
        ("latents", (None, 5), "float32"),
        ("labels", (None,), "int32"),
    ]
    latents, labels = tf.random.stateless_normal((2, 5), (0, 0)), tf.constant([0, 2])
    images = generator([latents, labels])
    other = tf.constant([1, 1])
    assert np.abs(generator([latents, other]) - images).max() > 0
    assert np.abs(discriminator([images, other]) - discriminator([images, labels])).max() > 0


def test_a_conditional_run_draws_its_classes_in_rows_and_says_so_to_the_exporter(
    tmp_path: Path, genexport, gentrain
) -> None:
    run = tmp_path / "run"
    small = ["--resolution", 8, "--set", "generator_width=8", "--set", "discriminator_width=8"]
    small += ["--loss", "bce", "--set", "gamma=0"]  # compiled in a quarter of the time
    code, _, err = gentrain("fit", "--data", "digits", "--run", run, *small, "--kimg", 0.512, "--conditional")
    assert code == 0, err
    with Image.open(run / "samples" / "000000kimg.png") as grid:
        assert grid.height / grid.width == pytest.approx(10 / 8, abs=0.01), "a row a class, a column a seed"
    interface = json.loads((run / "interface.json").read_text())
    labels = {"name": "labels", "role": "labels", "dtype": "int32", "shape": [None], "range": [0, 9]}
    assert interface["inputs"][1:] == [labels | {"classes": list("0123456789")}]
    assert interface["task"] == "image-generation"
    generator = keras.models.load_model(run / "generator.keras", safe_mode=True)
    assert [tensor.name for tensor in generator.inputs] == ["latents", "labels"]
    discriminator = keras.models.load_model(run / "discriminator.keras", safe_mode=True)
    assert {layer.dtype_policy.name for layer in (*generator.layers, *discriminator.layers)} == {"float32"}
    where = ["--repository", tmp_path / "models", "--name", "digits", "--files", "float32", "--no-critic"]
    published = genexport("publish", run, *where)
    assert published.exit_code == 0, published.output
    manifest = json.loads((tmp_path / "models" / "digits" / "1" / "manifest.json").read_text())
    assert manifest["class_names"] == list("0123456789")


def test_conditional_training_needs_classes(tmp_path: Path, gentrain) -> None:
    np.savez(tmp_path / "plain.npz", images=np.random.default_rng(0).integers(0, 255, (50, 16, 16, 1), np.uint8))
    code, _, err = gentrain(
        "fit", "--data", tmp_path / "plain.npz", "--run", tmp_path / "run", "--conditional", "--kimg", 1
    )
    assert code == 1
    assert "has no classes" in err
    assert err.splitlines()[-1].startswith("gentrain: ")
    assert not (tmp_path / "run").exists()
