"""Which files a version has: what cannot be made is left out and said, what is named comes out, what a device needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from described import metadata_of, metadata_of_bytes
from file_generators import Z, conditional, end, kernel, loaded, start
from genexport import onnx
from genexport.compare import parity, rounding
from genexport.compare.parity import Limits
from genexport.describe import directions, tables
from genexport.errors import CannotBeMade, ExportError
from genexport.generator.load import Generator, load
from genexport.kinds.generator import proof
from genexport.kinds.generator import version as generator_version
from genexport.options import Options
from genexport.progress import Progress
from genexport.publish import publish
from genexport.repository import manifest
from genexport.tflite import convert, float16, ops
from keras import layers

OWN = """
import keras
import tensorflow as tf
from keras import ops

class Kernels(keras.layers.Layer):
    def build(self, shapes):
        self.dense = keras.layers.Dense(3 * 3 * 8 * 3, kernel_initializer=keras.initializers.GlorotUniform(seed=1))
        self.dense.build(shapes[1])

class InTheBatch(Kernels):
    "A kernel for each row, all at once: rows become channels, as StyleGAN2 does it."
    def call(self, given):
        x, z = given
        n = ops.shape(x)[0]
        kernels = ops.transpose(ops.reshape(self.dense(z), (-1, 3, 3, 8, 3)), (1, 2, 3, 0, 4))
        kernels = ops.reshape(kernels, (3, 3, 8, -1))
        rows = ops.reshape(ops.transpose(x, (1, 2, 0, 3)), (1, 8, 8, -1))
        made = tf.nn.conv2d(rows, kernels, 1, "SAME")
        return ops.transpose(ops.reshape(made, (8, 8, n, 3)), (2, 0, 1, 3))

class InALoop(Kernels):
    def call(self, given):
        kernels = ops.reshape(self.dense(given[1]), (-1, 3, 3, 8, 3))
        one = lambda row: tf.nn.conv2d(row[0][None], row[1], 1, "SAME")[0]
        return tf.map_fn(one, (given[0], kernels), fn_output_signature=tf.float32)

class Insists(keras.layers.Layer):
    def call(self, x):
        return tf.cast(x, tf.float32) * tf.constant(1.0)
"""


@pytest.fixture(scope="module", autouse=True)
def few_seeds() -> Iterator[None]:
    """The directions are not what is tried here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(directions, "MOST_SEEDS", 64)
        yield


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("own") / "own_kernels.py"
    file.write_text(OWN)
    return file


def files_alone(
    generator: Generator, folder: Path, options: Options, report: Callable[[str], None] = lambda _: None
) -> tuple[dict[str, str], dict[str, parity.Difference]]:
    """What `publish` does with the files, without the SavedModel and the rest: those left out, and the differences."""
    proven = proof.Proof(folder, "x", *proof.reference(generator, parity.EXAMPLES), options.limits)
    left_out, _ = generator_version._files(generator, proven, options, report)
    return left_out, proven.differences


def with_kernels(kind: str, own: Path, folder: Path) -> Generator:
    from genexport.generator.keras_file import import_classes

    latents = keras.Input((Z,))
    mixed = import_classes([str(own)])[kind](name="mixed")([start(latents), latents])
    return loaded(layers.Activation("tanh")(mixed), latents, folder, own)


def saturated(folder: Path) -> Generator:
    """A model in a model: bilinear up-samplings, and pixels driven into the ends of the tanh."""
    latents = keras.Input((Z,))
    x = start(latents, 16, 1.0)
    for seed in (1, 2):
        x = layers.UpSampling2D(interpolation="bilinear")(x)
        x = layers.LeakyReLU(0.2)(layers.Conv2D(16, 3, padding="same", kernel_initializer=kernel(0.6, seed))(x))
    x = layers.Conv2D(3, 3, padding="same", activation="tanh", kernel_initializer=kernel(0.6, 3))(x)
    return loaded(keras.Model(latents, x)(outer := keras.Input((Z,))), outer, folder)


def steep(latents, size: int = 64):
    """A layer whose rounding moves pixels by more than a limit allows."""
    return layers.Activation("tanh")(layers.Dense(size, kernel_initializer=kernel(40, 3), name="steep")(latents))


