"""Image-to-image: runs and models by other hands become versions that are tried on real pictures."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from genexport import onnx
from genexport.compare import parity
from genexport.compare.parity import Limits
from genexport.errors import CannotBeMade, ExportError
from genexport.generator.adapt import Choices
from genexport.generator.load import Generator, load
from genexport.kinds.generator import proof
from genexport.kinds.generator import version as generator_version
from genexport.kinds.image_to_image import ImageToImage
from genexport.options import Options
from genexport.repository import manifest
from genexport.roles import preprocess
from genexport.savedmodel.saved_model import ServingSession
from genexport.tflite import convert
from keras import layers
from PIL import Image
from tensorflow_serving.apis import prediction_log_pb2
from translators import PREPROCESSING, SIDE, dots, squares, u_net

GIVEN = {"image": squares(5, seed=7), "hints": dots(5)}


@pytest.fixture(scope="module")
def run(translator: Path) -> Path:
    return translator / "run"


@pytest.fixture(scope="module")
def version(translator: Path) -> Path:
    return translator / "models" / "colour" / "1"


@pytest.fixture(scope="module")
def expected(run: Path) -> np.ndarray:
    """What Keras makes of GIVEN, in [0, 1]."""
    model = keras.models.load_model(run / "generator.keras")
    return (np.asarray(model([GIVEN["image"] / 127.5 - 1, GIVEN["hints"] / 127.5 - 1])) + 1) / 2


def floats() -> dict[str, np.ndarray]:
    return {name: (values / np.float32(255)).astype(np.float32) for name, values in GIVEN.items()}


def encoded(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def test_every_signature_gives_keras_images_for_any_batch(version: Path, expected: np.ndarray) -> None:
    with ServingSession(version) as served:
        inputs = {name: set(signature.inputs) for name, signature in served.signatures.items()}
        images = served.run("serving_default", floats())
        pixels = served.run("uint8", GIVEN)
        files = {f"{name}_bytes": np.array([encoded(each) for each in values]) for name, values in GIVEN.items()}
        png = [np.asarray(Image.open(io.BytesIO(content))) for content in served.run("png", files)]
        assert served.run("png", {name: values[:0] for name, values in files.items()}).shape == (0,)
        assert served.run("uint8", {name: values[:0] for name, values in GIVEN.items()}).shape == (0, SIDE, SIDE, 3)
    assert inputs == {
        "serving_default": {"image", "hints"},
        "uint8": {"image", "hints"},
        "png": {"image_bytes", "hints_bytes"},
    }
    np.testing.assert_allclose(images, expected, atol=1e-5)
    assert np.array_equal(pixels, np.rint(images * 255))
    assert np.array_equal(png, pixels)


def test_files_of_any_size_are_brought_to_size_as_in_training_and_hints_are_not_mixed(version: Path) -> None:
    photo = np.random.default_rng(3).integers(0, 256, (40, 60, 3), np.uint8)
    hints = np.full((3 * SIDE, 3 * SIDE, 4), (9, 9, 9, 0), np.uint8)
    hints[6:9, 30:33] = (250, 120, 30, 255)
    small = np.zeros((SIDE, SIDE, 4), np.uint8)
    small[2, 10] = (250, 120, 30, 255)
    with ServingSession(version) as served:
        for kind in ("JPEG", "PNG"):
            file = encoded(photo, kind)
            frame = preprocess.Frame.of((SIDE, SIDE, 3), PREPROCESSING)
            seen = np.rint(preprocess.decoded(tf.constant([file]), frame) * 255).astype(np.uint8)
            content = served.run("png", {"image_bytes": np.array([file]), "hints_bytes": np.array([encoded(hints)])})
            wanted = served.run("uint8", {"image": seen, "hints": small[None]})
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(content[0]))), wanted[0])


LIMITS = {"float32": 1e-5, "float16": 5e-3, "dynamic": 0.05, "int8": 0.06, "micro": 0.06}


def test_an_int8_file_past_its_limit_has_its_worst_layers_in_float32_and_keeps_it(run: Path) -> None:
    generator, told = load(run), []
    with convert.Converter(generator, "colour", told.append, Limits()) as converter:

        def made(limit: float) -> tuple[float, bytes]:
            converter.limits = Limits(int8_db=limit)
            converter._made.pop("int8", None)
            content = converter.make("int8")
            return parity.compare(*converter._images(content, np.arange(generator.compared))).psnr_db, content

        reached, whole = made(10.0)
        assert not [line for line in told if "stay in float32" in line]
        better, mixed = made(reached + 2)
        assert better >= reached + 2
        (line,) = (line for line in told if line.endswith("stay in float32: in integers the images are past the limit"))
        assert "conv2d" in line
        assert len(whole) < len(mixed) < 2 * len(whole)
        assert made(99.0)[1] == whole, "few layers do not do"


@pytest.mark.parametrize("variant", LIMITS)
def test_every_file_gives_keras_images_in_one_piece(variant: str, version: Path, expected: np.ndarray) -> None:
    file = version / "tflite" / f"colour-{variant}.tflite"
    assert np.abs(convert.run(file, floats()) - expected).max() <= LIMITS[variant]
    interpreter = Interpreter(str(file), num_threads=1)
    interpreter.allocate_tensors()
    pieces = [op for op in interpreter._get_ops_details() if op["op_name"] == "DELEGATE"]
    assert len(pieces) == 1, "XNNPACK takes all of it"
    if variant != "int8":  # whose last op makes bytes of int8
        assert pieces[0]["outputs"][0] == interpreter.get_output_details()[0]["index"]
    if variant == "float32":
        np.testing.assert_allclose(onnx.run(version / onnx.place("colour"), floats()), expected, atol=1e-5)


def test_files_are_compared_on_64_pictures_held_out_and_calibrated_on_the_others(version: Path, run: Path) -> None:
    found = manifest.check(version)
    assert found["kind"] == "image-to-image"
    assert found["examples"] == {"count": 64, "source": "examples.npz"}
    assert {"savedmodel/png", "onnx/float32", *(f"tflite/{variant}" for variant in LIMITS)} <= found["parity"].keys()
    assert found["left_out"] == {}
    with np.load(version / "reference.npz") as kept, np.load(run / "examples.npz") as held_out:
        for name in GIVEN:
            assert np.array_equal(kept[name], held_out[name][:64])
            others = np.rint(np.asarray(load(run).calibration()[name]) * 255)
            assert np.array_equal(others, held_out[name][64 + np.arange(64) % 32])


def test_warm_up_requests_hold_real_pictures(version: Path, run: Path) -> None:
    with np.load(run / "examples.npz") as held_out:
        pictures = held_out["image"]
    sizes = set()
    with ServingSession(version) as served:
        for record in tf.data.TFRecordDataset(str(version / "assets.extra" / "tf_serving_warmup_requests")):
            request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
            inputs = {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
            signature = request.model_spec.signature_name
            assert len(served.run(signature, inputs)) == len(inputs[next(iter(inputs))])
            sizes.add((signature, len(next(iter(inputs.values())))))
            if signature == "uint8":
                assert np.array_equal(inputs["image"], pictures[: len(inputs["image"])])
            if signature == "png":
                assert np.array_equal(np.asarray(Image.open(io.BytesIO(inputs["image_bytes"][-1]))),
                                      pictures[len(inputs["image_bytes"]) - 1])  # fmt: skip
    assert sizes == {(name, n) for name in ("serving_default", "uint8", "png") for n in (1, 4, 16, 64)}


def test_its_card_and_contact_sheet_show_inputs_outputs_and_the_right_answers(version: Path) -> None:
    card = (version / "MODEL_CARD.md").read_text()
    assert "pipeline_tag: image-to-image" in card
    assert "It takes an image of 16×16×3, hints of colour." in card
    assert "each file translated 64 pictures of examples.npz, which were compared with Keras" in card
    assert "genclient translate photo.jpg --model colour" in card
    assert "seed" not in card
    with Image.open(version / "contact_sheet.png") as opened:
        sheet = np.asarray(opened.convert("RGB"))
    assert len(sheet) == 4 + 11 * (18 + 4 + 64), "two inputs, Keras, SavedModel, six files, and what is true"
    first, last = sheet[4 + 18 + 32, 4 + 32], sheet[-4 - 32, 4 + 32]
    assert np.array_equal(first, squares(1)[0, 8, 8])
    assert np.array_equal(last, 255 - squares(1)[0, 8, 8])


def test_a_version_is_verified_as_what_it_is_and_so_is_its_discriminator_of_patches(version: Path, genexport) -> None:
    for folder, compared in ((version, "tflite/int8"), (version.parents[1] / "colour-critic" / "1", "savedmodel")):
        assert compared in genexport("verify", folder).stdout
    assert "16×16×3 from hints and image" in genexport("show", version).stdout


def test_an_integer_file_past_its_limit_is_left_out_with_what_would_accept_it(version: Path, run: Path) -> None:
    generator = load(run)
    proven = proof.Proof(version, "colour", *proof.reference(generator, 4), Limits(int8_db=99, float16=1e-9))
    with pytest.raises(CannotBeMade, match=r"^tflite/int8: .* limit 99.0 dB; --limit int8_db=\d+ accepts it$"):
        generator_version._check_file(proven, "int8", Options(), ImageToImage.leaves_out_integers)
    for kind, options in (("int8", Options(files=("int8",))), ("float16", Options())):
        with pytest.raises(proof.PastLimit):
            generator_version._check_file(proven, kind, options, ImageToImage.leaves_out_integers)


def test_plain_tensorflow_loads_a_version_that_describes_its_interface(version: Path, run: Path, expected) -> None:
    asset = version / "assets.extra" / "interface.json"
    assert json.loads(asset.read_text()) == json.loads((run / "interface.json").read_text())
    given = {name: tf.constant(values) for name, values in floats().items()}
    images = tf.saved_model.load(str(version)).signatures["serving_default"](**given)["images"]
    np.testing.assert_allclose(images, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"image": squares(3, 8)}, r"examples\.npz: image is \(N, 8, 8, 3\), expected \(N, 16, 16, 3\)"),
        ({"image": squares(3) / 255}, r"examples\.npz: image is float64; expected pixels, uint8"),
        ({"photo": squares(3)}, r"examples\.npz: expected examples of image, hints, found photo"),
        ({"image": squares(0)}, r"examples\.npz: expected examples of image, hints, found image"),
        (None, r"examples\.npz: cannot be read: .*; write it again with gentrain"),
    ],
)
def test_examples_that_do_not_fit_are_refused_in_one_line(arrays, message: str, run: Path, tmp_path: Path) -> None:
    for name in ("generator.keras", "interface.json"):
        (tmp_path / name).write_bytes((run / name).read_bytes())
    if arrays is None:
        (tmp_path / "examples.npz").write_bytes(b"PK\x03\x04 cut short")
    else:
        np.savez(tmp_path / "examples.npz", **arrays)
    with pytest.raises(ExportError, match=message) as raised:
        load(tmp_path)
    assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two pictures, one of them deeper, and files that are none."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "deeper").mkdir()
    (folder / "a.png").write_bytes(encoded(squares(1)[0]))
    (folder / "deeper" / "b.jpg").write_bytes(encoded(squares(1, 32, seed=1)[0], "JPEG"))
    (folder / "cut.png").write_bytes(encoded(squares(1)[0])[:60])
    (folder / "notes.txt").write_text("none")
    return folder


def test_a_model_by_other_hands_is_tried_on_the_pictures_of_a_folder(photos: Path, tmp_path: Path, genexport) -> None:
    picture = keras.Input((SIDE, SIDE, 3))
    model = keras.Model(picture, u_net([picture]))
    model.save(tmp_path / "pix2pix.h5")
    options = ["--repository", tmp_path, "--name", "facades", "--examples", photos, "--input-range", "0..1"]
    done = genexport("publish", tmp_path / "pix2pix.h5", *options, "--files", "float32,int8")
    folder = Path(done.stdout.strip())
    found = manifest.check(folder)
    assert (found["kind"], found["examples"]["count"]) == ("image-to-image", 2)
    assert any(note.startswith("2 real examples from ") for note in found["notes"])
    assert list(found["signatures"]) == ["serving_default", "png", "uint8"], "without latents there are no seeds"
    assert (found["left_out"], found["directions"]) == ({}, [])
    with ServingSession(folder) as served:
        pixels = served.run("uint8", {"image": GIVEN["image"]})
    np.testing.assert_allclose(pixels, (np.asarray(model(GIVEN["image"] / 255)) + 1) * 127.5, atol=0.51)
    assert "pipeline_tag: image-to-image" in (folder / "MODEL_CARD.md").read_text()
    assert "16×16×3 from image" in genexport("show", folder).stdout


def plain(picture):
    return u_net([picture])


def unit(images):
    return layers.Conv2D(3, 1, activation="sigmoid")(images)


def first(picture):
    """Channels first, inside and out."""
    return layers.Permute((3, 1, 2))(plain(layers.Permute((2, 3, 1))(picture)))


SIZE, ANY, FIRST = (SIDE, SIDE, 3), (None, None, 3), (3, SIDE, SIDE)
WARNING = "warning: without pictures of yours"
FOREIGN: dict[str, tuple[tuple, Callable, tuple[float, float], Choices, str]] = {
    "tanh": (SIZE, plain, (-1, 1), Choices(), WARNING),
    "SavedModel": (SIZE, plain, (-1, 1), Choices(), WARNING),
    "SavedModel of a sigmoid": (SIZE, lambda x: unit(plain(x)), (0, 1), Choices(), WARNING),
    "sigmoid": (SIZE, lambda x: unit(plain(x)), (0, 1), Choices(), WARNING),
    "bytes by a Rescaling": (SIZE, lambda x: plain(layers.Rescaling(1 / 127.5, -1)(x)), (0, 255), Choices(), WARNING),
    "bytes by option": (SIZE, plain, (0, 255), Choices(pixels=(0.0, 255.0)), WARNING),
    "of any size": (ANY, plain, (-1, 1), Choices(image_shape=SIZE), "takes pictures of any size, and gets 16×16×3"),
    "channels first": (FIRST, first, (-1, 1), Choices(), "input.1 (N, 3, 16, 16) has its channels first: put last"),
    "larger images": (SIZE, lambda x: layers.UpSampling2D(2)(plain(x)), (-1, 1), Choices(), WARNING),
}
"""Name → size of the input, the network, the input's range, what is said of it, and a note for the user."""


