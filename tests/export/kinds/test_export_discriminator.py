"""NAME-critic: images in, scores out, as arrays or as picture files, published under the generator's number."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from genexport.compare.parity import Limits
from genexport.errors import ExportError
from genexport.generator.load import load
from genexport.kinds.discriminator import model as discriminator_model
from genexport.options import Options
from genexport.publish import publish
from genexport.repository import manifest
from genexport.roles import preprocess
from genexport.savedmodel.saved_model import ServingSession
from genexport.verify import verify
from keras import layers
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2

IMPOSSIBLE = Limits(float32=0)


@pytest.fixture(scope="module")
def version(repository: Path) -> Path:
    return repository / "digits-critic" / "1"


@pytest.fixture(scope="module")
def served(version: Path):
    with ServingSession(version) as model:
        yield model


@pytest.fixture(scope="module")
def images(repository: Path) -> np.ndarray:
    """What the generator makes of seeds that its critic was not set by: uint8 (64, 28, 28, 1)."""
    with ServingSession(repository / "digits" / "1") as generator:
        return generator.run("seeds", {"seeds": np.arange(1000, 1064)})


def encoded(picture: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def conditional_run(folder: Path) -> Path:
    """A run of a conditional pair that has learnt nothing, but that class 1 has brighter images."""
    keras.utils.set_random_seed(3)
    labels = keras.Input((), dtype="int32", name="labels")
    latents, x = keras.Input((4,), name="latents"), None
    x = layers.Dense(6 * 4 * 3)(layers.Concatenate()([latents, layers.Embedding(2, 3)(labels)]))
    x = layers.Conv2DTranspose(3, 4, 2, padding="same", activation="tanh")(layers.Reshape((6, 4, 3))(x))
    keras.Model([latents, labels], x).save(folder / "generator.keras")
    pixels = keras.Input((12, 8, 3), name="images")
    known = layers.Embedding(2, 1, embeddings_initializer=keras.initializers.Constant([[-1.0], [1.0]]))(labels)
    logits = layers.Multiply()([layers.Dense(1)(layers.Flatten()(pixels)), known])
    keras.Model([pixels, labels], logits).save(folder / "discriminator.keras")
    return folder


def test_it_is_published_with_the_generators_number_and_is_whole(
    repository: Path, version: Path, tmp_path: Path
) -> None:
    assert [path.name for path in (repository / "digits-critic").iterdir() if path.name.isdigit()] == ["1"]
    found = manifest.check(version)
    assert (found["kind"], found["name"], found["generator"]) == ("critic", "digits-critic", "digits")
    assert found["signatures"]["discriminate"] == {
        "inputs": {"images": {"dtype": "float32", "shape": [None, 28, 28, 1]}},
        "outputs": {"scores": {"dtype": "float32", "shape": [None]}},
    }
    assert set(verify(version)) == {"savedmodel", "savedmodel/discriminate", "savedmodel/encoded"}
    copy = tmp_path / "1"
    shutil.copytree(version, copy)
    with np.load(copy / "reference.npz") as stored:
        reference = dict(stored)
    reference["scores"][-1] += 0.02
    np.savez(copy / "reference.npz", **reference)
    manifest.write(copy, {key: value for key, value in found.items() if key != "files"})
    with pytest.raises(ExportError, match=r"the discriminator's savedmodel: scores differ from Keras by 0\.02"):
        verify(copy)


def test_scores_follow_the_critics_logits_and_half_of_the_generated_images_score_above_a_half(
    served, images: np.ndarray, run_directory: Path
) -> None:
    scores = served.run("discriminate", {"images": images.astype(np.float32) / 255})
    assert scores.dtype == np.float32
    assert scores.shape == (64,)
    assert 0 <= scores.min() < 0.3
    assert 0.7 < scores.max() <= 1
    assert 0.3 < np.median(scores) < 0.7
    logits = keras.models.load_model(run_directory / "discriminator.keras")(images / 127.5 - 1)[:, 0]
    odds = np.log(scores / (1 - scores))
    assert np.corrcoef(odds, logits)[0, 1] > 0.999
    np.testing.assert_array_equal(served.run("serving_default", {"images": images.astype(np.float32) / 255}), scores)


def test_a_picture_file_scores_as_its_pixels_do(served, images: np.ndarray) -> None:
    scores = served.run("discriminate", {"images": images.astype(np.float32) / 255})
    files = [encoded(Image.fromarray(image[..., 0])) for image in images]
    np.testing.assert_allclose(served.run("encoded", {"image_bytes": np.array(files)}), scores, atol=1e-3)
    kinds = [
        encoded(Image.fromarray(images[0, ..., 0]).convert("RGB")),
        encoded(Image.fromarray(images[0, ..., 0]).convert("P")),
        encoded(Image.fromarray(images[0, ..., 0]).convert("RGBA")),
        encoded(Image.fromarray(images[0, ..., 0]).convert("LA")),
        encoded(Image.fromarray(images[0, ..., 0]), "BMP"),
        encoded(Image.fromarray(images[0, ..., 0]), "GIF"),
        encoded(Image.fromarray(images[0, ..., 0].astype(np.uint16) * 257)),
    ]
    np.testing.assert_allclose(served.run("encoded", {"image_bytes": np.array(kinds)}), scores[0], atol=2e-3)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_any_number_of_images_is_scored(rows: int, served, images: np.ndarray) -> None:
    assert served.run("discriminate", {"images": images[:rows] / np.float32(255)}).shape == (rows,)
    files = np.array([encoded(Image.fromarray(image[..., 0])) for image in images[:rows]], object)
    assert served.run("encoded", {"image_bytes": files}).shape == (rows,)


def test_what_is_no_picture_is_an_invalid_argument(served) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        served.run("encoded", {"image_bytes": np.array([b"no picture"])})


def test_a_run_says_how_its_pictures_were_framed(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"settings": {"crop": "none", "background": "#00ff00"}}))
    assert preprocess.Frame.of((8, 8, 3), preprocess.of_run(tmp_path)) == preprocess.Frame(
        (8, 8, 3), False, (0, 255, 0)
    )
    assert preprocess.Frame.of((8, 8, 3), preprocess.of_run(tmp_path / "nowhere")) == preprocess.Frame((8, 8, 3))


def test_its_warm_up_has_every_signature_and_batch_size_and_replays(version: Path, served) -> None:
    sizes = set()
    for record in tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests")):
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        assert request.model_spec.name == "digits-critic"
        inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
        (rows,) = {len(value) for value in inputs.values()}
        assert served.run(request.model_spec.signature_name, inputs).shape == (rows,)
        sizes.add((request.model_spec.signature_name, rows))
    assert sizes == {(name, n) for name in ("serving_default", "discriminate", "encoded") for n in (1, 4, 16, 64)}
    size = (version / "assets.extra" / "tf_serving_warmup_requests").stat().st_size
    assert size < 50_000, "a tensor of one value needs no bytes for the others"


def test_a_conditional_critic_takes_labels_and_both_get_a_number_that_both_have_free(tmp_path: Path) -> None:
    run, root = conditional_run(tmp_path), tmp_path / "models"
    (root / "pair" / "2").mkdir(parents=True)
    (root / "pair-critic" / "6").mkdir(parents=True)
    options = Options(files=("float32",))
    with pytest.raises(ExportError, match="pair-critic/6: this version exists already"):
        publish(load(run), root, "pair", 6, run=run, options=options)
    assert not (root / "pair" / "6").exists()
    folder = publish(load(run), root, "pair", run=run, options=options)
    assert folder == root / "pair" / "7"
    with ServingSession(root / "pair-critic" / "7") as judge:
        images = np.random.default_rng(0).random((2, 12, 8, 3)).astype(np.float32)
        labels = np.array([[0, 0], [1, 1]], np.int32)
        one, other = (judge.run("discriminate", {"images": images, "labels": rows}) for rows in labels)
        assert (np.sign(one - other) != 0).all(), "the label counts"
    assert verify(root / "pair-critic" / "7")
    assert manifest.read(root / "pair-critic" / "7")["limit"] <= 0.01
    model = discriminator_model.load(load(run), run)
    assert model is not None
    generated = np.asarray(model.scores(tf.constant(model.examples(256)["images"]), model.examples(256)["labels"]))
    assert abs(np.median(generated) - 0.5) < 0.02
    assert abs(np.mean(generated > 0.75) - 0.25) < 0.15


def test_nothing_is_published_where_the_critic_cannot_be_and_it_can_be_left_out(tmp_path: Path) -> None:
    run, root = conditional_run(tmp_path), tmp_path / "models"
    (run / "discriminator.keras").write_bytes(b"no zip")
    with pytest.raises(
        ExportError, match=r"discriminator\.keras: not a \.keras file; --no-discriminator leaves it out"
    ):
        publish(load(run), root, "pair", run=run)
    shutil.copy(run / "generator.keras", run / "discriminator.keras")
    with pytest.raises(ExportError, match=r"expected images \(12, 8, 3\).* --no-discriminator leaves it out"):
        publish(load(run), root, "pair", run=run)
    assert not root.exists()
    with pytest.raises(ExportError, match=r"tflite/float32: pixels differ"):
        publish(load(run), root, "pair", run=run, options=Options(discriminator=False, onnx=False, limits=IMPOSSIBLE))
    (run / "discriminator.keras").unlink()
    assert discriminator_model.load(load(run), run) is None, "a run without a critic has none"


def test_without_the_generator_there_is_no_critic(tmp_path: Path) -> None:
    run, root = conditional_run(tmp_path), tmp_path / "models"
    with pytest.raises(ExportError, match=r"tflite/float32: pixels differ"):
        publish(load(run), root, "pair", run=run, options=Options(onnx=False, limits=IMPOSSIBLE))
    assert sorted(path.name for path in root.rglob("*")) == [".lock", "pair"]
