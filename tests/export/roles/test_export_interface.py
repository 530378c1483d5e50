"""Named tensors: a generator with an input of a further role is published by what its interface.json says."""

from __future__ import annotations

import io
import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from described import metadata_of
from genexport import onnx
from genexport.cli import cli
from genexport.describe import directions
from genexport.errors import ExportError
from genexport.generator.load import load
from genexport.options import Options
from genexport.publish import publish
from genexport.repository import manifest
from genexport.roles import Image as ImageRole
from genexport.roles import preprocess, requests
from genexport.savedmodel.saved_model import ServingSession
from genexport.tflite import convert, quantize
from genexport.verify import verify
from keras import layers
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2

SIZE = (8, 12, 3)
PREPROCESSING = {"crop": "none", "background": "#00ff00", "resize": "lanczos"}
LATENTS = {"name": "noise", "role": "latents", "dtype": "float32", "shape": [None, 4]}
LABELS = {"name": "breed", "role": "labels", "dtype": "int32", "shape": [None], "range": [0, 1]}
NAMES = {"classes": ["cat", "dog"]}
IMAGE = {
    "name": "sketch",
    "role": "image",
    "dtype": "float32",
    "shape": [None, *SIZE],
    "range": [-1, 1],
    "preprocessing": PREPROCESSING,
}
IMAGES = {**IMAGE, "name": "images", "role": "images"}


def interface(*inputs: dict, task: str = "image-to-image") -> dict:
    return {"version": 1, "task": task, "inputs": list(inputs), "outputs": [IMAGES], "someday": "more"}


def write(folder: Path, described: dict | None) -> Path:
    """A run whose generator adds latents, the label's light and half of a picture, all in [-1, 1]."""
    keras.utils.set_random_seed(1)
    z, label = keras.Input((4,), name="noise"), keras.Input((), dtype="int32", name="breed")
    sketch = keras.Input(SIZE, name="sketch")
    light = layers.Embedding(2, 1, embeddings_initializer=keras.initializers.Constant([[-0.2], [0.2]]))(label)
    x = layers.Reshape(SIZE)(layers.Dense(8 * 12 * 3, activation="tanh", kernel_initializer="glorot_normal")(z))
    x = layers.Add()([layers.Rescaling(0.2)(x), layers.Rescaling(0.5)(sketch), layers.Reshape((1, 1, 1))(light)])
    folder.mkdir()
    keras.Model([z, label, sketch], x).save(folder / "generator.keras")
    pixels = keras.Input(SIZE, name="images")
    joined = layers.Concatenate()([pixels, sketch])
    keras.Model([sketch, pixels], layers.Dense(1)(layers.Flatten()(joined))).save(folder / "discriminator.keras")
    if described:
        (folder / "interface.json").write_text(json.dumps(described))
    return folder


def by_hand(generator: keras.Model, latents, labels, picture) -> np.ndarray:
    """The images in [0, 1] of pictures in [0, 1]."""
    return (np.asarray(generator([latents, labels, picture * 2 - 1])) + 1) / 2


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("interface") / "run", interface(LATENTS, LABELS | NAMES, IMAGE))


@pytest.fixture(scope="module")
def version(run: Path) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(directions, "MOST_SEEDS", 64)
        files = ("float32", "onnx", "micro")  # the others are tried on pictures in kinds/test_export_image_to_image.py
        return publish(load(run), run.parent / "models", "drawn", run=run, options=Options(files=files))


@pytest.fixture(scope="module")
def given() -> dict[str, np.ndarray]:
    """Five examples (Keras' Add takes three for channels), the pictures in whole pixels."""
    rng = np.random.default_rng(0)
    picture = (rng.integers(0, 256, (5, *SIZE)) / np.float32(255)).astype(np.float32)
    return {
        "latents": rng.normal(size=(5, 4)).astype(np.float32),
        "labels": np.array([0, 1, 1, 0, 1], np.int32),
        "image": picture,
    }


def test_every_signature_takes_the_picture_as_it_gives_images(version: Path, run: Path, given) -> None:
    expected = by_hand(keras.models.load_model(run / "generator.keras"), *given.values())
    with ServingSession(version) as served:
        inputs = {name: set(signature.inputs) for name, signature in served.signatures.items()}
        floats = served.run("serving_default", given)
        pixels = served.run("uint8", {**given, "image": requests.to_bytes(given["image"])})
        files = {
            "image_bytes": requests.png_files(given["image"]),
            "latents": given["latents"],
            "labels": given["labels"],
        }
        png = [np.asarray(Image.open(io.BytesIO(content))) for content in served.run("png", files)]
        seeded = {"seeds": np.arange(5), "labels": given["labels"], "image": requests.to_bytes(given["image"])}
        assert served.run("seeds", seeded).dtype == np.uint8
        none = {name: values[:0] for name, values in files.items()}
        assert served.run("png", none).shape == (0,)
    assert inputs == {
        "serving_default": {"latents", "labels", "image"},
        "uint8": {"latents", "labels", "image"},
        "png": {"latents", "labels", "image_bytes"},
        "seeds": {"seeds", "labels", "image"},
    }
    np.testing.assert_allclose(floats, np.clip(expected, 0, 1), atol=1e-6)
    assert np.abs(pixels / 255 - floats).max() <= 0.5 / 255 + 1e-6
    assert np.array_equal(png, pixels)


