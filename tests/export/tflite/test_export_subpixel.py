"""Transposed and last convolutions in the form that devices run fastest: the same images, the same names of layers."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from genexport.generator.load import Generator, load
from genexport.kinds.generator import worst_layer
from genexport.tflite import convert, phases, subpixel
from keras import layers

SIZE = 6


def kernel(seed: int = 1, stddev: float = 0.3) -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=stddev, seed=seed)


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def up(filters: int, size: int = 4, name: str | None = None, **options: object) -> layers.Layer:
    return layers.Conv2DTranspose(filters, size, 2, padding="same", name=name, kernel_initializer=kernel(), **options)


def norm(name: str | None = None, channels: int = 8, **options: bool) -> layers.Layer:
    """A BatchNorm that has seen something: its variables are no zeros and ones."""
    layer = layers.BatchNormalization(name=name, **options)
    layer.build((None, None, None, channels))
    rng = np.random.default_rng(3)
    layer.set_weights([rng.uniform(0.5, 2, weight.shape).astype(np.float32) for weight in layer.weights])
    return layer


def start(latents: keras.KerasTensor, channels: int = 8) -> keras.KerasTensor:
    x = layers.Dense(16 * channels, kernel_initializer=kernel(5, 1.0))(latents)
    return layers.Reshape((4, 4, channels))(x)


def usual() -> keras.Model:
    """A norm and a ReLU in each of the ways that people write, and a last convolution."""
    latents = keras.Input((SIZE,))
    x = layers.ReLU()(norm("norm_1")(up(8, name="up_1", use_bias=False)(start(latents))))
    x = layers.Activation("relu")(norm("norm_2")(layers.Dropout(0.3)(up(8, 5, name="up_2")(x))))
    return keras.Model(latents, layers.Conv2D(3, 3, padding="same", name="last", activation="tanh")(x))


def loaded(model: keras.Model, folder: Path, imports: tuple[str, ...] = ()) -> Generator:
    model.save(folder / "model.keras")
    return load(folder / "model.keras", "-1..1", imports=imports)


def ops(generator: Generator) -> list[str]:
    """The kinds of TensorFlow ops of one image, as it is computed at the moment."""
    latents = tf.TensorSpec((1, generator.latent_size))
    return [op.type for op in tf.function(generator.images).get_concrete_function(latents).graph.get_operations()]


def difference(generator: Generator, variant: str) -> float:
    """The greatest change of a pixel in the images of 16 seeds."""
    inputs = generator.examples(16)
    before = np.asarray(generator.images(*inputs.values()))
    assert before.std() > 0.05
    with subpixel.faster(generator, variant):
        return float(np.abs(np.asarray(generator.images(*inputs.values())) - before).max())


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    ("size", "stride"), [(4, 2), (5, 2), (3, 2), (2, 2), (6, 2), (7, 2), (3, 3), (6, 3), (5, 4), (9, 4), ((3, 4), 2)]
)
def test_a_transposed_convolution_is_a_convolution_and_a_shuffle(
    size: int | tuple[int, int], stride: int, padding: str
) -> None:
    for activation, bias in (("linear", True), ("relu", False), ("softmax", True)):
        layer = layers.Conv2DTranspose(
            3, size, stride, padding=padding, use_bias=bias, activation=activation, bias_initializer=kernel(2)
        )
        x = random(2, 5, 7, 4)
        expected = layer(x)
        made = phases.Transposed(layer, None, None)(tf.constant(x), layer.call)
        assert made.shape == expected.shape
        np.testing.assert_allclose(made, expected, atol=2e-6)


@pytest.mark.parametrize(("size", "smallest"), [(2, (1, 0)), (3, (2, 0)), (4, (2, 1)), (5, (3, 0)), (6, (3, 0))])
def test_the_convolution_has_the_smallest_kernel_that_does_it(size: int, smallest: tuple[int, int]) -> None:
    axis = phases.transposed_axis(size, 2, same=True)
    assert (axis.size, axis.crop) == smallest


@pytest.mark.parametrize("size", [1, 3, 5, 7])
def test_a_convolution_is_one_on_blocks_of_pixels(size: int) -> None:
    for bias in (True, False):
        layer = layers.Conv2D(3, size, padding="same", use_bias=bias, activation="tanh", bias_initializer=kernel(2))
        x = random(2, 6, 8, 4)
        np.testing.assert_allclose(layer(x), phases.Head(layer)(tf.constant(x), lambda _: None), atol=2e-6)
        assert phases.Head(layer)(tf.constant(random(2, 5, 8, 4)), lambda _: "itself") == "itself", "odd sides"


@pytest.mark.parametrize("variant", convert.VARIANTS)
def test_norms_and_relus_are_folded_in_and_the_images_stay(variant: str, tmp_path: Path) -> None:
    generator = loaded(usual(), tmp_path)
    assert difference(generator, variant) < 1e-5
    with subpixel.faster(generator, variant) as rewritten:
        found = ops(generator)
    assert rewritten == ["up_1", "up_2", *(["last"] if variant in ("dynamic", "int8") else [])]
    assert not {"Conv2DBackpropInput", "Rsqrt", "FusedBatchNormV3", "Mul"} & set(found)
    assert (found.count("Conv2D"), found.count("Relu")) == (3, 2)
    assert found.index("Relu") < found.index("DepthToSpace"), "on the convolution, where TFLite fuses it"


def test_the_generator_itself_stays_as_it_was(files) -> None:
    generator, fresh = files[0], load(files[0].path, "0..1")
    inputs = generator.examples(4)
    before, kinds = np.asarray(fresh.images(*inputs.values())), ops(fresh)
    with pytest.raises(RuntimeError, match="inside"), subpixel.faster(generator, "int8"):
        raise RuntimeError("inside")
    assert np.array_equal(generator.images(*inputs.values()), before)
    assert ops(generator) == kinds
    assert kinds.count("Conv2DBackpropInput") == 2


def sequential() -> keras.Model:
    parts = [keras.Input((SIZE,)), layers.Dense(64, kernel_initializer=kernel(5, 1.0)), layers.Reshape((4, 4, 4))]
    return keras.Sequential([*parts, up(8), norm(scale=False), layers.ReLU(), up(1, activation="tanh")])


def nested() -> keras.Model:
    """The transposed convolution in one model, its norm in the next."""
    latents = keras.Input((SIZE,))
    x = keras.Sequential([keras.Input((4, 4, 8)), up(8)])(start(latents))
    x = keras.Sequential([keras.Input((8, 8, 8)), norm(center=False), layers.ReLU(max_value=6.0), up(3)])(x)
    return keras.Model(latents, keras.ops.tanh(x))


@pytest.mark.parametrize("model", [sequential, nested])
def test_models_in_models_are_followed_too(model, tmp_path: Path) -> None:
    generator = loaded(model(), tmp_path)
    assert difference(generator, "float32") < 1e-5
    with subpixel.faster(generator, "float32") as rewritten:
        assert len(rewritten) == 2
        assert not {"Conv2DBackpropInput", "Rsqrt"} & set(ops(generator))


SUBCLASSES = """
import keras
from keras import layers

