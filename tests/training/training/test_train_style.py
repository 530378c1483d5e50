"""Pictures in the style of others: what a run leaves, that nothing needs a pair, and the way to a picture."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import grpc
import keras
import numpy as np
import pytest
import tensorflow as tf
from gentrain.conditions import Unpaired
from gentrain.data import holdout
from gentrain.errors import TrainError
from gentrain.losses import nce
from gentrain.losses.auxiliary import Seen
from gentrain.metrics import style
from gentrain.networks import residual
from gentrain.run import _stream
from gentrain.settings import Settings
from gentrain.sources import read as read_source
from gentrain.training.gan import GAN
from killed import kill_after_a_checkpoint
from PIL import Image as Pillow
from real_server import genserve
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc as prediction_grpc

SIDE, PICTURES, PAINTINGS, HELD_OUT = 16, 50, 40, 10
TINY = {"generator_width": 4, "discriminator_width": 4, "batch": 8, "precision": "float32", "gamma": 0.0, "loss": "bce"}
TINY |= {"nce_identity": 1.0}
SETS = [part for name, value in TINY.items() if name != "loss" for part in ("--set", f"{name}={value}")]
LENGTH = ["--kimg", 0.128, "--set", "kimg_per_tick=0.064", "--set", "kimg_per_checkpoint=0.064"]
MEASURED = ["--set", f"held_out={HELD_OUT}", "--set", "kimg_per_evaluation=0.128"]
NETWORKS = {"networks": "residual", "latent_size": 0, "conditions": "unpaired"}

# So few steps take less time than to compile eight of them at once, and the blocks after the compared ones are alike.
QUICK = {"gentrain.run.STEPS_PER_EXECUTION": 1, "gentrain.networks.residual.BLOCKS": residual.COMPARED}
ALSO_QUICK = "".join(f"import {name.rpartition('.')[0]}\n{name} = {value}\n" for name, value in QUICK.items())


def drawn(number: int, least: int = 0) -> np.ndarray:
    """A picture (16, 16, 3) whose blocks of colour tell which one it is, none darker than `least`."""
    blocks = np.random.default_rng(number).integers(least, 256, (4, 4, 3), np.uint8)
    return blocks.repeat(4, axis=0).repeat(4, axis=1)


def save(folder: Path, pictures: list[np.ndarray]) -> str:
    folder.mkdir()
    for number, pixels in enumerate(pictures):
        Pillow.fromarray(pixels).save(folder / f"{number:02}.png")
    return str(folder)


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in QUICK.items():
            patch.setattr(name, value)
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Fifty pictures, and forty others that are all pale."""
    root = tmp_path_factory.mktemp("style")
    pictures = save(root / "pictures", [drawn(number) for number in range(PICTURES)])
    return pictures, save(root / "pale", [drawn(1000 + number, 128) for number in range(PAINTINGS)])


