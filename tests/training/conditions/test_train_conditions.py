"""A condition is one class, which may come from outside: data, both networks, losses and grids follow what it says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import blurred
import keras
import numpy as np
import pytest
import tensorflow as tf
from gentrain.conditions import REGISTERED, Conditions, Labels, of_run, register
from gentrain.conditions import Image as Picture
from gentrain.data.dataset import Dataset
from gentrain.losses.auxiliary import Auxiliary, Seen
from gentrain.networks import NETWORKS, build_generator
from gentrain.settings import Settings
from gentrain.training import checkpoints
from gentrain.training.augment import changes
from gentrain.training.checkpoints import Progress
from gentrain.training.draws import Draws
from gentrain.training.gan import GAN
from PIL import Image

PICTURES = np.random.default_rng(0).integers(0, 256, (60, 8, 8, 3), np.uint8)
TINY = {"generator_width": 4, "discriminator_width": 4, "latent_size": 6, "batch": 8, "precision": "float32"}
UNPENALISED = ["--loss", "bce", "--set", "gamma=0"]  # compiled in a quarter of the time
SETS = [part for name, value in TINY.items() for part in ("--set", f"{name}={value}")]


def gan_of(conditions: Conditions, **changes: Any) -> GAN:
    gan = GAN(8, 3, conditions, Settings(**{**TINY, **changes}))
    gan.compile()
    return gan


def test_a_picture_from_outside_the_package_is_trained_with_shown_and_measured(tmp_path: Path, gentrain) -> None:
    run = tmp_path / "run"
    np.savez("pictures.npz", images=PICTURES)
    begin = ["--data", "pictures.npz", "--set", "conditions=blurred", "--flip", "--augment", 0.5, *SETS, *UNPENALISED]
    code, _, err = gentrain("fit", "--run", run, *begin, "--kimg", 0.128, "--set", "kimg_per_tick=0.064")
    assert code == 0, err

    interface = json.loads((run / "interface.json").read_text())
    assert interface["task"] == "image-to-image"
    latents, image = interface["inputs"]
    (images,) = interface["outputs"]
    assert latents == {"name": "latents", "role": "latents", "dtype": "float32", "shape": [None, 6]}
    preprocessing = {"crop": "center", "background": "white", "resize": "lanczos"}
    tensor = {"dtype": "float32", "shape": [None, 8, 8, 3], "range": [-1, 1], "preprocessing": preprocessing}
    assert image == {"name": "blurred", "role": "image", **tensor}
    assert images == {"name": "images", "role": "images", **tensor}

    generator = keras.models.load_model(run / "generator.keras")
    assert [tensor.name for tensor in generator.inputs] == ["latents", "blurred"]
    discriminator = keras.models.load_model(run / "discriminator.keras")
    assert [tensor.name for tensor in discriminator.inputs] == ["images", "blurred"]
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert all(line["g_l1"] > 0 for line in lines)
    with Image.open(run / "samples" / "000000kimg.png") as grid:
        assert grid.height / grid.width == pytest.approx(6 / 8, abs=0.02), "a row an example, a column a seed"

    code, _, err = gentrain("fit", "--run", run, "--kimg", 0.192)
    assert code == 0, err
    assert "going on at 0.128 kimg" in err
    code, out, err = gentrain("evaluate", run, "--samples", 20)
    assert code == 0, err
    assert "frechet" in out


def test_a_condition_that_nobody_registered_is_wrong_use(tmp_path: Path, gentrain) -> None:
    np.savez("pictures.npz", images=PICTURES)
    begin = ["--data", "pictures.npz", "--run", "run", "--kimg", 1]
    code, _, err = gentrain("fit", *begin, "--set", "conditions=depth")
    assert code == 2
    assert "gentrain: conditions: depth is not registered; there are labels, image, hints" in err.splitlines()[-1]
    assert not Path("run").exists()


def test_an_installed_package_brings_its_conditions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "brought").mkdir()
    code = "from gentrain.conditions import Labels\nclass Style(Labels):\n    name = 'style'\n"
    (tmp_path / "brought" / "styles.py").write_text(code)
    (tmp_path / "brought" / "styles-1.dist-info").mkdir()
    (tmp_path / "brought" / "styles-1.dist-info" / "METADATA").write_text("Name: styles\nVersion: 1\n")
    points = "[gentrain.conditions]\nstyle = styles:Style\n"
    (tmp_path / "brought" / "styles-1.dist-info" / "entry_points.txt").write_text(points)
    monkeypatch.syspath_prepend(tmp_path / "brought")
    monkeypatch.setattr("gentrain.conditions.REGISTERED", dict(REGISTERED))
    data = Dataset("two", PICTURES, np.arange(60, dtype=np.int32) % 2, ("oil", "ink"))
    (style,) = of_run(Settings(conditions="style"), data)
    assert (type(style).__name__, style.classes) == ("Style", 2)


@pytest.mark.parametrize(
    ("value", "message"), [("nowhere:Depth", "cannot be loaded"), ("json:dumps", "is no gentrain.conditions.Condition")]
)
def test_a_package_whose_condition_is_none_is_reported_in_one_line(
    value: str, message: str, tmp_path: Path, monkeypatch, gentrain
) -> None:
    information = tmp_path / "depth-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: depth\nVersion: 1\n")
    (information / "entry_points.txt").write_text(f"[gentrain.conditions]\ndepth = {value}\n")
    monkeypatch.syspath_prepend(tmp_path)
    np.savez("pictures.npz", images=PICTURES)
    code, _, err = gentrain("fit", "--data", "pictures.npz", "--run", "run", "--kimg", 1, "--set", "conditions=depth")
    assert code == 1
    assert err.splitlines()[-1].startswith("gentrain: condition depth")
    assert message in err.splitlines()[-1]


def test_two_conditions_cannot_have_one_name() -> None:
    assert register(Labels) is Labels
    with pytest.raises(ValueError, match="another condition called image"):
        register(type("Other", (Labels,), {"name": "image"}))


def test_both_networks_see_a_picture() -> None:
    gan = gan_of([blurred.Blurred(PICTURES)])
    one, other = (tf.constant(PICTURES[rows] / 127.5 - 1, tf.float32) for rows in (slice(8), slice(8, 16)))
    for network, first in ((gan.generator, tf.zeros((8, 6))), (gan.discriminator, one)):
        assert np.abs(network([first, one]) - network([first, other])).max() > 1e-3, network.name


def test_a_condition_is_mirrored_moved_and_cut_with_its_images() -> None:
    gan = gan_of([blurred.Blurred(PICTURES)], flip=True, augment=1.0)
    batch = {"images": tf.constant(PICTURES[:8]), "blurred": tf.constant(PICTURES[:8])}
    images, given = gan._prepare(batch, Draws(0, gan.images_seen, 8, 1))
    assert not np.array_equal(images, PICTURES[:8] / 127.5 - 1)
    np.testing.assert_array_equal(given["blurred"], images)

    gan.augmented.assign(1.0)
    seen, moved = gan._augment(images, given, Draws(0, gan.images_seen, 8, 1))
    draws = Draws(0, gan.images_seen, 8, 1)
    colour, move = changes(gan.augmented, draws.uniform)
    np.testing.assert_array_equal(seen, move(colour(images)))
    np.testing.assert_array_equal(moved["blurred"], move(images))


@pytest.mark.parametrize("networks", NETWORKS)
def test_a_condition_can_enter_at_every_size_of_the_generator(networks: str) -> None:
    class Brightness(Labels):
        def enter_features(self, features: Any, inputs: Any, init: Any) -> Any:
            sizes.append(features.shape[1])
            added = keras.layers.Embedding(2, features.shape[-1], embeddings_initializer=init())(inputs["labels"])
            return keras.layers.Add()([features, keras.layers.Reshape((1, 1, -1))(added)])

    sizes: list[int] = []
    settings = Settings(
        networks=networks, latent_size=4, generator_width=4, frames=2 if networks in ("animate", "moving") else 0
    )
    from_pictures = networks in ("unet", "residual", "animate")
    picture = [Picture(np.zeros((2, 32, 32, 1), np.uint8))] if from_pictures else []
    generator = build_generator(32, 1, [*picture, Brightness(2)], settings)
    assert sizes == sorted(sizes)
    assert sizes[0] in (4, 8)
    assert sizes[-1] in (16, 32)
    embeddings = [layer for layer in generator.layers if isinstance(layer, keras.layers.Embedding)]
    assert len(embeddings) == 1 + len(sizes)


class Matching(Auxiliary):
    """The labels of real images, read from D's logits by a network of its own: both terms, and something to learn."""

    name = "matching"

    def __init__(self) -> None:
        super().__init__(weight=2.0)
        self.network = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])

    def choose(self, latents: tf.Tensor, seen: Seen) -> tf.Tensor:
        self.chosen = -latents
        return self.chosen

    def of_generator(self, seen: Seen) -> tf.Tensor:
        self.learned_for = seen.latents
        return tf.reduce_mean(tf.square(self.network(seen.fake) - tf.cast(seen.inputs["labels"][:, None], tf.float32)))

    def of_discriminator(self, seen: Seen) -> tf.Tensor:
        wrong = (seen.inputs["labels"] + 1) % 3
        return tf.reduce_mean(tf.nn.softplus(seen.discriminate(seen.real, {"labels": wrong})))