class Plain(keras.Model):
    residual = False

    def __init__(self, **options):
        super().__init__(**options)
        self.dense, self.shape_up = layers.Dense(128), layers.Reshape((4, 4, 8))
        self.up, self.norm = layers.Conv2DTranspose(8, 4, 2, padding="same"), layers.BatchNormalization()
        self.relu, self.last = layers.ReLU(), layers.Conv2DTranspose(3, 4, 2, padding="same")

    def call(self, z):
        x = self.up(self.shape_up(self.dense(z)))
        y = self.relu(self.norm(x))
        return keras.ops.tanh(self.last(y + x if self.residual else y))

class Residual(Plain):
    residual = True
"""


@pytest.mark.parametrize(("name", "folded"), [("Plain", True), ("Residual", False)])
def test_a_subclass_is_followed_where_that_is_safe(name: str, folded: bool, tmp_path: Path) -> None:
    (tmp_path / f"subpixel_{name.lower()}.py").write_text(SUBCLASSES)
    space: dict[str, type] = {"__name__": f"subpixel_{name.lower()}"}
    exec(SUBCLASSES, space)
    model = space[name]()
    model(random(1, SIZE))
    model.set_weights([random(*weight.shape, seed=i) ** 2 * 0.3 + 0.1 for i, weight in enumerate(model.weights)])
    generator = loaded(model, tmp_path, (str(tmp_path / f"subpixel_{name.lower()}.py"),))
    with subpixel.faster(generator, "dynamic") as rewritten:
        found = ops(generator)
    assert len(rewritten) == 2
    assert "Conv2DBackpropInput" not in found
    assert ("Rsqrt" not in found) is folded
    inputs = generator.examples(8)
    before = np.asarray(generator.images(*inputs.values()))
    with subpixel.faster(generator, "dynamic"):
        np.testing.assert_allclose(generator.images(*inputs.values()), before, atol=1e-5)


def residual() -> keras.Model:
    latents = keras.Input((SIZE,))
    x = layers.ReLU()(norm("folded")(up(8, name="before")(start(latents))))
    x = up(8, name="up")(x)
    x = layers.Add()([x, norm("norm")(x)])
    return keras.Model(latents, layers.Conv2D(1, 1, activation="tanh")(x))


def shared() -> keras.Model:
    """One layer, called twice, with one norm behind both of its results."""
    latents = keras.Input((SIZE,))
    grow, even = up(8, name="up"), norm("norm")
    x = even(grow(even(grow(start(latents)))))
    return keras.Model(latents, layers.Conv2D(1, 1, activation="tanh")(x))


@pytest.mark.parametrize("model", [residual, shared])
def test_a_norm_whose_layer_has_other_users_stays_where_it_is(model, tmp_path: Path) -> None:
    generator = loaded(model(), tmp_path)
    assert difference(generator, "int8") < 1e-5
    with subpixel.faster(generator, "int8") as rewritten:
        assert rewritten[-1] == "up"
        assert ops(generator).count("Rsqrt") == (2 if model is shared else 1), "of that norm alone"


def test_forms_that_do_not_pay_are_left_alone(tmp_path: Path) -> None:
    latents = keras.Input((SIZE,))
    x = layers.Conv2DTranspose(8, 4, kernel_initializer=kernel(), name="first")(layers.Reshape((1, 1, SIZE))(latents))
    x = layers.Conv2DTranspose(8, 3, (2, 1), padding="same", name="tall")(x)
    x = layers.Conv2DTranspose(8, 5, 4, padding="same", name="wide_steps")(x)
    x = layers.Conv2DTranspose(4, 3, 2, padding="same", output_padding=1, name="padded")(x)
    generator = loaded(keras.Model(latents, layers.Activation("tanh", name="images")(x)), tmp_path)
    for variant, expected in (("float32", []), ("dynamic", ["wide_steps"])):
        with subpixel.faster(generator, variant) as rewritten:
            assert rewritten == expected


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Generator, dict[str, Path]]:
    """Ends in a transposed convolution without an activation, so that its ranges are those of the pixels."""
    folder = tmp_path_factory.mktemp("subpixel")
    latents = keras.Input((SIZE,))
    x = layers.ReLU()(norm()(up(8, name="up_1")(start(latents))))
    x = layers.Conv2D(4, 3, padding="same", name="narrow", kernel_initializer=kernel(7))(x)
    model = keras.Model(latents, up(1, 5, name="up_2")(x))
    kernel_of_last, bias = model.get_layer("up_2").get_weights()
    model.get_layer("up_2").set_weights([0.01 * kernel_of_last, bias + 0.5])
    model.save(folder / "model.keras")
    generator = load(folder / "model.keras", "0..1")
    for variant, content in convert.convert(generator, "x").items():
        (folder / f"{variant}.tflite").write_bytes(content)
    return generator, {variant: folder / f"{variant}.tflite" for variant in convert.VARIANTS}


def test_no_file_has_a_transposed_convolution_and_every_file_gives_the_images_of_keras(files) -> None:
    generator, made = files
    inputs = generator.examples(32)
    expected = np.asarray(generator.images(*inputs.values()))
    assert expected.std() > 0.05
    limits = {"float32": 110, "float16": 60, "dynamic": 40, "int8": 38, "micro": 38}
    for variant, file in made.items():
        kinds = [op["op_name"] for op in Interpreter(str(file))._get_ops_details()]
        assert "TRANSPOSE_CONV" not in kinds
        assert kinds.count("DEPTH_TO_SPACE") == (3 if variant in ("dynamic", "int8") else 2)
        assert kinds.count("SPACE_TO_DEPTH") == (1 if variant in ("dynamic", "int8") else 0), "the narrow one"
        error = convert.run(file, inputs) - expected
        assert -10 * np.log10(np.mean(error**2)) > limits[variant], variant


def test_bytes_stay_pixels_behind_a_shuffle(files) -> None:
    for variant, zero in (("int8", 0), ("micro", -128)):
        details = Interpreter(str(files[1][variant])).get_output_details()[0]
        assert details["quantization"] == (pytest.approx(1 / 255, rel=1e-6), zero)


@pytest.mark.parametrize("variant", ["dynamic", "int8", "micro"])
def test_the_layer_that_loses_most_has_its_own_name(variant: str, tmp_path: Path) -> None:
    model = usual()
    spoiled, bias = model.get_layer("up_2").get_weights()
    spoiled[..., 0] *= 300.0  # one input channel needs steps that swallow all others
    model.get_layer("up_2").set_weights([spoiled, bias])
    even = model.get_layer("norm_1").get_weights()
    even[0][0] = even[1][0] = 0.0  # and that channel says nothing
    model.get_layer("norm_1").set_weights(even)
    told = worst_layer.worst_layer(loaded(model, tmp_path), variant)
    assert told.startswith("most is lost in up_2 (Conv2DTranspose): alone it gives "), told
