"""The TFLite files: five variants of one generator, on LiteRT, with what they say of themselves."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from described import metadata_of
from genexport.compare import parity
from genexport.compare.parity import Limits
from genexport.errors import CannotBeMade, ExportError
from genexport.generator.load import Generator, load
from genexport.progress import Progress
from genexport.tflite import convert, dynamic, float16, metadata, quantize
from keras import layers

SIZE = 8


def small_generator() -> keras.Model:
    """Two classes, one dark and one bright, so that a label that went astray would be seen; ends in a tanh."""
    kernel = keras.initializers.RandomNormal(stddev=0.3, seed=1)
    latents = keras.Input((SIZE,), name="latents")
    labels = keras.Input((), dtype="int32", name="labels")
    light = layers.Embedding(2, 1, embeddings_initializer=keras.initializers.Constant([[-1.0], [1.0]]))(labels)
    x = layers.ReLU()(layers.Dense(4 * 4 * 64, kernel_initializer=kernel)(latents))
    x = layers.UpSampling2D()(layers.Reshape((4, 4, 64))(x))
    x = layers.ReLU()(layers.Conv2D(32, 3, padding="same", kernel_initializer=kernel)(x))
    x = layers.Conv2DTranspose(3, 4, 2, padding="same", kernel_initializer=kernel)(x)
    x = layers.Add()([layers.Rescaling(0.1)(x), layers.Reshape((1, 1, 1))(light)])
    return keras.Model([latents, labels], layers.Activation("tanh")(x))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("saved") / "small.keras"
    small_generator().save(file)
    return file


@pytest.fixture(scope="module")
def generator(saved: Path) -> Generator:
    return load(saved)


@pytest.fixture(scope="module")
def files(generator: Generator, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("tflite")
    told: list[str] = []
    contents = convert.convert(generator, "small", told.append)
    assert tuple(contents) == convert.VARIANTS
    assert told == ["TFLite float32", "TFLite float16", "TFLite dynamic", "TFLite int8 and micro"]
    for variant, content in contents.items():
        (folder / f"{variant}.tflite").write_bytes(content)
    return {variant: folder / f"{variant}.tflite" for variant in contents}


def given(latents: np.ndarray, labels: list[int]) -> dict[str, np.ndarray]:
    return {"latents": np.asarray(latents, np.float32), "labels": np.array(labels, np.int32)}


@pytest.mark.parametrize(
    ("variant", "decibels"), [("float32", 100), ("float16", 65), ("dynamic", 40), ("int8", 33), ("micro", 33)]
)
def test_every_variant_gives_the_images_of_keras(variant: str, decibels: float, files, generator: Generator) -> None:
    inputs = generator.examples(32)
    expected = np.asarray(generator.images(*inputs.values()))
    made = convert.run(files[variant], inputs)
    assert (made.dtype, made.shape) == (np.float32, (32, 16, 16, 3))
    assert -10 * np.log10(np.mean((made - expected) ** 2)) > decibels
    latents = inputs["latents"][:4]
    for labels in ([0, 1, 1, 0], [1, 0, 0, 0]):
        bright = convert.run(files[variant], given(latents, labels)).mean(axis=(1, 2, 3)) > 0.5
        assert bright.tolist() == [label == 1 for label in labels], "labels go where they belong"


@pytest.mark.parametrize("variant", convert.VARIANTS)
def test_every_variant_has_one_signature_a_static_batch_and_builtin_ops_alone(variant: str, files) -> None:
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(str(files[variant]), experimental_op_resolver_type=plain)
    interpreter.allocate_tensors()  # fails on Flex and custom ops
    signature = {"inputs": ["labels", "latents"], "outputs": ["images"]}
    assert interpreter.get_signature_list() == {"generate": signature}
    generate = interpreter.get_signature_runner("generate")
    shapes = {name: detail["shape_signature"].tolist() for name, detail in generate.get_input_details().items()}
    assert shapes == {"latents": [1, SIZE], "labels": [1]}
    assert generate.get_output_details()["images"]["shape_signature"].tolist() == [1, 16, 16, 3]
    ops = [op["op_name"] for op in interpreter._get_ops_details()]
    assert ops.count("RESIZE_NEAREST_NEIGHBOR") == 1
    assert not {"TILE", "BROADCAST_TO", "SELECT"} & set(ops)


def write(generator: Generator, folder: Path, *variants: str) -> None:
    with convert.Converter(generator, "x", lambda _: None, Limits()) as converter:
        for variant in variants:
            (folder / f"{variant}.tflite").write_bytes(converter.make(variant))


def io(file: Path) -> dict[str, tuple[type, tuple[float, int]]]:
    generate = Interpreter(str(file)).get_signature_runner("generate")
    details = {**generate.get_input_details(), **generate.get_output_details()}
    return {name: (detail["dtype"], detail["quantization"]) for name, detail in details.items()}


def test_bytes_of_the_int8_file_are_pixels_and_its_latents_are_floats(files) -> None:
    found = io(files["int8"])
    assert found["latents"] == (np.float32, (0.0, 0))
    assert found["labels"][0] is np.int32
    assert found["images"] == (np.uint8, (pytest.approx(1 / 255, rel=1e-6), 0))
    quantize.check_pixels(Path("x"), files["int8"].read_bytes(), (1 / 255, 0))
    with pytest.raises(CannotBeMade, match=r"^x: pixels of the int8 file have scale 0\.0039\d+ and zero point 0"):
        quantize.check_pixels(Path("x"), files["int8"].read_bytes(), (1 / 256, 0))
    pixels = 255 * convert.run(files["int8"], given(np.ones((1, SIZE)), [1]))
    np.testing.assert_allclose(pixels, np.round(pixels), atol=1e-3)


def test_the_micro_file_takes_latents_in_steps_of_a_32nd_and_gives_pixels_less_128(files) -> None:
    found = io(files["micro"])
    assert found["latents"] == (np.int8, (1 / 32, 0))
    assert found["labels"][0] is np.int32
    assert found["images"] == (np.int8, (pytest.approx(1 / 255, rel=1e-6), -128))


def test_latents_past_the_steps_of_the_micro_file_count_as_its_last_step(files) -> None:
    far = np.full((1, SIZE), 100, np.float32)
    last = np.full((1, SIZE), 127 / 32, np.float32)
    assert np.array_equal(*(convert.run(files["micro"], given(latents, [0])) for latents in (far, last)))


def test_bytes_are_pixels_after_a_sigmoid_and_after_no_activation_too(tmp_path: Path) -> None:
    for activation, offset in (("sigmoid", 0.0), (None, 0.5)):
        model = keras.Sequential(
            [
                keras.Input((4,)),
                layers.Dense(48, activation=activation, kernel_initializer=keras.initializers.RandomNormal(0, 0.1)),
                layers.Rescaling(1.0, offset),
                layers.Reshape((4, 4, 3)),
            ]
        )
        model.save(tmp_path / "model.keras")
        write(load(tmp_path / "model.keras", "0..1"), tmp_path, "int8")
        assert io(tmp_path / "int8.tflite")["images"] == (np.uint8, (pytest.approx(1 / 255, rel=1e-6), 0))


def test_a_one_hot_class_beside_the_latents_survives_integers(tmp_path: Path) -> None:
    latents, labels = keras.Input((SIZE,)), keras.Input((), dtype="int32")
    x = layers.Concatenate()([latents, keras.ops.one_hot(labels, 5)])
    x = layers.Dense(48, activation="tanh", kernel_initializer=keras.initializers.RandomNormal(stddev=0.3, seed=1))(x)
    keras.Model([latents, labels], layers.Reshape((4, 4, 3))(x)).save(tmp_path / "model.keras")
    generator = load(tmp_path / "model.keras")
    inputs = generator.examples(32)
    write(generator, tmp_path, "int8", "micro")
    for variant in ("int8", "micro"):
        file = tmp_path / f"{variant}.tflite"
        error = convert.run(file, inputs) - np.asarray(generator.images(*inputs.values()))
        assert -10 * np.log10(np.mean(error**2)) > 40
        assert io(file)["latents"][1] == ((0.0, 0) if variant == "int8" else (1 / 32, 0))


def test_weights_shrink_as_the_variant_says(files, generator: Generator) -> None:
    weights = {
        variant: sum(
            detail["shape"].prod() * np.dtype(detail["dtype"]).itemsize
            for detail in Interpreter(str(file)).get_tensor_details()
            if detail["shape"].prod() == SIZE * 1024  # the dense kernel
        )
        for variant, file in files.items()
        if variant != "float16"  # LiteRT lists these unpacked beside the packed
    }
    assert weights["float32"] == 4 * SIZE * 1024
    assert weights["dynamic"] == weights["int8"] == weights["micro"] == SIZE * 1024
    sizes = {variant: file.stat().st_size for variant, file in files.items()}
    assert sizes["float16"] < 0.6 * sizes["float32"]


def test_a_file_says_what_it_is(files, generator: Generator) -> None:
    for variant, file in files.items():
        said = metadata_of(file)
        assert (said["name"], said["variant"]) == ("small", variant)
        assert (said["latent_size"], said["image_shape"], said["class_count"]) == (SIZE, [16, 16, 3], 2)
        assert said["images"]["range"] == [0.0, 1.0]
        assert "Philox" in said["latents"]["of_a_seed"]
        assert said["generator_sha256"] == hashlib.sha256(generator.path.read_bytes()).hexdigest()
        assert said["genline"]


def test_what_a_file_says_changes_neither_its_graph_nor_its_weights(files, tmp_path: Path) -> None:
    said_again = tmp_path / "again.tflite"
    text = {"name": "größer", "class_names": ["ä", "漢"] * 100}
    said_again.write_bytes(metadata.add(files["dynamic"].read_bytes(), text))
    before, after = Interpreter(str(files["dynamic"])), Interpreter(str(said_again))
    for interpreter in (before, after):
        interpreter.allocate_tensors()
    assert str(before._get_ops_details()) == str(after._get_ops_details())
    for mine, theirs in zip(before.get_tensor_details(), after.get_tensor_details(), strict=True):
        assert str(mine) == str(theirs)
    inputs = given(np.ones((2, SIZE)), [0, 1])
    assert np.array_equal(convert.run(files["dynamic"], inputs), convert.run(said_again, inputs))
    assert metadata_of(files["dynamic"])["name"] == "small", "the first entry stays"


def test_the_same_generator_gives_the_same_bytes(files, saved: Path) -> None:
    script = (
        "import hashlib, sys; from pathlib import Path\n"
        "from genexport.compare import parity; from genexport.generator.load import load\n"
        "from genexport.tflite import convert\n"
        "with convert.Converter(load(Path(sys.argv[1])), 'small', print, parity.Limits()) as converter:\n"
        "    for variant in ('float16', 'int8'):\n"
        "        print(hashlib.sha256(converter.make(variant)).hexdigest())\n"
    )
    done = subprocess.run([sys.executable, "-c", script, saved], capture_output=True, text=True)
    digests = [hashlib.sha256(files[variant].read_bytes()).hexdigest() for variant in ("float16", "int8")]
    assert done.stdout.splitlines() == digests, done.stderr


def test_a_file_that_litert_cannot_run_is_told_in_one_line(tmp_path: Path, files) -> None:
    text = tmp_path / "text.tflite"
    text.write_text("no model")
    with pytest.raises(ExportError, match=r"text\.tflite: LiteRT cannot run it"):
        convert.run(text, {"latents": np.zeros((1, SIZE), np.float32)})
    with pytest.raises(ExportError, match=r"float32\.tflite: LiteRT cannot run it"):
        convert.run(files["float32"], {"latents": np.zeros((1, SIZE), np.float32)})


def test_an_op_that_tflite_lacks_is_named_with_its_layer(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    latents = keras.Input((6,))
    x = layers.Reshape((4, 4, 3))(layers.Dense(48)(latents))
    inner = keras.Sequential([keras.Input((4, 4, 3)), layers.Conv2D(3, 1), layers.Activation("tanh")])(x)
    x = keras.ops.erfinv(inner * 0.5)
    keras.Model(latents, layers.Activation("tanh")(x)).save(tmp_path / "model.keras")
    generator = load(tmp_path / "model.keras")
    with pytest.raises(
        ExportError, match=r"no TFLite float32 file: .*tf\.Erfinv, of layer erfinv.* \(Erfinv\); build"
    ) as e:
        convert.convert(generator, "mine")
    assert "\n" not in str(e.value)
    assert "callsite" not in capfd.readouterr().err, "the converter's own report is not for users"


def test_as_many_weights_stay_in_float32_as_all_images_need_and_not_only_those_that_were_searched(files) -> None:
    half, whole = files["float16"].read_bytes(), files["float32"].read_bytes()
    in_half = len(float16.halved(half))

    def errors(content: bytes, rows: np.ndarray) -> np.ndarray:
        """Images 0 to 15 differ most, and not any more with one weight in float32; the others need two."""
        kept = in_half - len(float16.halved(content))
        return np.where(rows < 16, 3.0 * (kept < 1), 2.0 * (kept < 2))

    found, kept = float16.within(half, whole, errors, 40, 1.0, Progress.none())
    assert len(kept) == 2
    assert len(float16.halved(found)) == in_half - 2 > 0


def test_weights_that_float16_cannot_hold_well_enough_stay_in_float32(tmp_path: Path) -> None:
    """A steep dense layer moves pixels by more than the usual limit; a larger one behind it is harmless."""
    latents = keras.Input((SIZE,), name="latents")
    steep = layers.Dense(64, kernel_initializer=keras.initializers.RandomNormal(stddev=40, seed=3), name="steep")
    harmless = layers.Dense(16 * 16, kernel_initializer=keras.initializers.RandomNormal(stddev=0.3, seed=4))
    x = layers.Reshape((16, 16, 1))(layers.Activation("tanh")(harmless(layers.Activation("tanh")(steep(latents)))))
    keras.Model(latents, x).save(tmp_path / "steep.keras")
    generator, told = load(tmp_path / "steep.keras"), []
    with convert.Converter(generator, "steep", told.append, Limits()) as converter:
        contents = {variant: converter.make(variant) for variant in ("float32", "float16")}
    (said,) = [line for line in told if "stay in float32" in line]
    assert "steep (Dense)" in said
    assert "dense (Dense)" not in said.replace("steep (Dense)", "")
    for variant in ("float32", "float16"):
        (tmp_path / f"{variant}.tflite").write_bytes(contents[variant])
    inputs = generator.examples(256)
    made, exact = (convert.run(tmp_path / f"{variant}.tflite", inputs) for variant in ("float16", "float32"))
    assert 1e-5 < np.abs(made - exact).max() <= 5e-3
    assert len(contents["float16"]) < len(contents["float32"]) - 2 * SIZE * 4
    assert float16.halved(contents["float16"]), "the other weights are float16 still"


def test_weights_that_int8_cannot_hold_stay_in_float32_in_a_dynamic_file_that_starts_from_pictures(
    tmp_path: Path,
) -> None:
    """Of three layers one has weights that are a hundred times as large as the others, on a channel that is dark."""
    picture = keras.Input((16, 16, 3), name="image")
    first, steep, last = (
        layers.Conv2D(n, 3, padding="same", name=name) for n, name in ((40, "a"), (40, "steep"), (40, "b"))
    )
    x = layers.ReLU()(last(layers.ReLU()(steep(layers.ReLU()(first(picture))))))
    x = layers.Conv2D(3, 3, padding="same", activation="tanh", name="out")(x)
    model = keras.Model(picture, x)
    for layer, channel, value in ((first, (..., 0), 0.0), (steep, (slice(None), slice(None), 0), 10.0)):
        kernel, bias = layer.get_weights()
        kernel[channel] = value
        layer.set_weights([kernel, bias])
    model.save(tmp_path / "model.keras")
    told: list[str] = []
    with convert.Converter(load(tmp_path / "model.keras"), "mine", told.append, Limits()) as converter:
        whole = converter._make("float32")
        content, rows = converter.make("dynamic"), np.arange(converter.generator.compared)
        assert parity.compare(*converter._images(content, rows)).psnr_db >= 40
    assert [line for line in told if "steep (Conv2D) stay in float32" in line]
    assert len(dynamic.in_int8(content, whole)) == 3
    assert len(content) < 0.7 * len(whole)
