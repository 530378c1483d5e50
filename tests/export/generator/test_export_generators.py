"""Generators from elsewhere: what genexport takes as they are, what it rebuilds, what it refuses, naming the reason."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from foreign_generators import LABELS, LATENTS, drawn, in_unit_range, kernel, save, sigmoid_generator
from genexport.errors import ExportError
from genexport.generator.load import Generator, load
from genexport.generator.output_range import find as find_range
from keras import layers


def test_a_sequential_sigmoid_generator_is_taken_with_its_own_range(tmp_path: Path) -> None:
    generator = load(save(sigmoid_generator(), tmp_path))
    assert (generator.output_range, generator.image_shape, generator.latent_size) == ((0.0, 1.0), (8, 8, 3), 6)
    assert not generator.class_count
    assert "taken as 0..1" in generator.notes[0]
    assert "ambiguous" not in generator.notes[0]
    np.testing.assert_allclose(generator.images(LATENTS), generator.model(LATENTS), atol=1e-6)


def test_a_generator_in_bytes_is_scaled_down(tmp_path: Path) -> None:
    inner = sigmoid_generator()
    model = keras.Model(inner.inputs, layers.Rescaling(255.0)(inner.outputs[0]))
    generator = load(save(model, tmp_path))
    assert generator.output_range == (0.0, 255.0)
    np.testing.assert_allclose(generator.images(LATENTS), inner(LATENTS), atol=1e-6)
    a_little_above = np.array([0.0, 128.0, 255.01])
    assert find_range(tmp_path, model, a_little_above, "auto")[0] == (0.0, 255.0), "rounding is larger at 255"


def rescaled(scale: float, offset: float) -> keras.Model:
    inner = sigmoid_generator()
    return keras.Model(inner.inputs, layers.Rescaling(scale, offset=offset)(inner.outputs[0]))


def test_output_range_that_does_not_hold_is_refused(tmp_path: Path) -> None:
    file = save(rescaled(3.0, -1.5), tmp_path)
    with pytest.raises(ExportError, match=r"pixels lie in \[-1\.\d+, 1\.\d+\], in none of -1\.\.1, 0\.\.1, 0\.\.255"):
        load(file)
    with pytest.raises(ExportError, match=r"not within --output-range 0\.\.1"):
        load(file, "0..1")


def test_pixels_a_little_outside_the_range_that_was_asked_for_are_cut_and_counted(tmp_path: Path) -> None:
    file = save(rescaled(2.02, -1.01), tmp_path)
    with pytest.raises(ExportError, match=r"--output-range -1\.\.1 clips the few values outside"):
        load(file)
    generator = load(file, "-1..1")
    assert "% of the values lie outside and are clipped" in generator.notes[0]
    images = np.asarray(generator.images(LATENTS))
    assert (images.min(), images.max()) == (0.0, 1.0)


def test_a_range_that_could_be_another_is_said_to_be_ambiguous(tmp_path: Path) -> None:
    generator = load(save(rescaled(0.5, 0.2), tmp_path))
    assert generator.output_range == (0.0, 1.0)
    assert "ambiguous, could also be -1..1 and 0..255: set --output-range" in generator.notes[0]
    dark = load(save(rescaled(0.35, -0.01), tmp_path))
    assert dark.output_range == (-1.0, 1.0), "below zero is only -1..1"
    assert "ambiguous" not in dark.notes[0]


def test_a_last_activation_settles_the_range_of_images_that_are_all_bright(tmp_path: Path) -> None:
    for activation, span in (("tanh", (-1.0, 1.0)), ("sigmoid", (0.0, 1.0))):
        inner = rescaled(0.5, 0.2)
        images = layers.Activation(activation)(inner.outputs[0])
        bright = keras.Model(inner.inputs, layers.Reshape(images.shape[1:])(images))
        generator = load(save(bright, tmp_path))
        assert generator.output_range == span
        assert "ambiguous" not in generator.notes[0]


def one_of_many_shapes(kind: str) -> tuple[keras.Model, Callable]:
    """A model, and how it is called by hand with LATENTS and LABELS."""
    z, label = keras.Input((6,), name="noise"), keras.Input((), dtype="int64", name="digit")
    bright = layers.Embedding(2, 4, embeddings_initializer=kernel(3))
    if kind == "latents (N, 1, 1, Z)":
        z = keras.Input((1, 1, 6))
        x = layers.Conv2DTranspose(3, 4, kernel_initializer=kernel(), activation="tanh")(z)
        return keras.Model(z, x), lambda model: model(LATENTS[:, None, None])
    if kind == "labels first":
        model = keras.Model([label, z], drawn(layers.Concatenate()([z, bright(label)])))
        return model, lambda model: model([LABELS, LATENTS])
    if kind == "labels (N, 1)":
        label = keras.Input((1,), dtype="int32")
        x = layers.Concatenate()([z, layers.Flatten()(bright(label))])
        return keras.Model([z, label], drawn(x)), lambda model: model([LATENTS, LABELS[:, None]])
    if kind == "inputs and output in dicts":
        image = drawn(layers.Concatenate()([z, bright(label)]))
        model = keras.Model({"z": z, "y": label}, {"image": image})
        return model, lambda model: model({"z": LATENTS, "y": LABELS})["image"]
    if kind == "not square, with alpha":
        return keras.Model(z, drawn(z, 4, side=(2, 5))), lambda model: model(LATENTS)
    if kind == "a batch of two":
        model = keras.Sequential([layers.Dense(48), layers.Reshape((4, 4, 3)), layers.Activation("tanh")])
        model(LATENTS[:2])
        return model, lambda model: model(LATENTS)
    if kind == "channels first at the end":
        z = keras.Input((6,))
        return keras.Model(z, layers.Permute((3, 1, 2))(drawn(z))), lambda model: np.moveaxis(model(LATENTS), 1, 3)
    raise ValueError(kind)


@pytest.mark.parametrize(
    "kind",
    [
        "latents (N, 1, 1, Z)",
        "labels first",
        "labels (N, 1)",
        "inputs and output in dicts",
        "not square, with alpha",
        "a batch of two",
        "channels first at the end",
    ],
)
def test_inputs_and_outputs_of_many_forms_are_taken(kind: str, tmp_path: Path) -> None:
    model, by_hand = one_of_many_shapes(kind)
    generator = load(save(model, tmp_path))
    labels = (LABELS,) if "labels" in kind or "dicts" in kind else ()
    assert generator.latent_size == 6
    assert generator.class_count == (2 if labels else 0)
    assert generator.image_shape == tuple(by_hand(model).shape[1:])
    told = "inputs identified by type and shape: noise is latents, digit is labels"
    assert (told in generator.notes) == (kind in ("labels first", "inputs and output in dicts"))
    np.testing.assert_allclose(generator.images(LATENTS, *labels), in_unit_range(by_hand(model)), atol=1e-6)


def refused(kind: str) -> keras.Model:
    z = keras.Input((6,))
    if kind == "vectors out":
        return keras.Model(z, layers.Dense(5)(z))
    if kind == "two channels":
        return keras.Model(z, drawn(z, 2))
    if kind == "two outputs":
        return keras.Model(z, [drawn(z), drawn(z)])
    if kind == "noise maps":
        return keras.Model([z, noise := keras.Input((8, 8, 3), name="noise_map")], layers.Add()([drawn(z), noise]))
    if kind == "not finite":
        return keras.Model(z, layers.Rescaling(float("inf"))(drawn(z)))
    if kind == "channels first":
        x = layers.Reshape((3, 8, 8))(layers.Dense(192)(z))
        x = layers.UpSampling2D(data_format="channels_first", name="grow")(x)
        return keras.Model(z, layers.Permute((2, 3, 1))(x))
    raise ValueError(kind)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("vectors out", r"expected one output of images.*found \(N, 5\)"),
        ("two channels", r"expected one output of images.*found \(N, 8, 8, 2\)"),
        ("two outputs", r"several outputs, .*\(N, 8, 8, 3\).*--output NAME"),
        ("noise maps", r"noise as an input: make it part of the model"),
        ("not finite", r"generates values that are not finite"),
        ("channels first", r'layer grow \(UpSampling2D\) has data_format="channels_first".*"channels_last"'),
    ],
)
def test_a_model_that_is_no_generator_is_told_what_was_expected(kind: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=message):
        load(save(refused(kind), tmp_path))


def test_files_that_are_no_models_are_told_in_one_line(tmp_path: Path, genexport) -> None:
    (tmp_path / "text.keras").write_text("no model")
    (tmp_path / "run").mkdir()
    with zipfile.ZipFile(tmp_path / "zip.keras", "w") as archive:
        archive.writestr("config.json", "{")
    for source, message in (
        ("text.keras", "not a .keras file"),
        ("zip.keras", "cannot be loaded"),
        ("run", "no generator.keras in it"),
        ("nothing", "no such file"),
    ):
        with pytest.raises(ExportError, match=message) as raised:
            load(tmp_path / source)
        assert "\n" not in str(raised.value)
    with pytest.raises(ExportError, match=r"no generator\.keras in it"):
        genexport("publish", tmp_path / "run", "--repository", tmp_path / "models", "--name", "x")
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize("policy", ["mixed_float16", "float16", "mixed_bfloat16", "bfloat16"])
def test_other_precisions_are_rebuilt_in_float32_with_the_same_weights(policy: str, tmp_path: Path) -> None:
    keras.config.set_dtype_policy(policy)
    try:
        z = keras.Input((6,), dtype="float32" if "mixed" in policy else policy)
        block = keras.Sequential([keras.Input((8, 8, 3)), layers.UpSampling2D(), layers.Conv2D(3, 3, padding="same")])
        x = block(layers.BatchNormalization()(drawn(z)))
        model = keras.Model(z, layers.Activation("tanh")(keras.ops.cast(x, policy.removeprefix("mixed_"))))
    finally:
        keras.config.set_dtype_policy("float32")
    file = save(model, tmp_path)
    generator = load(file)
    assert f"rebuilt in float32 from {policy}" in generator.notes
    assert {weight.dtype for weight in generator.model.weights} == {"float32"}
    assert generator.images(LATENTS).dtype == tf.float32
    for mine, theirs in zip(generator.model.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(mine, np.asarray(theirs, np.float32))
    np.testing.assert_allclose(generator.images(LATENTS), in_unit_range(model(LATENTS)), atol=0.1)


def upsampling_generator() -> keras.Model:
    """Nearest up-samplings at the top, in a Sequential and in a functional sub-model in that; one is not square."""
    inner_in = keras.Input((8, 4, 3))
    inner = keras.Model(inner_in, layers.Conv2D(3, 3, padding="same")(layers.UpSampling2D((1, 3))(inner_in)))
    z = keras.Input((6,))
    x = layers.UpSampling2D()(layers.Reshape((4, 2, 3))(layers.Dense(24, kernel_initializer=kernel())(z)))
    x = keras.Sequential([keras.Input((8, 4, 3)), inner, layers.UpSampling2D(interpolation="nearest")])(x)
    x = layers.UpSampling2D(interpolation="bilinear")(x)
    return keras.Model(z, layers.Activation("tanh")(x))


def test_nearest_up_samplings_are_replaced_wherever_they_are_and_pixels_stay(tmp_path: Path) -> None:
    model = upsampling_generator()
    generator = load(save(model, tmp_path))
    assert "replaced, so that it converts: 3 × UpSampling2D by a resize op, the same pixels" in generator.notes
    np.testing.assert_allclose(generator.images(LATENTS), in_unit_range(model(LATENTS)), atol=1e-6)
    free = tf.function(generator.images, input_signature=[tf.TensorSpec((None, 6))])
    np.testing.assert_allclose(free(LATENTS), in_unit_range(model(LATENTS)), atol=1e-6)
    kinds = [op.type for op in free.get_concrete_function().graph.get_operations()]
    assert kinds.count("ResizeNearestNeighbor") == 3


def test_labels_without_a_table_of_classes_are_said_to_be_unknown(tmp_path: Path) -> None:
    z, label = keras.Input((6,)), keras.Input((), dtype="int32")
    shift = layers.Reshape((1, 1, 1))(keras.ops.cast(label, "float32"))
    generator = load(save(keras.Model([z, label], layers.Add()([drawn(z), shift])), tmp_path))
    assert generator.class_count == 1
    assert any("does not say how many classes it has" in note for note in generator.notes)


def test_classes_are_counted_by_a_one_hot_encoding_too(tmp_path: Path) -> None:
    def count(model: keras.Model) -> Generator:
        return load(save(model, tmp_path)).class_count

    z, label = keras.Input((6,)), keras.Input((), dtype="int32")
    by_op = keras.ops.one_hot(label, 7)
    assert count(keras.Model([z, label], drawn(layers.Concatenate()([z, by_op])))) == 7
    by_layer = layers.CategoryEncoding(5)(layers.Reshape((1,))(label))
    assert count(keras.Model([z, label], drawn(layers.Concatenate()([z, by_layer])))) == 5


def test_as_many_rows_as_an_image_has_are_rows_still(tmp_path: Path) -> None:
    """Keras' Add of (8, 8, 8, 3) and (8, 1, 1, 1) adds along the height."""
    z, label = keras.Input((6,)), keras.Input((), dtype="int32")
    levels = keras.initializers.Constant([[-0.5], [0.5]])
    light = layers.Reshape((1, 1, 1))(layers.Embedding(2, 1, embeddings_initializer=levels)(label))
    generator = load(save(keras.Model([z, label], layers.Add()([layers.Rescaling(0.1)(drawn(z)), light])), tmp_path))
    latents, labels = generator.examples(8).values()
    made = generator.many({"latents": latents, "labels": labels})
    assert (made.mean(axis=(1, 2, 3)) > 0.5).tolist() == [label == 1 for label in [0, 1] * 4]
    assert np.ptp(made[0].mean(axis=(1, 2))) < 0.2