@pytest.mark.parametrize("name", FOREIGN)
def test_models_of_pictures_by_other_hands_are_taken_with_the_very_images(name: str, tmp_path: Path) -> None:
    size, network, (low, high), choices, note = FOREIGN[name]
    picture = keras.Input(size, name="input.1")
    model = keras.Model(picture, network(picture))
    if name.startswith("SavedModel"):
        model.export(str(tmp_path / "model"), verbose=False)
    else:
        model.save(tmp_path / "model.keras")
    generator: Generator = load(next(tmp_path.iterdir()), choices=choices)
    assert [tensor.role for tensor in generator.inputs] == ["image"]
    assert generator.task == "image-to-image"
    assert any(note in each for each in generator.notes), generator.notes
    given = (squares(5, seed=7) / np.float32(255)).astype(np.float32)
    inside = given * (high - low) + low
    images = np.asarray(model(np.moveaxis(inside, 3, 1) if size == FIRST else inside))
    images = np.moveaxis(images, 1, 3) if size == FIRST else images
    expected = images if "sigmoid" in name else (images + 1) / 2
    np.testing.assert_allclose(generator.images(given), expected, atol=2e-6)


@pytest.mark.parametrize(
    ("build", "choices", "message"),
    [
        (lambda: (None, None, 3), Choices(), r"takes pictures of any size.*--image-shape 256x256x3"),
        (lambda: (SIDE, SIDE, 3), Choices(latents=4), r"takes a picture, photo, neither latents nor a class"),
    ],
)
def test_what_is_not_plain_of_a_model_of_pictures_is_asked_for(build, choices, message: str, tmp_path: Path) -> None:
    picture = keras.Input(build(), name="photo")
    keras.Model(picture, u_net([picture])).save(tmp_path / "model.keras")
    with pytest.raises(ExportError, match=message):
        load(tmp_path / "model.keras", choices=choices)


def test_examples_are_refused_where_they_are_none(tmp_path: Path, photos: Path, tiny: Path) -> None:
    picture = keras.Input((SIDE, SIDE, 3))
    keras.Model(picture, u_net([picture])).save(tmp_path / "model.keras")
    (tmp_path / "empty").mkdir()
    for source, examples, message in (
        (tmp_path / "model.keras", tmp_path / "empty", "no PNG, JPEG, BMP or GIF in it that can be decoded"),
        (tmp_path / "model.keras", tmp_path / "nowhere", "expected a folder of pictures"),
        (tiny, photos, "this generator takes no pictures; leave --examples out"),
    ):
        with pytest.raises(ExportError, match=message):
            load(source, examples=examples)
