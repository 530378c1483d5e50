"""`gentrain detector`: what it learns and what it must not, what it leaves, and what it says of itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from gentrain.commands.detector import detector as command
from gentrain.data.dataset import Frame
from gentrain.detection import disturb, fakes, files, learn, measure, pictures, pool, scores, statistics
from gentrain.errors import TrainError
from keras import layers
from PIL import Image

Gentrain = Callable[..., tuple[int, str, str]]
SIDE, COUNT = 16, 100


def bars(seed: int, count: int = COUNT, grey: int = 200) -> np.ndarray:
    """Pictures uint8 (count, 16, 16): a bar somewhere, on a ground that is not quite even."""
    rng = np.random.default_rng(seed)
    images = rng.integers(20, 60, (count, SIDE, SIDE), np.uint8)
    for image in images:
        top, left = rng.integers(1, 9, 2)
        image[top : top + 5, left : left + 3] = grey
    return images


def save(images: np.ndarray, folder: Path, ending: str = "png", scale: int = 1, **options: int) -> Path:
    folder.mkdir(parents=True)
    for number, pixels in enumerate(images):
        image = Image.fromarray(pixels)
        image = image.resize((scale * image.width, scale * image.height), Image.Resampling.BICUBIC)
        image.save(folder / f"{number:03}.{ending}", **options)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real bars; `dark` ones, which differ; and the real ones as JPEG and WebP files and at twice the size."""
    folder = tmp_path_factory.mktemp("data")
    save(bars(0), folder / "real")
    save(bars(1, grey=110), folder / "dark")
    save(bars(2, grey=110), folder / "others")
    save(bars(0), folder / "coded", "jpg", quality=75)
    save(bars(0), folder / "webp", "webp", quality=60)
    save(bars(0), folder / "lossless", "webp", lossless=True)
    save(bars(0), folder / "large", scale=2)
    return folder


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conditional generator, never trained, as `g.keras`, `g.tflite` and the version `models/1`."""
    folder = tmp_path_factory.mktemp("generator")
    latents, labels = keras.Input((4,), name="latents"), keras.Input((), dtype="int32", name="labels")
    x = layers.Concatenate()([latents, layers.Flatten()(layers.Embedding(3, 2)(labels))])
    x = layers.Dense(SIDE * SIDE, activation="tanh")(x)
    model = keras.Model([latents, labels], layers.Reshape((SIDE, SIDE, 1), name="images")(x))
    model.save(folder / "g.keras")

    @tf.function(input_signature=[tf.TensorSpec((None, 4), name="latents"), tf.TensorSpec((None,), tf.int32, "labels")])
    def serve(latents: tf.Tensor, labels: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"images": (model([latents, labels]) + 1) / 2}

    module = tf.Module()
    module.model, module.serve = model, serve
    tf.saved_model.save(module, folder / "models" / "1", {"serving_default": serve})
    (folder / "models" / "1" / "manifest.json").write_text(json.dumps({"class_names": ["a", "b", "c"]}))
    plain = keras.Model(latents, layers.Reshape((SIDE, SIDE, 1))(layers.Dense(SIDE * SIDE, activation="tanh")(latents)))
    plain.save(folder / "plain.keras")
    (folder / "plain.tflite").write_bytes(tf.lite.TFLiteConverter.from_keras_model(plain).convert())
    return folder


@pytest.fixture(scope="module")
def run(data: Path) -> tuple[Path, str]:
    """A finished detector of dark bars, and the table that it printed."""
    from click.testing import CliRunner

    folder = data.parent / "run"
    given = ["--real", data / "real", "--fake", data / "dark", "--unseen", data / "others", "--run", folder]
    done = CliRunner().invoke(command, [*map(str, given), "--steps", "60"], catch_exceptions=False)
    assert done.exit_code == 0
    return folder, done.stdout


def test_a_run_directory_holds_what_the_contract_says(run: tuple[Path, str]) -> None:
    folder, _ = run
    assert {path.name for path in folder.iterdir() if path.name[0] != "."} == {*files.NAMES, files.LAST}
    interface = json.loads((folder / "interface.json").read_text())
    (images,), (output,) = interface["inputs"], interface["outputs"]
    assert interface["task"] == "fake-detection"
    assert (images["name"], images["role"], images["shape"]) == ("images", "image", [None, SIDE, SIDE, 1])
    assert images["preprocessing"] == {"crop": "center", "background": "white", "resize": "lanczos"}
    assert (output["name"], output["role"], output["shape"], output["range"]) == ("scores", "scores", [None], [0, 1])
    low, high = output["false_alarms_interval"]
    assert low < output["false_alarms"] == 0.05 < high
    assert Image.open(folder / "scores.png").width > 300
    assert json.loads((folder / "log.jsonl").read_text().splitlines()[-1])["step"] == 60
    assert json.loads((folder / "config.json").read_text())["task"] == "fake-detection"


def test_the_model_alone_gives_scores_by_which_its_threshold_parts_real_from_generated(run: tuple[Path, str]) -> None:
    folder, _ = run
    model = keras.models.load_model(folder / "detector.keras")
    examples = np.load(folder / "examples.npz")
    found = np.asarray(model(examples["images"].astype(np.float32) / 127.5 - 1))
    assert model.output_names == ["scores"]
    assert (found.dtype, found.shape) == (np.float32, examples["labels"].shape)
    assert 0 <= found.min() <= found.max() <= 1
    threshold = json.loads((folder / "interface.json").read_text())["outputs"][0]["threshold"]
    assert ((found >= threshold) == examples["labels"]).mean() > 0.9
    assert not [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]


def test_each_source_is_measured_clean_and_disturbed_beside_the_baseline(run: tuple[Path, str]) -> None:
    folder, printed = run
    metrics = json.loads((folder / "metrics.json").read_text())
    seen, unseen = metrics["sources"].values()
    assert (seen["seen"], unseen["seen"], unseen["training"]) == (True, False, 0)
    assert list(seen["detector"]) == list(seen["pixel_statistics"]) == list(disturb.MEASURED)
    for about in (seen, unseen):
        clean = about["detector"]["clean"]
        assert clean["auroc_interval"][0] <= clean["auroc"] <= clean["auroc_interval"][1]
        assert clean["auroc"] > 0.95
        assert clean["recognised"] > 0.8
    assert f"{seen['detector']['JPEG 50']['auroc']:.3f}" in printed
    assert "others *" in printed
    assert "called generated" in printed


@pytest.mark.parametrize(
    ("real", "other"),
    [("real", "coded"), ("real", "large"), ("real", "webp"), ("real", "lossless"), ("coded", "webp")],
)
def test_the_same_pictures_in_another_format_cannot_be_told_apart(data: Path, real: str, other: str) -> None:
    gathered = gather(data / real, data / other)
    assert not [note for note in gathered.notes if "evened out" in note]
    found = measure.measure(learn.train(gathered, steps=50), gathered)["sources"][str(data / other)]
    for judge in ("detector", "pixel_statistics"):
        areas = [marks["auroc"] for marks in found[judge].values()]
        assert 0.4 < np.mean(areas) < 0.6, areas


def gather(real: Path, fake: Path, *unseen: Path) -> pictures.Pictures:
    from gentrain import sources

    return pictures.gather(str(real), [str(fake)], [str(each) for each in unseen], sources.read)


def test_pictures_of_several_sizes_come_to_the_smallest_and_broken_ones_are_counted(data: Path, tmp_path: Path) -> None:
    mixed = save(bars(3, 30), tmp_path / "mixed", scale=3)
    (mixed / "broken.png").write_bytes(b"no picture")
    gathered = gather(mixed, data / "large")
    assert gathered.shape == (32, 32, 1)
    assert [skipped.file for skipped in gathered.dataset.skipped] == ["broken.png"]
    assert "32×32" in gathered.notes[0]
    assert len(gathered.real.test) == 6


def test_a_picture_is_in_one_part_only_and_copies_of_a_set_are_split_alike(data: Path) -> None:
    gathered = gather(data / "real", data / "large")
    parts = [gathered.real.training, gathered.real.calibration, gathered.real.test]
    contents = [{image.tobytes() for image in part} for part in parts]
    assert [len(part) for part in contents] == [60, 20, 20]
    assert len(set.union(*contents)) == COUNT
    difference = gathered.real.test.astype(int) - gathered.fakes[0].test
    assert np.abs(difference).mean() < 12, "the same pictures, but for the resizing"


def test_generators_of_every_kind_make_the_same_pictures(generator: Path) -> None:
    bare, version = (fakes.find(str(generator / name)) for name in ("g.keras", "models"))
    assert bare is not None
    assert version is not None
    assert (bare.kind, version.kind, version.shape) == ("generator", "version", (SIDE, SIDE, 1))
    assert np.abs(bare.draw(70).astype(int) - version.draw(70)).max() <= 1
    plain, file = (fakes.find(str(generator / name)) for name in ("plain.keras", "plain.tflite"))
    assert plain is not None
    assert file is not None
    assert np.abs(plain.draw(5).astype(int) - file.draw(5)).max() <= 1
    assert fakes.find("digits") is None


def test_a_run_lends_its_generator_its_way_of_cutting_and_its_discriminator(run_directory: Path) -> None:
    found = fakes.find(str(run_directory))
    assert found is not None
    assert found.kind == "run"
    assert found.discriminator == run_directory / "discriminator.keras"
    assert fakes.frame([found], None, None) == Frame(28)


def test_the_same_command_replaces_a_detector_and_a_stop_leaves_the_old_one(
    gentrain: Gentrain, data: Path, run: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = run
    again = ["detector", "--real", data / "real", "--fake", data / "dark", "--run", folder]
    again += ["--resolution", 12, "--crop", "pad", "--seed", 3, "--steps"]
    before = (folder / "detector.keras").read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(measure, "measure", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
        assert gentrain(*again, 2)[0] == 130
    assert (folder / "detector.keras").read_bytes() == before
    assert gentrain(*again, 3)[0] == 0
    assert json.loads((folder / "log.jsonl").read_text().splitlines()[-1])["step"] == 3
    (images,) = json.loads((folder / "interface.json").read_text())["inputs"]
    assert (images["shape"], images["preprocessing"]["crop"]) == ([None, 12, 12, 1], "pad")
    assert json.loads((folder / "config.json").read_text())["seed"] == 3


def test_what_cannot_be_is_said_in_one_line(
    gentrain: Gentrain, data: Path, run: tuple[Path, str], tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "models" / "2").mkdir(parents=True)
    (tmp_path / "models" / "manifest.json").write_text("{}")
    fitted = tmp_path / "fitted"
    fitted.mkdir()
    (fitted / "config.json").write_text('{"preset": "small"}')
    few = save(bars(4, 10), tmp_path / "few")
    real, dark, detector = data / "real", data / "dark", run[0]
    cases = {
        "no images found": (real, tmp_path / "empty", "new"),
        "10 different pictures; a detector needs at least 20": (real, few, "new"),
        "is given as generated, but is": (real, real, "new"),
        "or holds) the real pictures": (real, data, "new"),
        "lies inside the data": (real, dark, real / "run"),
        "holds another run": (real, dark, fitted),
        "holds other things": (real, dark, few),
        "holds a detector, not a generator": (real, detector, "new"),
        "a version without its files": (real, tmp_path / "models", "new"),
        "no such data source": (real, "nowhere", "new"),
    }
    for expected, (one, other, folder) in cases.items():
        code, out, err = gentrain("detector", "--real", one, "--fake", other, "--run", folder)
        assert code in (1, 2), expected
        assert expected in err
        assert (out, err.count("gentrain: "), "Traceback" in err) == ("", 1, False)
    for words in (["fit", "--run"], ["evaluate"], ["report"]):
        code, _, err = gentrain(*words, detector)
        assert code == 1
        assert "holds a detector" in err


def test_a_generator_that_needs_more_than_seeds_is_refused(tmp_path: Path) -> None:
    image = keras.Input((SIDE, SIDE, 1), name="image")
    keras.Model(image, layers.Conv2D(1, 1)(image)).save(tmp_path / "translator.keras")
    with pytest.raises(TrainError, match="needs image for each picture; give a folder"):
        fakes.find(str(tmp_path / "translator.keras"))


def test_scores_are_summed_up_rightly() -> None:
    rng = np.random.default_rng(0)
    assert scores.auroc(np.array([1.0, 2.0]), np.array([0.0, 1.0])) == 0.875
    covered = 0
    for _ in range(60):
        line, (low, high) = scores.threshold(rng.random(200))
        covered += low <= line <= high  # of uniform scores the threshold is the part below it
    assert covered >= 52
    logits = rng.normal(2, 2, 20_000)  # N(±2, 2²) are exactly calibrated at 1
    assert scores.temperature(3 * logits, -3 * rng.normal(2, 2, 20_000)) == pytest.approx(3, rel=0.1)


def test_three_quarters_of_the_pictures_are_disturbed_and_every_batch_repeats() -> None:
    images = bars(5, 200)[..., None]
    one, other = (disturb.at_random(images, np.random.default_rng(1)) for _ in range(2))
    assert (one == other).all()
    assert 0.65 < (one != images).any(axis=(1, 2, 3)).mean() < 0.85


def test_the_threshold_holds_for_each_kind_of_disturbance(data: Path) -> None:
    gathered = gather(data / "real", data / "dark")
    found = learn.train(gathered, steps=30)
    for kind in disturb.KINDS:
        changed = disturb.by(gathered.real.calibration, kind, np.random.default_rng(1))
        assert (found(changed) < found.threshold).sum() <= 2  # of 20
    clean, _ = scores.threshold(found(gathered.real.calibration))
    assert found.threshold < clean, "some kind is borne less well than none"


def test_what_is_learned_from_grows_and_repeats(data: Path) -> None:
    gathered = gather(data / "real", data / "dark", data / "others")
    one, other, third = (pool.Pool(gathered, seed) for seed in (3, 3, 4))
    assert (one.begin() == other.begin()).all()
    third.begin()
    numbers, labels = one.batch(1)
    assert (numbers == other.batch(1)[0]).all()
    assert not (numbers == third.batch(1)[0]).all()
    assert one.drawn == 2 * (pool.FIRST + pool.MORE)
    assert labels.sum() == len(numbers) / 2 == pool.HALF


def test_shares_of_pixels_are_those_that_numpy_counts() -> None:
    images = np.random.default_rng(0).integers(0, 256, (3, SIDE, SIDE, 3), np.uint8)
    assert statistics.at_once(statistics.of_images(64, 3)) == 12, "or a batch in colour takes gigabytes"
    found = np.asarray(statistics.of_images(SIDE, 3)(images.astype(np.float32) / 127.5 - 1))
    bins = len(statistics.LEVELS) + 1
    half = found.shape[1] // 2
    for image, numbers in zip(images, found, strict=True):
        inner = image[1:-1, 1:-1].astype(np.float32).mean(axis=2)
        counts = np.bincount(np.searchsorted(statistics.LEVELS, inner.ravel()), minlength=bins)
        np.testing.assert_allclose(
            numbers[:bins], counts / inner.size, atol=5e-3
        )  # a third of a level beside an end counts in part
    rare = 100 * found[:, :half]
    np.testing.assert_allclose(found[:, half:], rare / (1 + np.abs(rare)), atol=1e-4)


def test_every_option_of_the_command_is_tested() -> None:
    tested = {"real", "fakes", "unseen", "run", "steps", "resolution", "crop", "seed"}
    assert {parameter.name for parameter in command.params} == tested