def test_a_picture_file_becomes_what_the_preprocessing_says(version: Path, given) -> None:
    photo = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 40, 4), np.uint8), "RGBA")
    buffer = io.BytesIO()
    photo.save(buffer, "PNG")
    file = buffer.getvalue()
    one = {name: values[:1] for name, values in given.items()}
    with ServingSession(version) as served:
        (png,) = served.run(
            "png", {"latents": one["latents"], "labels": one["labels"], "image_bytes": np.array([file])}
        )
        seen = preprocess.decoded(tf.constant([file]), preprocess.Frame(SIZE, False, (0, 255, 0)))
        expected = served.run("uint8", {**one, "image": requests.to_bytes(seen)})[0]
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png))), expected)


LIMITS = {"float32": 1e-5, "micro": 0.03}


@pytest.mark.parametrize("variant", LIMITS)
def test_the_tflite_files_take_the_picture_too(variant: str, version: Path, given) -> None:
    with ServingSession(version) as served:
        expected = served.run("serving_default", given)
    file = version / "tflite" / f"drawn-{variant}.tflite"
    assert np.abs(convert.run(file, given) - expected).max() <= LIMITS[variant]
    if variant == "float32":
        np.testing.assert_allclose(onnx.run(version / onnx.place("drawn"), given), expected, atol=1e-5)