@pytest.mark.parametrize("shared_pass", [False, True])
def test_a_loss_beside_the_adversarial_one_is_learned_from_by_all_networks(shared_pass: bool, tmp_path: Path) -> None:
    class Matched(Labels):
        def __init__(self, classes: int) -> None:
            super().__init__(classes)
            self.auxiliary = (Matching(),)

    def trained(auxiliary: bool) -> GAN:
        keras.utils.set_random_seed(0)
        gan = gan_of([Matched(3) if auxiliary else Labels(3)], loss="bce", gamma=0.0, shared_pass=shared_pass)
        images = np.stack([PICTURES[:8]] * gan.parts)
        labels = np.stack([np.arange(8, dtype=np.int32) % 3] * gan.parts)
        gan.images_seen.assign(100_000)
        start = [weight.numpy() for loss in gan.auxiliary for weight in loss.network.weights]
        gan.train_step({"images": tf.constant(images), "labels": tf.constant(labels)})
        for loss in gan.auxiliary:
            assert not np.array_equal(start[0], loss.network.weights[0])
            np.testing.assert_array_equal(loss.learned_for, loss.chosen)
        for _, optimizer in gan.helpers.values():
            assert float(optimizer.learning_rate) == float(gan.g_optimizer.learning_rate) < 2e-3
        return gan

    plain, gan = trained(False), trained(True)
    for network in ("generator", "discriminator"):
        one, other = (getattr(each, network).trainable_variables[0].numpy() for each in (plain, gan))
        assert not np.array_equal(one, other)
    assert float(gan._added(tf.constant(1.0), "g", [(Matching(), tf.constant(3.0))])) == 7.0, "a weight of 2"
    checkpoints.save(tmp_path, gan, Progress(8, 1.0))
    kept = [np.asarray(variable) for variable in gan.state]
    resumed = gan_of([Matched(3)], loss="bce", gamma=0.0, shared_pass=shared_pass)
    checkpoints.restore(checkpoints.latest(tmp_path), resumed)
    for before, after in zip(kept, resumed.state, strict=True):
        np.testing.assert_array_equal(before, np.asarray(after))