def test_a_generator_that_multiplies_its_own_rounding_is_held_against_that(tmp_path: Path) -> None:
    generator = saturated(tmp_path)
    folder = publish(generator, tmp_path, "mine", options=Options(files=("float32",)))
    found = manifest.read(folder)
    assert 1e-5 < found["limits"]["float32"] == found["limits"]["savedmodel"] < 1e-2
    assert 0 < found["parity"]["tflite/float32"]["max_error"] < found["limits"]["float32"]
    inputs = generator.examples(rounding.EXAMPLES)
    expected = np.asarray(generator.images(*inputs.values()))
    by_double = rounding.noise(generator, inputs, expected)
    assert by_double > 1e-6, "what a file differs by is less where it rounds as Keras does, but this is not"
    by_shaking = rounding._by_shaking(generator, tuple(inputs.values()), expected)
    assert found["limits"]["float32"] == pytest.approx(rounding.TIMES * by_double, rel=1e-3)
    assert 1 / 4 < by_shaking / by_double < 4
    assert np.array_equal(generator.images(*inputs.values()), expected), "the generator is as it was"


def test_the_rounding_of_a_layer_that_insists_on_float32_is_found_too(own: Path, tmp_path: Path) -> None:
    from genexport.generator.keras_file import import_classes

    latents = keras.Input((Z,))
    insists = import_classes([str(own)])["Insists"]()
    generator = loaded(end(insists(start(latents))), latents, tmp_path, own)
    inputs = generator.examples(rounding.EXAMPLES)
    assert 1e-8 < rounding.noise(generator, inputs, np.asarray(generator.images(*inputs.values()))) < 1e-5


def test_what_cannot_be_made_is_left_out_with_its_reason_and_the_rest_is_published(own: Path, tmp_path: Path) -> None:
    generator, told = with_kernels("InTheBatch", own, tmp_path), []
    folder = publish(generator, tmp_path, "mine", report=told.append)
    found = manifest.check(folder)
    made = {"float32", "float16", "dynamic"}
    assert {file.stem for file in (folder / "tflite").iterdir()} == {f"mine-{variant}" for variant in made}
    assert not (folder / "onnx").exists()
    reasons = found["left_out"]
    assert set(reasons) - {"directions"} == {"tflite/int8", "tflite/micro", "onnx/float32"}
    assert (
        reasons["tflite/int8"]
        == "LiteRT has no int8 kernel for CONV_2D, of layer mixed (InTheBatch), as it is used there"
    )
    assert reasons["onnx/float32"].startswith("ONNX Runtime refuses layer mixed (InTheBatch): Input channels")
    card = (folder / "MODEL_CARD.md").read_text()
    for what, reason in reasons.items():
        assert any(reason in line for line in told), what
        assert f"- `{what}`: left out: {reason}." in card
    assert found["parity"].keys() >= {"savedmodel/png", *(f"tflite/{variant}" for variant in made)}
    with pytest.raises(ExportError, match=r"no int8 kernel for CONV_2D.*; --files float16 leaves it out$"):
        files_alone(generator, tmp_path, Options(files=("float16", "int8")))


def test_a_loop_which_would_end_the_converters_process_has_no_integer_form(own: Path, tmp_path: Path) -> None:
    generator = with_kernels("InALoop", own, tmp_path)
    with convert.Converter(generator, "x", lambda _: None, Limits()) as converter:
        assert converter.make("float32")
        with pytest.raises(CannotBeMade, match=r"loops cannot be quantized: WHILE, of layer mixed \(InALoop\)"):
            converter.make("int8")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("exact GELU", r"no ONNX file: ONNX has no op for Erfc, of layer gelu \(Activation\)$"),
        ("groups", r"no ONNX file: ONNX has no op for StatefulPartitionedCall, of layer grouped \(Conv2D\)$"),
        ("steps past the kernel", r"refuses layer gaps \(Conv2DTranspose\): Attribute pads must not contain negative"),
    ],
)
def test_what_onnx_cannot_hold_is_found_at_once_and_told_by_its_layer(kind: str, reason: str, tmp_path: Path) -> None:
    latents = keras.Input((Z,))
    layer = {
        "exact GELU": layers.Activation(keras.activations.gelu, name="gelu"),
        "groups": layers.Conv2D(8, 3, groups=4, padding="same", name="grouped"),
        "steps past the kernel": layers.Conv2DTranspose(8, 2, 3, padding="same", name="gaps"),
    }[kind]
    with pytest.raises(CannotBeMade, match=reason) as raised:
        onnx.convert(loaded(end(layer(start(latents))), latents, tmp_path), "x")
    assert "\n" not in str(raised.value)