def test_a_microcontroller_takes_the_bytes_of_the_picture_less_128(version: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    inputs = (
        Interpreter(str(version / "tflite" / "drawn-micro.tflite")).get_signature_runner("generate").get_input_details()
    )
    assert inputs["image"]["quantization"] == (pytest.approx(1 / 255), -128)
    assert inputs["latents"]["quantization"] == (1 / 32, 0)


def test_integers_span_all_values_that_an_input_can_have(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ai_edge_litert.tools import flatbuffer_utils

    plain = ImageRole.examples
    monkeypatch.setattr(ImageRole, "examples", lambda *arguments: 0.25 + 0.5 * plain(*arguments))
    model = flatbuffer_utils.read_model_from_bytearray(bytearray(quantize.calibrate(load(run))))
    for entry in model.signatureDefs[0].inputs:
        span = model.subgraphs[0].tensors[entry.tensorIndex].quantization
        expected = {"image": (0.0, 1.0), "latents": (-4.0, 127 / 32)}.get(entry.name.decode())
        if expected:
            assert (span.min[0], span.max[0]) == expected


def test_the_interface_is_copied_into_manifest_files_and_savedmodel(version: Path, run: Path) -> None:
    described = json.loads((run / "interface.json").read_text())
    found = manifest.check(version)
    assert found["interface"] == json.loads((version / "assets.extra" / "interface.json").read_text()) == described
    said = metadata_of(version / "tflite" / "drawn-float32.tflite")
    assert said["interface"] == described
    assert said["image"] == {"range": [0.0, 1.0], "layout": "NHWC", "shape": list(SIZE)}
    assert (found["latent_size"], found["class_count"], found["class_names"]) == (4, 2, ["cat", "dog"])
    assert manifest.read(version.parents[1] / "drawn-critic" / "1")["interface"] == described


def test_card_contact_sheet_and_warm_up_know_the_picture(version: Path) -> None:
    card = (version / "MODEL_CARD.md").read_text()
    assert "It takes 4 latents, 2 classes (cat, dog), an image of 12×8×3." in card
    assert "`latents` float32 (N, 4) and `labels` int32 (N,) and `image` float32 (N, 8, 12, 3)" in card
    assert "pipeline_tag: image-to-image" in card
    with Image.open(version / "contact_sheet.png") as sheet:
        assert sheet.height == 4 + 6 * (18 + 4 + 8 * 5), "the pictures given, Keras, the SavedModel, three files"
    requested = set()
    records = tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests"))
    with ServingSession(version) as served:
        for record in records:
            request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
            inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
            assert len(served.run(request.model_spec.signature_name, inputs)) == len(inputs["labels"])
            requested.add((request.model_spec.signature_name, len(inputs["labels"])))
    assert requested == {(name, n) for name in ("serving_default", "uint8", "png", "seeds") for n in (1, 4, 16, 64)}


def test_a_version_with_a_picture_is_verified_and_so_is_its_discriminator(version: Path, run: Path, given) -> None:
    assert {"savedmodel/png", "tflite/micro", "onnx/float32"} <= verify(version).keys()
    judge = version.parents[1] / "drawn-critic" / "1"
    assert verify(judge).keys() == {"savedmodel", "savedmodel/discriminate", "savedmodel/encoded"}
    values = {"images": np.flip(given["image"], axis=0), "image": given["image"]}
    with ServingSession(judge) as served:
        assert set(served.signatures["encoded"].inputs) == {"image_bytes", "image"}
        scores = served.run("discriminate", values)
    model, told = keras.models.load_model(run / "discriminator.keras"), manifest.read(judge)["scores"]
    logits = np.asarray(model([values["image"] * 2 - 1, values["images"] * 2 - 1]))[:, 0]
    assert np.ptp(scores) > 0.01
    np.testing.assert_allclose(scores, 1 / (1 + np.exp((told["zero"] - logits) / told["scale"])), atol=1e-4)


def changed(**values: object) -> dict:
    """The interface of the run with other values, or a first input with other values."""
    described = interface(LATENTS, LABELS, IMAGE)
    return described | (values if values.keys() <= described.keys() else {"inputs": [LATENTS | values, LABELS, IMAGE]})


@pytest.mark.parametrize(
    ("described", "message"),
    [
        (changed(version=2), r"interface\.json: version 2, expected 1: written by a newer genline"),
        (changed(role="smell"), r"noise has the role 'smell'; expected latents, labels, image"),
        (changed(shape=[None, 5]), r"expected the input noise float32 \(N, 5\).* found noise float32 \(N, 4\), breed"),
        (changed(name="z"), r"expected the input z float32 \(N, 4\), as interface\.json says; found noise"),
        (changed(inputs=[LATENTS, LABELS]), r"does not describe every input of generator\.keras: .*sketch"),
        (changed(inputs=[LATENTS, LATENTS]), r"expected each role at most once .*, found \['latents', 'latents'\]"),
        (
            changed(outputs=[IMAGES | {"role": "smells"}]),
            r"expected one output of the role images or clips, found smells",
        ),
        (changed(outputs=[IMAGES | {"range": [0, 1]}]), r"pixels lie in .*, not within \[0, 1\] as interface\.json"),
        ({"version": 1}, r"does not follow docs/contracts\.md: no 'inputs'"),
        ([1], r"interface\.json: does not follow docs/contracts\.md"),
    ],
)
def test_an_interface_that_does_not_fit_is_refused_in_one_line(
    described: object, message: str, run: Path, tmp_path: Path
) -> None:
    (tmp_path / "generator.keras").write_bytes((run / "generator.keras").read_bytes())
    (tmp_path / "interface.json").write_text(json.dumps(described))
    with pytest.raises(ExportError, match=message) as raised:
        load(tmp_path)
    assert "\n" not in str(raised.value)


def test_without_an_interface_a_picture_among_the_inputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"a picture as an input, sketch: .*interface\.json"):
        load(write(tmp_path / "run", None))


TONE = """
import tensorflow as tf
from genexport.roles import register
from genexport.roles.role import Feed, Role

class Tone(Role):
    name = "tone"
    option = " --tone 0.5"

    def feed(self, tensor, signature):
        return Feed("tone", tf.float32)

    def examples(self, tensor, count, first):
        return tf.cast(tf.range(count), tf.float32) / count

    def words(self, shape, manifest):
        return "a tone"

register(Tone())
"""


def test_a_role_from_outside_is_published_by_one_module(tmp_path: Path) -> None:
    (tmp_path / "tone_role.py").write_text(TONE)
    run = tmp_path / "run"
    run.mkdir()
    z, tone = keras.Input((4,), name="z"), keras.Input((), name="tone")
    x = layers.Reshape((4, 4, 3))(layers.Dense(48, activation="tanh")(z))
    x = layers.Add()([layers.Rescaling(0.5)(x), layers.Rescaling(0.5)(layers.Reshape((1, 1, 1))(tone))])
    model = keras.Model([z, tone], x)
    model.save(run / "generator.keras")
    tensors = [LATENTS | {"name": "z"}, {"name": "tone", "role": "tone", "dtype": "float32", "shape": [None]}]
    images = {"name": "images", "role": "images", "dtype": "float32", "shape": [None, 4, 4, 3], "range": [-1, 1]}
    (run / "interface.json").write_text(
        json.dumps({**interface(*tensors, task="image-generation"), "outputs": [images]})
    )
    arguments = ["publish", run, "--repository", tmp_path, "--name", "toned", "--files", "float32"]
    done = CliRunner().invoke(cli, [*map(str, arguments), "--import", str(tmp_path / "tone_role.py")])
    assert done.exit_code == 0, done.output
    given = {"latents": np.ones((2, 4), np.float32), "tone": np.array([-0.5, 1], np.float32)}
    expected = (np.asarray(model(list(given.values()))) + 1) / 2
    with ServingSession(tmp_path / "toned" / "1") as served:
        np.testing.assert_allclose(served.run("serving_default", given), expected, atol=1e-6)
    file = tmp_path / "toned" / "1" / "tflite" / "toned-float32.tflite"
    np.testing.assert_allclose(convert.run(file, given), expected, atol=1e-5)
    assert verify(tmp_path / "toned" / "1")
    assert "from 4 latents, a tone." in (tmp_path / "toned" / "1" / "MODEL_CARD.md").read_text()
