"""Pictures from words: what a run leaves, that it goes on after a kill, and what its losses ask for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from gentrain.conditions.tokens import LONGEST, NAMED, Tokens, some_words
from gentrain.conditions.vocabulary import Vocabulary
from gentrain.data.dataset import Dataset
from gentrain.errors import UsageError
from gentrain.losses.auxiliary import Seen
from gentrain.losses.captions import APART, CHOICES, Diversity, Likeness, Mismatch, normal
from gentrain.metrics import captions
from gentrain.metrics.features import FeatureNet
from gentrain.metrics.generate import generate
from gentrain.networks import build_generator, projected
from gentrain.presets import PRESETS
from gentrain.settings import Settings
from killed import kill_after_a_checkpoint
from PIL import Image

TINY = {"generator_width": 4, "discriminator_width": 4, "latent_size": 6, "batch": 8, "precision": "float32"}
SETS = [part for name, value in {**TINY, "gamma": 0.0}.items() for part in ("--set", f"{name}={value}")]
LENGTH = ["--loss", "bce", "--set", "kimg_per_tick=0.064", "--set", "kimg_per_checkpoint=0.064"]
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


@pytest.fixture(scope="module", autouse=True)
def one_step_a_call() -> Iterator[None]:
    """So few steps take less time than to compile eight of them at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gentrain.run.STEPS_PER_EXECUTION", 1)
        yield