def test_the_quickest_check_comes_first(tmp_path: Path) -> None:
    latents, told = keras.Input((Z,)), []
    generator = loaded(layers.Reshape((8, 8, 1))(steep(latents)), latents, tmp_path)
    remedy = r"^tflite/float32: pixels differ .* limit 0; --limit float32=\S+ accepts it$"
    with pytest.raises(ExportError, match=remedy):
        files_alone(generator, tmp_path, Options(limits=Limits(float32=0)), told.append)
    assert told[-1] == "TFLite float32", "before the search for weights that float16 cannot hold"


def test_weights_that_are_equal_in_float16_go_back_to_their_own_values(tmp_path: Path) -> None:
    """0.9998 and the 1.0 of a clip are one number in float16, and one tensor in its file."""
    latents = keras.Input((Z,))
    x = keras.ops.clip(0.9998 * layers.Reshape((8, 8, 1))(steep(latents)), -1.0, 1.0)
    generator = loaded(x, latents, tmp_path)
    with convert.Converter(generator, "x", lambda _: None, Limits(float16=1.0)) as converter:
        half, whole = converter.make("float16"), converter.make("float32")
    names = list(float16._places(float16.read_model(half), float16.read_model(whole)))
    everything = float16.restored(half, whole, names)
    assert float16.halved(half)
    assert not float16.halved(everything)
    inputs = generator.examples(4)
    np.testing.assert_array_equal(*(convert._run_bytes(content, inputs) for content in (everything, whole)))


def test_the_search_for_weights_that_float16_cannot_hold_is_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(float16, "CANDIDATES", 4)
    monkeypatch.setattr(float16, "SEARCHED", 2)
    latents, told, images = keras.Input((Z,)), [], []
    x = steep(latents, Z)
    for seed in range(8):
        x = layers.Dense(Z, kernel_initializer=keras.initializers.OrthogonalInitializer(seed=seed))(x)
    generator = loaded(layers.Reshape((2, 4, 1))(layers.Activation("tanh")(x)), latents, tmp_path)
    with convert.Converter(generator, "x", told.append, Limits(float16=2.5e-3)) as converter:
        run = converter._images
        converter._images = lambda content, rows: images.append(len(rows)) or run(content, rows)  # type: ignore[method-assign]
        converter.make("float16")
    assert any("steep (Dense) stay in float32" in line for line in told)
    assert sum(images) <= 2 * parity.EXAMPLES + (float16.CANDIDATES + 6) * float16.SEARCHED


def test_what_takes_long_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("genexport.progress.EVERY_S", 0.0)
    told: list[str] = []
    assert list(Progress(told.append, "int8").over("abcd")) == list("abcd")
    assert told == [f"int8: {done} of 4 images, about 1 s to go" for done in (1, 2, 3)]


def test_pictures_too_faint_for_eight_bits_have_no_integer_files(tmp_path: Path) -> None:
    """Their PSNR looks well: 53 dB, since nothing in them differs by more."""
    latents = keras.Input((Z,))
    generator = loaded(layers.Rescaling(0.002)(end(start(latents))), latents, tmp_path)
    left_out, found = files_alone(generator, tmp_path, Options(onnx=False))
    assert set(left_out) == {"tflite/int8", "tflite/micro"}
    assert "of the pictures' own spread, limit 50%" in left_out["tflite/int8"]
    assert not proof.file_of(tmp_path, "x", "int8").exists()
    assert found["tflite/dynamic"].of_spread < 0.2
    wide = Options(files=("int8",), limits=Limits(int8_spread=10.0))
    assert files_alone(generator, tmp_path, wide)[1]["tflite/int8"].psnr_db > 50