@pytest.fixture(scope="module")
def run(folders: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained two ticks, with nothing but --style to say what it is."""
    from click.testing import CliRunner
    from gentrain.cli import cli

    run = tmp_path_factory.mktemp("runs") / "pale"
    done = CliRunner().invoke(cli, [*fitted(folders), "--run", str(run)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return run


def fitted(folders: tuple[str, str]) -> list[str]:
    """The command, but for where the run is."""
    fit = ["fit", "--data", folders[0], "--style", folders[1], "--loss", "bce", *SETS, *LENGTH, *MEASURED]
    return list(map(str, fit))


def data(folders: tuple[str, str], **changes: object):
    return read_source(folders[0], Settings(resolution=64, style=folders[1], **changes).frame)  # type: ignore[arg-type]


def test_the_generator_makes_a_picture_of_a_picture_and_the_discriminator_sees_the_picture_alone(run: Path) -> None:
    assert json.loads((run / "config.json").read_text())["preset"] == "style"
    interface = json.loads((run / "interface.json").read_text())
    assert interface["task"] == "image-to-image"
    assert [(tensor["name"], tensor["role"]) for tensor in interface["inputs"]] == [("image", "image")]
    generator = keras.models.load_model(run / "generator.keras", safe_mode=True)
    assert [tensor.name for tensor in generator.inputs] == ["image"]
    assert all(type(layer).__module__.startswith("keras.src.layers.") for layer in generator.layers)
    discriminator = keras.models.load_model(run / "discriminator.keras")
    assert [tensor.name for tensor in discriminator.inputs] == ["images"]
    assert discriminator.output_shape == (None, 1)
    first, bent = discriminator.layers[1:3]
    assert first.output.shape[1:3] == discriminator.inputs[0].shape[1:3], "single pixels are looked at"
    assert isinstance(bent, keras.layers.LeakyReLU)


def test_examples_are_pictures_that_were_held_out_and_no_answer_is_made_up(run: Path, folders: tuple[str, str]) -> None:
    dataset = data(folders)
    assert dataset.inputs is not None
    unseen = holdout.split_inputs(dataset, HELD_OUT)[1]
    with np.load(run / "examples.npz") as kept:
        assert kept.files == ["image"]
        np.testing.assert_array_equal(kept["image"], dataset.inputs.images[unseen])
    best = json.loads((run / "best" / "best.json").read_text())
    assert {"frechet", "kernel", "content"} <= set(best)


def test_a_run_that_kill_9_ends_goes_on_to_the_very_weights_of_an_undisturbed_one(
    run: Path, folders: tuple[str, str], tmp_path: Path, gentrain, forked
) -> None:
    killed, last = tmp_path / "killed", "000000000128"
    process = forked.start("gentrain", *fitted(folders), "--run", killed, first=ALSO_QUICK)
    kill_after_a_checkpoint(process, killed)
    assert not (killed / "checkpoints" / last).exists(), "the kill should come in the middle"
    code, _, err = gentrain("fit", "--run", killed)
    assert code == 0, err
    assert "going on at 0.064 kimg" in err
    for network in ("generator", "discriminator"):
        whole, again = (keras.models.load_model(it / f"{network}.keras").get_weights() for it in (run, killed))
        assert all(np.array_equal(one, other) for one, other in zip(whole, again, strict=True))
    states = [tf.train.load_checkpoint(str(it / "checkpoints" / last / "state")) for it in (run, killed)]
    names = [name for name in states[0].get_variable_to_shape_map() if name.startswith("auxiliary_nce")]
    assert names, "the heads of the contrast and their optimiser are kept"
    assert all(np.array_equal(*(state.get_tensor(name) for state in states)) for name in names)


def test_a_measurement_stands_beside_doing_nothing_and_recolouring(run: Path, folders, gentrain) -> None:
    code, out, err = gentrain("evaluate", run, "--features", "random")
    assert code == 0, err
    assert "recoloured" in out
    assert f"pictures held out of the training: {HELD_OUT}" in out
    scores = json.loads((run / "metrics.json").read_text())["metrics"]
    assert set(scores) == {"frechet", "kernel", "content", "hits"}
    assert scores["content"]["unchanged"] == pytest.approx(1)
    assert scores["hits"]["unchanged"] < 0.5 < scores["hits"]["floor"], "the classifier tells pale pictures"
    assert 0.5 < scores["content"]["recoloured"] < 1
    assert {"value", "unchanged", "recoloured", "floor"} == set(scores["frechet"])
    code, out, err = gentrain("evaluate", run, "--features", "random", "--on", folders[0], "--out", "all.json")
    assert code == 0, err
    assert json.loads(Path("all.json").read_text())["samples"] == PICTURES
    known = save(Path("known"), [drawn(number, 128) for number in range(PICTURES)])
    on = f"pairs:{folders[0]},{known}"
    code, out, err = gentrain("evaluate", run, "--features", "random", "--on", on, "--out", "known.json")
    assert code == 0, err
    assert "l1" in out, "pairs that the user knows"
    code, _, err = gentrain("report", run)
    assert code == 0, err
    assert "Input, translated and one of the style side by side" in (run / "report.html").read_text()


def test_it_is_published_and_translates_on_a_device_and_from_a_server(
    run: Path, folders: tuple[str, str], tmp_path: Path, command, genexport
) -> None:
    options = ["--repository", tmp_path / "models", "--name", "pale", "--files", "float32", "--no-onnx"]
    done = genexport("publish", run, *options)
    assert done.exit_code == 0, done.output
    tflite = Path(done.stdout.strip()) / "tflite" / "pale-float32.tflite"
    done = command("genclient", "translate", folders[0], "--tflite", tflite, "--out", tmp_path / "made/", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    generator = keras.models.load_model(run / "best" / "generator.keras")
    inputs = np.stack([drawn(number) for number in range(PICTURES)])
    expected = (np.asarray(generator([inputs / 127.5 - 1.0])) + 1) * 127.5
    files = [f"{number:02}.png" for number in range(PICTURES)]
    made = np.stack([np.asarray(Pillow.open(tmp_path / "made" / file)) for file in files])
    np.testing.assert_allclose(made, expected, atol=1.01)
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "pale", "png"
    contents = [(Path(folders[0]) / file).read_bytes() for file in files]
    request.inputs["image_bytes"].CopyFrom(tf.make_tensor_proto(contents))
    base = tmp_path / "models" / "pale"
    options = ["--model_name", "pale", "--model_base_path", base, "--rest_api_port", 0]
    with genserve(*options, models=("pale",)) as address, grpc.insecure_channel(address) as channel:
        reply = prediction_grpc.PredictionServiceStub(channel).Predict(request, timeout=60)
    answers = [np.asarray(Pillow.open(io.BytesIO(png))) for png in tf.make_ndarray(reply.outputs["png_bytes"])]
    np.testing.assert_allclose(np.stack(answers), expected, atol=1.01)


def test_no_picture_has_a_partner_and_what_is_held_out_never_comes(folders: tuple[str, str]) -> None:
    dataset = data(folders)
    images = np.stack([drawn(number) for number in range(4)])
    gan = GAN(SIDE, 3, (Unpaired(images),), Settings(held_out=HELD_OUT, shared_pass=True, **NETWORKS, **TINY))  # type: ignore[arg-type]
    assert dataset.inputs is not None
    seen: dict[str, Counter[bytes]] = {"image": Counter(), "images": Counter()}
    beside: dict[bytes, set[bytes]] = {}
    steps = 20
    for batch in _stream(gan, dataset, 0).take(steps):
        for name, counter in seen.items():
            counter.update(one.tobytes() for one in batch[name].numpy())
        for one, other in zip(batch["image"].numpy(), batch["images"].numpy(), strict=True):
            beside.setdefault(one.tobytes(), set()).add(other.tobytes())
    kept = holdout.split_inputs(dataset, HELD_OUT)[0], holdout.split(dataset, HELD_OUT)[0]
    for (name, counter), rows, pixels in zip(seen.items(), kept, (dataset.inputs.images, dataset.images), strict=True):
        assert set(counter) == {np.asarray(pixels[row]).tobytes() for row in rows}, name
        assert max(counter.values()) - min(counter.values()) <= 1, "each comes once an epoch"
    assert all(len(others) > 1 for others in beside.values())


def test_no_place_is_compared_twice() -> None:
    numbers = np.random.default_rng(0)
    drawn_places = nce.places(100, lambda values: tf.constant(numbers.random((3, values)), tf.float32)).numpy()
    assert drawn_places.shape == (3, nce.PLACES)
    assert all(len(set(row)) == nce.PLACES for row in drawn_places)
    assert 90 < drawn_places.max() < 100
    few = nce.places(9, lambda values: tf.ones((1, values)) * 0.999).numpy()
    assert sorted(few[0]) == [*range(9)]


def test_the_contrast_tells_content_that_stays_from_content_that_moves() -> None:
    images = np.stack([drawn(number) for number in range(8)])
    gan = GAN(SIDE, 3, (Unpaired(images),), Settings(**{**NETWORKS, **TINY, "nce_identity": 0.0}))  # type: ignore[arg-type]
    numbers = np.random.default_rng(0)

    def uniform(values: int, count: int) -> tf.Tensor:
        return tf.constant(numbers.random((count, values)), tf.float32)

    def loss(made: np.ndarray) -> float:
        given, fake = (tf.constant(pixels / 127.5 - 1.0, tf.float32) for pixels in (images, made))
        seen = Seen(fake, fake, {"image": given}, lambda images, inputs: images, lambda images, part: images, uniform)
        return float(gan.auxiliary[0].of_generator(seen))

    kept = loss(images)
    assert kept < 0.8 * loss(np.roll(images, 8, axis=(1, 2))), "the same blocks at other places"
    assert kept < 0.8 * loss(images[::-1]), "other pictures"


def test_the_content_is_learned_to_be_kept_without_a_discriminator() -> None:
    images = np.stack([drawn(number) for number in range(8)])
    gan = GAN(SIDE, 3, (Unpaired(images),), Settings(adversarial=0.0, **NETWORKS, **TINY))  # type: ignore[arg-type]
    gan.compile()
    heads = [weight.copy() for weight in gan.auxiliary[0].network.get_weights()]
    batch = {"images": tf.stack([images[::-1]] * 2), "image": tf.stack([images] * 2)}
    losses = []
    for _ in range(6):
        for mean in gan.metrics:
            mean.reset_state()
        losses.append(float(gan.train_step(batch)["g_nce"]))
    assert losses[-1] < losses[0]
    assert not any(np.array_equal(a, b) for a, b in zip(heads, gan.auxiliary[0].network.get_weights(), strict=True))


def test_recolouring_gives_the_histogram_of_the_style_and_content_is_where_edges_are() -> None:
    inputs, pale = (np.stack([drawn(number, least) for number in range(40)]) for least in (0, 128))
    found = style.recoloured(inputs, pale)
    for part in (10, 50, 90):
        assert np.percentile(found, part) == pytest.approx(np.percentile(pale, part), abs=4)
    assert style.content(inputs, inputs) == pytest.approx(1)
    assert style.content(inputs, 255 - inputs) == pytest.approx(1)
    assert style.content(inputs, found) > 0.9
    assert style.content(inputs, np.roll(inputs, 2, axis=(1, 2))) < 0.3
    assert style.content(np.zeros_like(inputs), inputs) == 0


def test_sizes_and_channels_that_differ_are_brought_together_and_said(tmp_path: Path) -> None:
    large = save(tmp_path / "large", [drawn(number).repeat(2, axis=0).repeat(2, axis=1) for number in range(4)])
    grey = save(tmp_path / "grey", [drawn(number)[..., 0] for number in range(5)])
    dataset = data((large, grey))
    assert dataset.inputs is not None
    assert dataset.images.shape == (5, SIDE, SIDE, 3)
    assert dataset.inputs.images.shape == (4, SIDE, SIDE, 3)
    told = "\n".join(dataset.notes)
    assert "large is brought to 16×16, as the other is" in told
    assert "grey is grey and the other in colour: both are taken in colour" in told
    assert data((large, grey), channels=1).images.shape[3] == 1


def test_a_single_picture_is_a_style_by_its_patches(tmp_path: Path) -> None:
    pictures = save(tmp_path / "pictures", [drawn(number) for number in range(4)])
    mosaic = np.concatenate([np.concatenate([drawn(3 * row + column) for column in range(3)], 1) for row in range(2)])
    Pillow.fromarray(mosaic).save(tmp_path / "painting.png")
    dataset, again = (data((pictures, str(tmp_path / "painting.png")), split=split) for split in ("train", "all"))
    assert dataset.images.shape == (1000, SIDE, SIDE, 3)
    np.testing.assert_array_equal(dataset.images, again.images)
    assert len(dataset.distinct) > 500
    values = {tuple(colour) for colour in mosaic.reshape(-1, 3)}
    sharp = [patch for patch in dataset.images[:200] if {tuple(c) for c in patch.reshape(-1, 3)} <= values]
    assert sharp, "some are parts as they are"
    Pillow.fromarray(mosaic[:8]).save(tmp_path / "strip.png")
    with pytest.raises(TrainError, match="48×8 pixels are too few to take patches of 16×16"):
        data((pictures, str(tmp_path / "strip.png")))


WRONG = [
    ("pictures", "empty", [], "no images found", 1),
    ("pictures", "nowhere", [], "nowhere: no such data source", 1),
    ("pictures", "pictures", [], "the very images of --data", 2),
    (
        "pictures",
        "one",
        [],
        "one: 1 image; a style is learned from some hundreds of pictures, or of one by its patches: --style FILE",
        1,
    ),
    (
        "one",
        "pictures",
        [],
        "one: 1 image; a style is learned from some hundreds of pictures, or of one by its patches: --style FILE",
        1,
    ),
    ("pairs:pictures,other", "one", [], "pairs need no --style", 2),
    ("pictures", "other", ["--from", "outline"], "give one of them", 2),
    ("pictures", "other", ["--preset", "small"], "conditions none do not take one on; --preset style", 2),
    ("pictures", "other", ["--hints"], "conditions image, hints do not take one on", 2),
    ("pictures", "other", ["--set", "networks=unet"], "layers called encoded_", 2),
    ("pictures", "other", ["--set", "latent_size=4"], "latent_size 4: a style is taken on by pictures alone", 2),
    ("pictures", None, ["--preset", "style"], "has no style to take on; --style FOLDER", 1),
]


@pytest.mark.parametrize(("source", "look", "options", "message", "expected"), WRONG)
def test_what_is_wrong_is_told_in_one_line(
    source: str, look: str | None, options: list[str], message: str, expected: int, tmp_path: Path, gentrain
) -> None:
    save(tmp_path / "pictures", [drawn(number) for number in range(3)])
    save(tmp_path / "other", [drawn(number, 128) for number in range(3)])
    save(tmp_path / "one", [drawn(9)])
    save(tmp_path / "empty", [])
    code, _, err = gentrain("fit", "--data", source, *(["--style", look] if look else []), "--run", "run", *options)
    assert code == expected, err
    assert message in err.splitlines()[-1]


def test_a_run_is_not_put_into_the_style(folders: tuple[str, str], gentrain) -> None:
    where = ["--run", f"{folders[1]}/run", "--dry-run"]
    code, _, err = gentrain("fit", "--data", folders[0], "--style", folders[1], *where)
    assert code == 1
    assert "lies inside the data" in err