def captioned(folder: Path) -> Path:
    """Squares of three colours, a caption or two each, one of them empty."""
    folder.mkdir()
    rows = ["file_name,text"]
    for number in range(45):
        name, colour = list(COLOURS.items())[number % 3]
        picture = Image.new("RGB", (16, 16), colour)
        picture.putpixel((number % 16, number // 16), (255, 255, 255))
        picture.save(folder / f"{number:02}.png")
        rows += [f"{number:02}.png,a {name} square", f"{number:02}.png,{name if number else ''}"]
    (folder / "metadata.csv").write_text("\n".join(rows))
    return folder


def weights(run: Path) -> list[np.ndarray]:
    return keras.models.load_model(run / "generator.keras").get_weights()


def test_a_run_leaves_what_it_was_told_and_goes_on_to_the_same_weights_after_kill_9(
    tmp_path: Path, gentrain, forked
) -> None:
    data = captioned(tmp_path / "data")
    fit = ["fit", "--data", data, "--captions", "auto", *SETS, *LENGTH, "--set", "kimg_per_evaluation=0.128"]
    code, _, err = gentrain(*fit, "--run", tmp_path / "run", "--kimg", 0.128, "--holdout", 15)
    assert code == 0, err
    assert "89 captions of 45 images, from metadata.csv, text; 1 empty ones are left out" in err
    assert "new run, preset text" in err

    interface = json.loads((tmp_path / "run" / "interface.json").read_text())
    latents, tokens = interface["inputs"]
    assert interface["task"] == "text-to-image"
    assert (latents["role"], tokens["role"], tokens["shape"], tokens["range"]) == (
        "latents",
        "tokens",
        [None, 16],
        [0, 6],
    )
    assert set(tokens["vocabulary"][2:]) == {"a", "square", *COLOURS}
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert {"d_mismatch", "g_mismatch", "g_likeness", "frechet", "diversity"} <= lines[-1].keys()
    generator = keras.models.load_model(tmp_path / "run" / "generator.keras")
    said = Vocabulary(tuple(tokens["vocabulary"]), tokens["folding"]).indices("RED square, unheard of")
    images = generator([np.zeros((2, 6)), np.array([said[:2] + [0] * 14, [0] * 16])]).numpy()
    assert images.shape == (2, 16, 16, 3)
    assert np.isfinite(images).all()
    assert np.abs(images[0] - images[1]).max() > 0
    with Image.open(tmp_path / "run" / "samples" / "000000kimg.png") as grid:
        assert round(8 * grid.height / grid.width) == 3, "a row for each of three captions, a column for each seed"

    killed = tmp_path / "killed"
    process = forked.start("gentrain", *fit, "--run", killed, "--kimg", 0.128, "--holdout", 15)
    kill_after_a_checkpoint(process, killed)
    code, _, err = gentrain(*fit, "--run", killed, "--kimg", 0.128)
    assert code == 0, err
    assert "going on at 0.064 kimg" in err
    for found, expected in zip(weights(killed), weights(tmp_path / "run"), strict=True):
        assert np.array_equal(found, expected)


def test_each_step_takes_some_of_a_pictures_words_each_once_and_at_times_none() -> None:
    drawn = tf.random.stateless_uniform((4000, 22), (1, 2))
    words = np.zeros((4000, 20), np.int32)
    words[:2000] = np.arange(2, 22)
    words[2000:3000, :2] = 2, 3
    found = some_words(words, drawn).numpy()
    assert found.shape == (4000, LONGEST)
    counts = (found > 0).sum(axis=1)
    many, two, none = counts[:2000], counts[2000:3000], counts[3000:]
    assert set(many) == set(range(LONGEST + 1)), "from none to as many as a text can have"
    assert (np.bincount(many)[1:4] > np.bincount(many)[4]).all(), "few words are asked for more often than many"
    assert set(two) == {0, 1, 2}
    assert not none.any(), "a picture without a caption stands for an empty text"
    assert all(len({*row[row > 0]}) == (row > 0).sum() for row in found)
    assert np.isin(found[2000:3000], (0, 2, 3)).all()
    assert (found[counts > 0, 0] > 0).all(), "words come first, padding last"
    assert len({*found[:2000, 0]} - {0}) == 20, "each word can be the only one"
    named = drawn[:, 1].numpy() < NAMED
    assert (found[named & (counts == 3)][:, :3] == [2, 3, 4]).all(), "some texts are the name"
    assert (found[~named & (counts == 3)][:, :3] == [2, 3, 4]).all(axis=1).mean() < 0.1


def test_a_pictures_words_are_those_of_all_of_its_captions() -> None:
    captions = [["red star", "a star"], ["a red moon", ""], []]
    condition = Tokens(Vocabulary.of(["a red star moon"] * 2), captions)
    (column,) = condition.columns(Dataset("pictures", np.zeros((3, 4, 4, 3), np.uint8))).values()
    said = [{condition.vocabulary.words[index] for index in row[row > 0]} for row in column]
    assert said == [{"red", "star", "a"}, {"a", "red", "moon"}, set()]


def factors_of(features: np.ndarray, expected: np.ndarray, tokens: list[list[int]]) -> Seen:
    pictures = tf.zeros((len(features), 4, 4, 1))
    tensors = tf.constant(features, tf.float32), tf.constant(expected, tf.float32)
    return Seen(pictures, pictures, {"tokens": tf.constant(tokens)}, None, None, None, factors=tensors)


def test_a_picture_is_to_fit_its_caption_better_than_the_others_do_and_what_says_less_is_none() -> None:
    features, tokens = np.eye(3), [[2, 3], [2, 0], [4, 0]]
    seen = factors_of(features, 2 * features, tokens)
    # The second caption says nothing that is not true of the first picture; the first says more than the second one.
    of_first, of_others = -np.log(np.exp(2) / (np.exp(2) + 1)), -np.log(np.exp(2) / (np.exp(2) + 2))
    assert Mismatch().of_discriminator(seen).numpy() == pytest.approx((of_first + 2 * of_others) / 3, abs=1e-5)
    swapped = factors_of(features, 2 * features[[1, 2, 0]], tokens)
    assert Mismatch().of_discriminator(swapped).numpy() > Mismatch().of_discriminator(seen).numpy() + 1


def test_a_generated_picture_is_to_fit_its_caption_as_well_as_the_real_one_does_and_no_better() -> None:
    better, worse = (factors_of(np.eye(3), size * np.eye(3), [[2], [3], [4]]) for size in (2, 1))
    told = [Mismatch().of_discriminator(seen).numpy() for seen in (better, worse)]
    lacking = Mismatch().of_generator(replace(worse, real_factors=better.factors)).numpy()
    assert lacking == pytest.approx(told[1] - told[0], abs=1e-5)
    assert lacking > 0.1
    assert Mismatch().of_generator(replace(better, real_factors=worse.factors)).numpy() == 0


def test_likeness_leads_a_training_of_words() -> None:
    """The generator's other terms begin at a tenth; the weight of its own stays."""
    data = tf.constant(0.0), tf.constant(0.1), tf.constant(0.5)
    likeness = Likeness(8.0, painted)
    assert [float(likeness.others_at(each)) for each in data] == pytest.approx([0.1, 0.55, 1.0])
    assert [float(likeness.weight_at(each)) for each in data] == [8.0] * 3


def painted(given: list[tf.Tensor], training: bool) -> tf.Tensor:
    """Pictures of one grey, which is the first latent."""
    return tf.ones((1, 16, 16, 3)) * given[0][:, :1, None, None]


def test_of_several_pictures_of_a_caption_the_nearest_is_held_to_the_real_one_and_the_rest_is_free() -> None:
    real = tf.ones((8, 16, 16, 3)) * tf.linspace(-0.5, 0.5, 8)[:, None, None, None]
    latents = tf.random.stateless_normal((8, 2), (1, 2))
    uniform = tf.random.stateless_uniform((6, 4 * (CHOICES - 1)), (3, 4))
    inputs = {"tokens": tf.zeros((8, 2), tf.int32)}
    likeness = Likeness(4.0, painted)
    seen = Seen(real, real, inputs, None, None, lambda k, n: uniform[:n, :k], latents)
    chosen = likeness.choose(latents, seen).numpy()
    others = normal(uniform).numpy().reshape(6, CHOICES - 1, 2)
    for grey, mine, first, more in zip(real[:6, 0, 0, 0].numpy(), chosen, latents.numpy(), others, strict=False):
        every = np.array([first, *more])
        assert np.array_equal(mine, min(every, key=lambda latent, g=grey: abs(latent[0] - g)))
    assert np.array_equal(chosen[6:], latents[6:])
    assert not np.array_equal(chosen[:6], latents[:6])

    fake = real + tf.constant([0.5] * 6 + [9.0] * 2)[:, None, None, None]
    assert likeness.of_generator(replace(seen, fake=fake)).numpy() == pytest.approx(0.5**2 + 0.5)


def test_a_picture_is_compared_in_what_a_net_sees_that_does_not_measure_it() -> None:
    looks = [PRESETS["text"]().resolved(size, 3, "float32") for size in (16, 32)]
    assert [one.seen_through for one in looks] == ["", "lite1"]
    assert PRESETS["text"]().resolved(32, 1, "float32").likeness_features == 0
    assert PRESETS["small"]().resolved(32, 3, "float32").likeness_features == 0, "without words nothing is compared"
    both = Settings(conditions="tokens", features_weight=0.5).resolved(32, 3, "float32")
    assert both.seen_through == "lite0", "one net for both, so that the other can measure"

    maps = projected.likeness_maps(32, 3, "lite1")
    seen = maps(tf.random.stateless_uniform((4, 32, 32, 3), (1, 2), -1, 1))
    assert [tensor.shape for tensor in seen] == [(4, 16, 16, 24), (4, 8, 8, 40), (4, 4, 4, 112)]
    for tensor in seen:
        np.testing.assert_allclose(np.linalg.norm(tensor, axis=-1), 1, rtol=1e-4)
    pictures = tf.random.stateless_uniform((4, 32, 32, 3), (3, 4), -1, 1)
    other = tf.reverse(pictures, axis=[0])
    likeness = Likeness(4.0, painted, maps, 2.0)
    shift = lambda k, n: tf.fill((n, k), 0.4)  # noqa: E731
    with tf.GradientTape() as tape:
        tape.watch(other)
        unlike = likeness.of_generator(Seen(pictures, other, {}, None, None, shift))
    alone = Likeness(4.0, painted).of_generator(Seen(pictures, other, {}, None, None, shift))
    assert unlike > alone
    assert likeness.of_generator(Seen(pictures, pictures, {}, None, None, shift)).numpy() == pytest.approx(0, abs=1e-6)
    assert np.abs(tape.gradient(unlike, other)).max() > 0


def test_pictures_of_a_caption_are_to_differ_where_their_latents_do() -> None:
    latents = tf.random.stateless_normal((8, 3), (1, 2))
    uniform = tf.random.stateless_uniform((2, 6), (3, 4))
    large, stripes = np.ones((16, 16, 1), np.float32), np.indices((16, 16)).sum(0)[..., None] % 2 * 2.0 - 1
    for strength, lacking in (
        (0 * large, APART), (APART / 2 * large, APART / 2), (large, 0.0), (stripes.astype(np.float32), APART)
    ):  # fmt: skip
        called = lambda given, training, s=strength: s * given[0][:, None, None, :]  # noqa: E731
        fake = called([latents], True)
        seen = Seen(fake, fake, {"tokens": tf.zeros((8, 2), tf.int32)}, None, None, lambda k, n: uniform, latents)
        assert Diversity(1.0, called).of_generator(seen).numpy() == pytest.approx(lacking, abs=1e-6)
    drawn = normal(tf.random.stateless_uniform((20_000, 2), (5, 6))).numpy()
    assert (drawn.mean(), drawn.std()) == pytest.approx((0, 1), abs=0.02)


def test_words_enter_with_the_latents_and_again_where_the_first_feature_map_is_made() -> None:
    condition = Tokens(Vocabulary.of(["red star", "red star"]), [["red star"]] * 2)
    generator = build_generator(16, 3, (condition,), Settings(**TINY, networks="drawn"))
    joined = [layer.output.shape for layer in generator.layers if isinstance(layer, keras.layers.Concatenate)]
    assert joined == [(None, 6 + 256), (None, 512 + 6 + 256)]
    with pytest.raises(UsageError, match="latent_size 0: words enter beside the latents"):
        condition.configure(Settings(latent_size=0))


def test_a_word_more_changes_an_image_as_much_as_a_seed_does_from_the_start() -> None:
    names = [f"{colour} {thing}" for colour in COLOURS for thing in ("star", "heart", "moon")] * 2
    condition = Tokens(Vocabulary.of(names), [names])
    generator = build_generator(16, 3, (condition,), Settings(latent_size=32))
    latents, tokens = np.random.default_rng(0).normal(size=(9, 32)), condition.tokens(names[:9])
    by_words = generator([np.repeat(latents[:1], 9, axis=0), tokens]).numpy().std(axis=0).mean()
    by_seeds = generator([latents, np.repeat(tokens[:1], 9, axis=0)]).numpy().std(axis=0).mean()
    assert 0.5 < by_words / by_seeds < 4

    embedding = generator.get_layer("words")
    (vectors,) = embedding.get_weights()
    vectors[:2] = 1e6
    embedding.set_weights([vectors])
    again = generator([np.repeat(latents[:1], 9, axis=0), tokens]).numpy()
    assert again.std(axis=0).mean() == by_words, "padding adds nothing, whatever its embedding"
    tokens[0, 5] = 1
    unknown = generator([np.repeat(latents[:1], 9, axis=0), tokens]).numpy()
    np.testing.assert_array_equal(unknown, again, "nor does a word that is not known")


def test_diversity_tells_whether_seeds_or_captions_change_an_image() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 4, 4, 3), np.uint8)
    texts = np.array([f"caption {row // 4}".encode() for row in range(40)])
    dataset = Dataset("pictures", pixels, columns={"captions": texts})
    tokens = np.repeat(np.arange(10, dtype=np.int32), 4)[:, None]

    class Features(FeatureNet):
        """The pixels themselves."""

        def __init__(self) -> None:
            self.name = "pixels"

        def __call__(self, images: np.ndarray) -> np.ndarray:
            return images.reshape(len(images), -1).astype(np.float32)

    inputs = [keras.Input((3,), name="latents"), keras.Input((1,), dtype="int32", name="tokens")]
    of_seed = keras.layers.Dense(48, activation="tanh")(inputs[0])
    of_words = keras.layers.Flatten()(keras.layers.Embedding(10, 48, embeddings_initializer="random_normal")(inputs[1]))
    both = {"seed": of_seed, "words": keras.layers.Activation("tanh")(of_words)}
    found = {}
    for name, values in both.items():
        generator = keras.Model(inputs, keras.layers.Reshape((4, 4, 3))(values))
        images = generate(generator, 40, 0, {"tokens": tokens})
        found[name] = captions.diversity(generator, images, {"tokens": tokens}, Features())
    assert found["words"] == 0, "all seeds of a caption are alike"
    assert found["seed"] == pytest.approx(1, abs=0.3), "captions change nothing"
    assert captions.reference(dataset, np.arange(40), Features()) == pytest.approx(1, abs=0.1)
    alone = Dataset("pictures", pixels, columns={"captions": np.array([f"{row} {row}".encode() for row in range(40)])})
    assert captions.reference(alone, np.arange(40), Features()) is None