def test_an_integer_file_says_which_of_its_ops_are_not_in_integers(tmp_path: Path) -> None:
    with convert.Converter(conditional(tmp_path, 2), "x", lambda _: None, Limits(), "cpu") as converter:
        content = converter.make("micro")
    interpreter = Interpreter(model_content=content)
    kinds = [op["op_name"] for op in interpreter._get_ops_details() if op["op_name"] != "DELEGATE"]
    tensors = {tensor["index"]: tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    floats = [
        op["op_name"]
        for op in interpreter._get_ops_details()
        if op["op_name"] not in ("DELEGATE", "QUANTIZE", "DEQUANTIZE")
        and any(tensors[i] is np.float32 for i in op["outputs"])
    ]
    needs = ops.needs(content)
    assert sum(needs["float32_ops"].values()) == len(floats) > 0
    assert set(needs["float32_ops"]) == set(floats)
    assert tables.floats_text(needs).startswith(f"{len(floats)} of {len(kinds)} ops compute in float32 (")
    said = {"tflite": {"micro": needs}}
    assert tables.remarks(said) == [("tflite/micro", tables.floats_text(needs))]
    assert tables.floats_text({"ops": 3, "float32_ops": {}}) == ""


def test_for_an_npu_the_layers_stay_as_they_are(tmp_path: Path) -> None:
    with convert.Converter(conditional(tmp_path), "x", lambda _: None, Limits(), "npu") as converter:
        for variant in ("int8", "float32"):
            kinds = {op["op_name"] for op in Interpreter(model_content=converter.make(variant))._get_ops_details()}
            assert "TRANSPOSE_CONV" in kinds
            assert "DEPTH_TO_SPACE" not in kinds


def uneven(folder: Path, ratio: float) -> Generator:
    """Two dense layers; some outputs of the first are `ratio` times as large, which the second puts right again."""
    latents = keras.Input((64,))
    first, second = (layers.Dense(64, kernel_initializer=kernel(0.1, seed)) for seed in (1, 2))
    model = keras.Model(latents, layers.Reshape((8, 8, 1))(layers.Activation("tanh")(second(first(latents)))))
    scale = np.where(np.arange(64) % 2, ratio, 1.0).astype(np.float32)
    (one, bias), (other, end_bias) = first.get_weights(), second.get_weights()
    first.set_weights([one * scale, bias])
    second.set_weights([other / scale[:, None], end_bias])
    model.save(folder / "model.keras")
    return load(folder / "model.keras")


@pytest.mark.parametrize(("ratio", "old"), [(1.0, True), (300.0, False)])
def test_a_dynamic_file_runs_on_old_runtimes_unless_that_costs_its_quality(
    ratio: float, old: bool, tmp_path: Path
) -> None:
    generator = uneven(tmp_path, ratio)
    with convert.Converter(generator, "x", lambda _: None, Limits(dynamic_db=38.0)) as converter:
        version = ops.needs(converter.make("dynamic"))["runtime"]
    assert (tuple(map(int, version.split("."))) < (2, 17)) is old


def test_an_integer_file_says_up_to_which_truncation_it_holds_and_the_client_heeds_it(tmp_path: Path, command) -> None:
    latents = keras.Input((Z,))
    x = layers.Rescaling(0.1)(layers.Dense(64, kernel_initializer=kernel())(latents))
    generator = loaded(layers.Reshape((8, 8, 1))(x), latents, tmp_path)
    limits = Limits(int8_db=42.0)
    file = tmp_path / "int8.tflite"
    with convert.Converter(generator, "x", lambda _: None, limits) as converter:
        file.write_bytes(converter.make("int8"))
        assert "truncation_at_most" not in metadata_of_bytes(converter.make("dynamic"))["latents"]
    most = metadata_of(file)["latents"]["truncation_at_most"]

    def decibels(factor: float) -> float:
        latents = np.asarray(generator.examples(16)["latents"]) * np.float32(factor)
        made = convert.run(file, {"latents": latents})
        return parity.compare(made, np.asarray(generator.images(latents))).psnr_db or 99.0

    later = [factor for factor in convert.TRUNCATIONS if factor > most]
    assert decibels(most) >= limits.int8_db
    assert later
    assert decibels(later[0]) < limits.int8_db
    for factor, warned in ((most, False), (2.5, True)):
        arguments = ("--tflite", file, "--n", 1, "--truncation", factor, "--out", tmp_path / f"{factor}.png")
        done = command("genclient", "sample", *arguments)
        assert done.returncode == 0, done.stderr
        assert (f"up to a truncation of {most:g}, not of 2.5" in done.stderr) is warned
