"""Generators by other hands: other inputs, outputs and file formats, taken where it is plain, with what is assumed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from genexport.errors import ExportError
from genexport.generator.adapt import Choices
from genexport.generator.load import Generator, load
from keras import layers

LATENTS = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
LABELS = np.array([0, 2, 1], np.int32)
ONE_HOT = np.eye(4, dtype=np.float32)[LABELS]


def drawn(x, activation: str | None = "tanh"):
    x = layers.Reshape((4, 4, 4))(layers.Dense(64)(x))
    return layers.Conv2DTranspose(3, 4, 2, padding="same", activation=activation, name="images")(x)


def joined(*tensors):
    return drawn(layers.Concatenate()(list(tensors)))


def flat(count: int, shape: tuple[int, ...] | None = None) -> keras.Model:
    parts = [keras.Input((6,)), layers.Dense(count, activation="sigmoid", kernel_initializer="normal")]
    return keras.Sequential([*parts, *([layers.Reshape(shape)] if shape else [])])


def cases() -> dict[str, tuple[keras.Model, Choices, Callable, int, str]]:
    """By name: a model, what is said of it, the same by hand with LATENTS and LABELS, its classes, and a note."""
    z = keras.Input((6,), name="z")
    found = {}

    both = keras.Input((10,), name="latent_and_class")
    one = keras.Model(both, drawn(both))
    found["latents and one-hot in one input"] = (
        one, Choices(latents=6, one_hot=4), lambda m: m(np.concatenate([LATENTS, ONE_HOT], 1)), 4,
        "latent_and_class (N, 10) is 6 latents, then a class of 4 as one-hot: its encoding was added",
    )  # fmt: skip
    label = keras.Input((1,), name="label")
    row = layers.Flatten()(layers.Embedding(4, 3)(label))
    found["float labels into an embedding"] = (
        keras.Model([z, label], joined(z, row)), Choices(),
        lambda m: m([LATENTS, LABELS[:, None].astype(np.float32)]), 4,
        "label (N, 1) takes labels as float32",
    )  # fmt: skip
    coded = keras.Input((4,), name="class_vector")
    found["one-hot as a second input, by its name"] = (
        keras.Model([z, coded], joined(z, coded)), Choices(), lambda m: m([LATENTS, ONE_HOT]), 4,
        "class_vector (N, 4) is one-hot: its encoding was added",
    )  # fmt: skip
    plain = keras.Input((4,), name="second")
    found["one-hot as the first input, by option"] = (
        keras.Model([plain, z], joined(z, plain)), Choices(one_hot=4), lambda m: m([ONE_HOT, LATENTS]), 4,
        "second (N, 4) is one-hot: its encoding was added",
    )  # fmt: skip
    content, style = keras.Input((4,), name="content"), keras.Input((1, 1, 2), name="style")
    found["several latents"] = (
        keras.Model([content, style], joined(content, layers.Flatten()(style))), Choices(),
        lambda m: m([LATENTS[:, :4], LATENTS[:, None, None, 4:]]), 0,
        "latents (N, 6) are content (4) and style (2), in this order, all drawn from N(0, 1)",
    )  # fmt: skip
    found["flat, grey"] = (
        flat(784), Choices(), lambda m: np.reshape(m(LATENTS), (3, 28, 28, 1)), 0, "is reshaped to images of 28×28×1",
    )  # fmt: skip
    found["without channels"] = (
        flat(784, (28, 28)), Choices(), lambda m: np.reshape(m(LATENTS), (3, 28, 28, 1)), 0, "of 28×28×1",
    )  # fmt: skip
    found["flat, colour"] = (
        flat(3072), Choices(), lambda m: np.reshape(m(LATENTS), (3, 32, 32, 3)), 0, "of 32×32×3",
    )  # fmt: skip
    found["flat, no square"] = (
        flat(600), Choices(image_shape=(20, 30, 1)), lambda m: np.reshape(m(LATENTS), (3, 20, 30, 1)), 0, "of 20×30×1",
    )  # fmt: skip
    found["a code beside the images"] = (
        keras.Model(z, [layers.Dense(5, name="code")(z), drawn(z)]), Choices(), lambda m: m(LATENTS)[1], 0,
        "the output images is taken",
    )  # fmt: skip
    small = layers.AveragePooling2D(2, name="small")(image := drawn(z))
    found["two sizes of images"] = (
        keras.Model(z, [small, image]), Choices(output="images"), lambda m: m(LATENTS)[1], 0,
        "the output images is taken",
    )  # fmt: skip
    found["logits"] = (
        keras.Model(z, layers.Rescaling(9.0, -9.0)(drawn(z))), Choices(activation="sigmoid"),
        lambda m: tf.sigmoid(m(LATENTS)), 0, "sigmoid was appended to its output",
    )  # fmt: skip
    found["pixels beyond their range"] = (
        keras.Model(z, layers.Rescaling(2.5)(drawn(z))), Choices(activation="clip"),
        lambda m: np.clip(m(LATENTS), -1, 1), 0, "clipped to -1..1",
    )  # fmt: skip
    return found


CASES = tuple(cases())


def same(generator: Generator, by_hand) -> None:
    low, high = generator.output_range
    expected = (np.asarray(by_hand) - low) / (high - low)
    given = (LATENTS, LABELS) if generator.class_count else (LATENTS,)
    np.testing.assert_allclose(generator.images(*given), np.clip(expected, 0, 1), atol=1e-6)


@pytest.mark.parametrize("name", CASES)
def test_what_is_plain_or_said_is_taken_and_told_with_the_very_images(name: str, tmp_path: Path) -> None:
    model, choices, by_hand, classes, note = cases()[name]
    model.save(tmp_path / "model.keras")
    generator = load(tmp_path / "model.keras", choices=choices)
    assert (generator.latent_size, generator.class_count) == (6, classes)
    assert any(note in each for each in generator.notes), generator.notes
    same(generator, by_hand(model))


def test_one_input_of_latents_and_classes_is_said_to_be_drawn_whole(tmp_path: Path) -> None:
    model, *_ = cases()["latents and one-hot in one input"]
    model.save(tmp_path / "model.keras")
    notes = load(tmp_path / "model.keras").notes
    assert (
        "all 10 numbers of its input are drawn from N(0, 1); if some are a one-hot class: --latents N --one-hot CLASSES"
        in notes
    )


@pytest.mark.parametrize("width", [8, 48, 100, 128])
def test_nothing_is_said_of_an_input_as_wide_as_latents_usually_are(width: int, tmp_path: Path) -> None:
    latents = keras.Input((width,))
    keras.Model(latents, layers.Reshape((4, 4, 3))(layers.Dense(48, activation="tanh")(latents))).save(
        tmp_path / "model.keras"
    )
    assert [note.split(" by ")[0].split(" in ")[0] for note in load(tmp_path / "model.keras").notes] == ["pixels lie"]


def test_its_own_one_hot_encoding_is_not_told_as_a_layer_replaced(tmp_path: Path) -> None:
    model, choices, *_ = cases()["latents and one-hot in one input"]
    model.save(tmp_path / "model.keras")
    notes = load(tmp_path / "model.keras", choices=choices).notes
    assert any("its encoding was added" in note for note in notes)
    assert not any(note.startswith("replaced") for note in notes)


def refused(kind: str) -> tuple[keras.Model, Choices]:
    z, picture = keras.Input((6,), name="z"), keras.Input((8, 8, 3), name="photo")
    a, b = (keras.Input((), dtype="int32", name=name) for name in ("breed", "colour"))
    rows = layers.Embedding(3, 2)
    if kind == "a mask":
        return keras.Model([z, picture], layers.Multiply()([drawn(z), picture])), Choices()
    if kind == "two labels":
        return keras.Model([z, a, b], joined(z, rows(a), rows(b))), Choices()
    if kind == "several images":
        return keras.Model(z, [image := drawn(z), layers.Rescaling(0.5)(image)]), Choices()
    if kind == "no such output":
        return keras.Model(z, drawn(z)), Choices(output="pictures")
    if kind == "numbers that do not add up":
        return keras.Model(z, drawn(z)), Choices(latents=3, one_hot=4)
    if kind == "no input so wide":
        return keras.Model([z, keras.Input((4,), name="w")], drawn(z)), Choices(one_hot=5)
    if kind == "fewer latents":
        return keras.Model(z, drawn(z)), Choices(latents=4)
    if kind == "flat, no square":
        return flat(600), Choices()
    if kind == "another shape":
        return flat(784), Choices(image_shape=(28, 28, 3))
    if kind == "logits":
        return keras.Model(z, layers.Rescaling(9.0, -9.0)(drawn(z))), Choices()
    if kind == "linear":
        return keras.Model(z, layers.Rescaling(2.5)(drawn(z))), Choices()
    raise ValueError(kind)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("a mask", r"a picture as an input, photo"),
        ("two labels", r"found z float32 \(N, 6\), breed int32 \(N\), colour int32 \(N\) \(two labels"),
        ("several images", r"several outputs, images \(N, 8, 8, 3\).*; --output NAME says which has the images"),
        ("no such output", r"--output pictures: the model has images \(N, 8, 8, 3\)"),
        ("numbers that do not add up", r"3 latents and 4 one-hot classes are 7 numbers; z takes 6"),
        ("no input so wide", r"--one-hot 5: no input is so wide; found z \(N, 6\), w \(N, 4\)"),
        ("fewer latents", r"--latents 4: the model takes 6; if the rest is a one-hot class: --one-hot CLASSES"),
        ("flat, no square", r"found \(N, 600\) \(--image-shape HxWxC reshapes flat images\)"),
        ("another shape", r"\(N, 784\) cannot be images of 28×28×3 \(--image-shape\)"),
        ("logits", r"if these are logits: --output-activation sigmoid"),
        ("linear", r"--output-activation tanh if the network was trained with one behind it, clip clips"),
    ],
)
def test_what_is_not_plain_is_refused_with_a_true_hint(kind: str, message: str, tmp_path: Path) -> None:
    model, choices = refused(kind)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ExportError, match=message) as raised:
        load(tmp_path / "model.keras", choices=choices)
    assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def keras2():
    """A generator of Keras 2, with what Keras 3 has no name for in `odd`."""
    import tf_keras

    old, z = tf_keras.layers, tf_keras.Input((6,), name="noise")
    x = old.Reshape((4, 4, 4))(old.LeakyReLU()(old.BatchNormalization()(old.Dense(64)(z))))
    plain = tf_keras.Model(z, old.Conv2DTranspose(3, 4, 2, padding="same", activation="tanh")(x))
    return plain, tf_keras.Model(z, tf.tanh(plain(z) * 2.0))


@pytest.mark.parametrize("name", ["model.h5", "model.hdf5", "model.keras", "folder", "odd.h5", "odd.keras"])
def test_files_of_keras_2_give_the_images_of_keras_2(name: str, keras2, tmp_path: Path) -> None:
    model = keras2[name.startswith("odd")]
    model.save(tmp_path / name, **({"save_format": "h5"} if name.endswith("hdf5") else {}))
    generator = load(tmp_path / name)
    same(generator, model(LATENTS))
    if not name.startswith("odd") and name != "folder":
        assert len(generator.model.weights) == len(model.weights)  # its own layers, not a frozen graph


def test_hdf5_files_of_keras_3_are_taken(tmp_path: Path) -> None:
    z = keras.Input((6,))
    model = keras.Model(z, drawn(z))
    model.save(tmp_path / "model.h5")
    same(load(tmp_path / "model.h5"), model(LATENTS))


def tensorflow_1(folder: Path) -> np.ndarray:
    """Saves a generator of TensorFlow 1 and gives its images of LATENTS."""
    v1 = tf.compat.v1
    with tf.Graph().as_default() as graph, v1.Session(graph=graph) as session:
        z = v1.placeholder(tf.float32, (None, 6), "z")
        weights = v1.get_variable("weights", (6, 192), use_resource=False)
        images = tf.tanh(tf.reshape(tf.matmul(z, weights), (-1, 8, 8, 3)))
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(folder), {"z": z}, {"images": images})
        return np.asarray(session.run(images, {z: LATENTS}))


@pytest.mark.parametrize("by", ["keras 3", "tensorflow 1"])
def test_saved_models_are_published_as_they_are(by: str, tmp_path: Path, genexport) -> None:
    folder = tmp_path / "exported"
    if by == "tensorflow 1":
        expected = tensorflow_1(folder)
    else:
        model = keras.Model(z := keras.Input((6,)), drawn(z))
        model.export(str(folder), verbose=False)
        expected = np.asarray(model(LATENTS))
    arguments = ("--repository", tmp_path / "models", "--name", "mine", "--files", "float32,dynamic")
    assert genexport("publish", folder, *arguments).exit_code == 0
    version = tmp_path / "models" / "mine" / "1"
    served = tf.saved_model.load(str(version)).signatures["serving_default"](latents=tf.constant(LATENTS))
    np.testing.assert_allclose(served["images"], (expected + 1) / 2, atol=1e-6)
    assert {file.name for file in (version / "tflite").iterdir()} == {"mine-float32.tflite", "mine-dynamic.tflite"}


def two_of_each(z, label):
    """Inputs and outputs whose names stand in another order than they do, and outputs of one shape."""
    bright = tf.reshape(tf.cast(label, tf.float32), (-1, 1, 1, 1)) * 0.2
    images = tf.tanh(tf.reshape(tf.tile(z, (1, 32)), (-1, 8, 8, 3))) * 0.4 + bright
    return {"zoomed": -images, "images": images}


@pytest.mark.parametrize("by", ["tensorflow 2", "tensorflow 1"])
def test_inputs_and_outputs_of_a_saved_model_are_told_apart_by_their_names(by: str, tmp_path: Path) -> None:
    shapes = {"z": ((None, 6), tf.float32), "a_label": ((None,), tf.int32)}
    if by == "tensorflow 1":
        with tf.Graph().as_default(), tf.compat.v1.Session() as session:
            inputs = {name: tf.compat.v1.placeholder(kind, shape, name) for name, (shape, kind) in shapes.items()}
            tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "two"), inputs, two_of_each(*inputs.values()))
    else:
        module, specs = tf.Module(), [tf.TensorSpec(shape, kind, name) for name, (shape, kind) in shapes.items()]
        module.f = tf.function(lambda z, a_label: two_of_each(z, a_label), input_signature=specs)
        tf.saved_model.save(module, str(tmp_path / "two"), signatures=module.f)
    for output in ("images", "zoomed"):
        generator = load(tmp_path / "two", "-1..1", choices=Choices(output=output))
        assert generator.class_count
        same(generator, two_of_each(LATENTS, LABELS)[output])


def test_every_option_for_generators_by_other_hands_has_its_effect(tmp_path: Path, genexport) -> None:
    z = keras.Input((10,))
    logits = layers.Dense(192, name="logits")(z)
    model = keras.Model(z, [layers.Dense(3, name="code")(z), logits])
    model.save(tmp_path / "cgan.keras")
    options = ("--latents", 6, "--one-hot", 4, "--output", "logits", "--image-shape", "8x8x3")
    done = genexport(
        "publish", tmp_path / "cgan.keras", "--repository", tmp_path, "--name", "cgan", *options,
        "--output-activation", "sigmoid", "--files", "float32", "--licence", "mit",
    )  # fmt: skip
    assert done.exit_code == 0
    assert "license: mit" in (tmp_path / "cgan" / "1" / "MODEL_CARD.md").read_text()
    signature = tf.saved_model.load(str(tmp_path / "cgan" / "1")).signatures["serving_default"]
    images = signature(latents=tf.constant(LATENTS), labels=tf.constant(LABELS))["images"]
    _, expected = model(np.concatenate([LATENTS, ONE_HOT], 1))
    np.testing.assert_allclose(images, tf.reshape(tf.sigmoid(expected), (3, 8, 8, 3)), atol=1e-6)


def cut(file: Path) -> bytes:
    z = keras.Input((6,))
    keras.Model(z, drawn(z)).save(file)
    return file.read_bytes()[: file.stat().st_size // 2]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("cut.keras", cut, "an archive that is cut short or damaged: save or copy it again"),
        ("cut.h5", cut, "an archive that is cut short or damaged: save or copy it again"),
        (
            "model.safetensors",
            (9).to_bytes(8, "little") + b'{"a": {}}',
            "weights as safetensors, without their network",
        ),
        ("model.pth", b"\x80\x02}q\x00.", "a pickle, perhaps of PyTorch or StyleGAN"),
        ("model.tflite", b"\x1c\0\0\0TFL3" + bytes(40), "a TFLite file, which is what genexport makes"),
        ("model.onnx", b"\x08\x08\x12\x07pytorch", "an ONNX file, which is what genexport makes"),
        ("model.index", b"abc", "a checkpoint of TensorFlow, weights without their network"),
        ("frozen.pb", b"\x0a\x1f", "a graph without the folder of its SavedModel"),
        ("empty.keras", b"", "an empty file"),
    ],
)
def test_other_files_are_told_in_one_line_what_they_are_and_what_to_do(name, content, message, tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_bytes(content(file) if callable(content) else content)
    with pytest.raises(ExportError, match=message) as raised:
        load(file)
    assert "\n" not in str(raised.value)
    assert "run written a checkpoint" not in str(raised.value)


def test_weights_alone_and_pytorch_archives_are_told_apart(tmp_path: Path) -> None:
    import zipfile

    z = keras.Input((6,))
    keras.Model(z, drawn(z)).save_weights(tmp_path / "model.weights.h5")
    with zipfile.ZipFile(tmp_path / "model.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02")
    with pytest.raises(ExportError, match="weights without their network: build the model in Python"):
        load(tmp_path / "model.weights.h5")
    with pytest.raises(ExportError, match="weights of PyTorch, which Keras cannot read"):
        load(tmp_path / "model.pth")


def test_a_saved_model_without_a_signature_says_which_there_are(tmp_path: Path) -> None:
    module = tf.Module()
    module.f = tf.function(lambda x: x, input_signature=[tf.TensorSpec((None, 6))])
    tf.saved_model.save(module, str(tmp_path / "bare"), signatures={"a": module.f, "b": module.f})
    with pytest.raises(ExportError, match="needs the signature serving_default; found a, b"):
        load(tmp_path / "bare")
    (tmp_path / "bare" / "saved_model.pb").write_bytes(os.urandom(100))
    with pytest.raises(ExportError, match="a SavedModel that cannot be loaded"):
        load(tmp_path / "bare")
