"""The phone samples, not compiled here: their assets are what the sources read, their latents TensorFlow's."""

import csv
import json
import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tinted
from ai_edge_litert.interpreter import Interpreter

MOBILE = Path(__file__).resolve().parents[3] / "client/mobile"
KOTLIN = MOBILE / "android/app/src/main/java/org/genline/sample"
SWIFT = MOBILE / "ios"
TOOLS = "tests/install-tools.sh installs it"


def copy_assets(*arguments):
    """Run assets.py; gives the finished process."""
    command = [sys.executable, MOBILE / "assets.py", *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def assets(repository, tmp_path_factory):
    """A folder as both samples have it, made of a published version."""
    folder = tmp_path_factory.mktemp("assets")
    done = copy_assets(repository / "digits/1", "--out", folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [str(folder / "generator.tflite"), str(folder / "generator.json")]
    return folder


def kotlin_names():
    """Constant → value, as Generator.kt declares them."""
    return dict(re.findall(r'const val (\w+) = "([^"]+)"', (KOTLIN / "Generator.kt").read_text()))


def swift_names():
    """The same of Generator.swift."""
    found = re.findall(r'static let (\w+) = "([^"]+)"', (SWIFT / "App/Generator.swift").read_text())
    return {name.upper(): value for name, value in found}


@pytest.mark.parametrize("names", [kotlin_names, swift_names])
def test_the_model_has_the_tensors_that_the_sources_name(assets, names):
    named = names()
    assert set(named) == {"MODEL", "ABOUT", "SIGNATURE", "LATENTS", "LABELS", "IMAGES"}
    about = json.loads((assets / named["ABOUT"]).read_text())
    interpreter = Interpreter(str(assets / named["MODEL"]))
    interpreter.allocate_tensors()
    runner = interpreter.get_signature_runner(named["SIGNATURE"])
    inputs, outputs = runner.get_input_details(), runner.get_output_details()
    assert set(inputs) == {named["LATENTS"], *([named["LABELS"]] if about["class_names"] else [])}
    assert set(outputs) == {named["IMAGES"]}
    latents, images = inputs[named["LATENTS"]], outputs[named["IMAGES"]]
    assert (latents["dtype"], list(latents["shape"])) == (np.float32, [1, about["latent_size"]])
    assert (images["dtype"], list(images["shape"])) == (np.float32, [1, *about["image_shape"]])
    made = runner(**{named["LATENTS"]: np.zeros(latents["shape"], np.float32)})[named["IMAGES"]]
    assert 0 <= made.min() <= made.max() <= 1


def test_the_sources_read_what_the_json_says(assets):
    about = json.loads((assets / "generator.json").read_text())
    kotlin = (KOTLIN / "Generator.kt").read_text()
    integers, arrays = re.findall(r'getInt\("(\w+)"\)', kotlin), re.findall(r'getJSONArray\("(\w+)"\)', kotlin)
    assert {type(about[key]) for key in integers} == {int}
    assert {type(about[key]) for key in arrays} == {list}
    swift = (SWIFT / "App/Generator.swift").read_text()
    fields = swift_fields(swift, "About")
    keys = dict(re.findall(r'case (\w+) = "(\w+)"', swift))
    assert fields == {"latentSize": "Int", "imageShape": "[Int]", "classNames": "[String]", "picture": "Picture?"}
    assert {keys.get(field, field) for field in fields} - {"picture"} == {*integers, *arrays}
    assert {*integers, *arrays} == {"latent_size", "image_shape", "class_names"}
    assert "picture" not in about
    assert isinstance(about["latent_size"], int)
    assert len(about["image_shape"]) == 3
    assert all(isinstance(name, str) for name in about["class_names"])


def swift_fields(source, struct):
    """Name → type of what a struct decodes."""
    body = re.search(rf"^struct {struct}: Decodable {{\n(.*?)\n}}", source, re.MULTILINE | re.DOTALL)[1]
    return dict(re.findall(r"^    let (\w+): (\S+)$", body, re.MULTILINE))


PICTURES = {
    "name": "sketches",
    "latent_size": 0,
    "image_shape": [12, 8, 3],
    "signatures": {"serving_default": {"inputs": {"image": {"shape": [None, 12, 8, 3]}, "hints": {}}}},
    "interface": {"inputs": [{"role": "image", "preprocessing": {"crop": "pad", "background": "#20a0ff"}}]},
}


def test_a_model_of_pictures_brings_how_they_are_brought_to_size(tmp_path):
    (tmp_path / "1/tflite").mkdir(parents=True)
    model = tinted.write(tmp_path)
    (tmp_path / "1/tflite/sketches-dynamic.tflite").write_bytes(model.read_bytes())
    (tmp_path / "1/manifest.json").write_text(json.dumps(PICTURES))
    assert copy_assets(tmp_path / "1", "--out", tmp_path / "out").returncode == 0
    about = json.loads((tmp_path / "out/generator.json").read_text())
    picture = {"shape": [12, 8, 3], "crop": "pad", "resize": "lanczos", "background": [32, 160, 255], "hints": True}
    assert about["picture"] == picture

    kotlin, swift = (KOTLIN / "Translator.kt").read_text(), (SWIFT / "App/Generator.swift").read_text()
    assert set(re.findall(r'picture\.get\w+\("(\w+)"\)', kotlin)) == set(picture)
    assert swift_fields(swift, "Picture") == {
        "shape": "[Int]", "crop": "String", "background": "[Int]", "resize": "String", "hints": "Bool"
    }  # fmt: skip
    runner = Interpreter(str(tmp_path / "out/generator.tflite")).get_signature_runner("generate")
    inputs = runner.get_input_details()
    for source, pattern in (
        (kotlin, r'const val \w+ = "([^"]+)"'),
        ((SWIFT / "App/Translator.swift").read_text(), r'static let \w+ = "([^"]+)"'),
    ):
        assert set(re.findall(pattern, source)) == set(inputs)
    assert list(inputs["hints"]["shape"]) == [1, *picture["shape"][:2], 4]

    more = {"serving_default": {"inputs": {"image": {"shape": [None, 12, 8, 3]}, "labels": {}}}}
    (tmp_path / "1/manifest.json").write_text(json.dumps({**PICTURES, "signatures": more}))
    done = copy_assets(tmp_path / "1", "--out", tmp_path / "other")
    assert (done.returncode, "this model takes labels beside pictures" in done.stderr) == (1, True)


def test_a_generator_with_classes_brings_their_names(tmp_path):
    version = tmp_path / "letters/1"
    (version / "tflite").mkdir(parents=True)
    (version / "tflite/letters-dynamic.tflite").write_bytes(b"a model")
    manifest = {"name": "letters", "latent_size": 8, "image_shape": [8, 8, 3], "class_count": 3, "class_names": []}
    for names, expected in ([], ["0", "1", "2"]), (["a", "ä", "b"], ["a", "ä", "b"]):
        (version / "manifest.json").write_text(json.dumps({**manifest, "class_names": names}))
        assert copy_assets(version, "--out", tmp_path / "out").returncode == 0
        assert json.loads((tmp_path / "out/generator.json").read_text())["class_names"] == expected
        assert (tmp_path / "out/generator.tflite").read_bytes() == b"a model"
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["generator.json", "generator.tflite"]


ABOUT = '{"name": "x", "latent_size": 1, "image_shape": [1, 1, 1]'


@pytest.mark.parametrize(
    ("manifest", "reason"),
    [
        (None, "expected a version such as models/digits/1"),
        ("{", "damaged"),
        ("[]", "found no object"),
        ('{"name": "x"}', "found no 'latent_size'"),
        (ABOUT + "}", "x-dynamic.tflite: not there: publish with --files dynamic"),
        (ABOUT + ', "left_out": {"tflite/dynamic": "no op for X"}}', "not there: left out: no op for X"),
    ],
)
def test_what_is_no_version_is_named(tmp_path, manifest, reason):
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    done = copy_assets(tmp_path, "--out", tmp_path / "out")
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert reason in done.stderr
    assert not (tmp_path / "out").exists()


def expected_latents():
    """Seed → its latents, of the table that the samples' own tests read."""
    with (MOBILE / "expected_latents.csv").open(newline="") as table:
        rows = list(csv.reader(table))
    assert rows[0] == ["seed", *(f"z{index}" for index in range(10))]
    return {int(row[0]): np.array(row[1:], np.float32) for row in rows[1:]}


def test_the_table_beside_the_samples_is_tensorflows():
    table = expected_latents()
    assert {0, -1, 2**63 - 1, -(2**63)} <= set(table)
    for seed, row in table.items():
        drawn = tf.raw_ops.StatelessRandomNormalV2(
            shape=[len(row)], key=tf.constant([seed % 2**64], tf.uint64), counter=tf.constant([0, 0], tf.uint64), alg=1
        )
        np.testing.assert_allclose(row, drawn.numpy(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "table"), [("Seeds", "expected_latents.csv"), ("Pictures", "expected_pictures.csv")])
def test_the_tests_of_both_samples_read_that_table(name, table):
    kotlin = MOBILE / f"android/app/src/test/java/org/genline/sample/{name}Test.kt"
    path = re.search(r'File\("([^"]+)"\)', kotlin.read_text())[1]
    assert (MOBILE / "android/app" / path).resolve() == MOBILE / table
    swift = SWIFT / f"Tests/GenlineTests/{name}Tests.swift"
    levels = int(re.search(r"for _ in 0\.\.<(\d+)", swift.read_text())[1])
    assert [swift, *swift.parents][levels] == MOBILE
    assert f'appendingPathComponent("{table}")' in swift.read_text()


def test_the_table_of_pictures_is_pillows():
    script = runpy.run_path(str(MOBILE / "expected_pictures.py"))
    assert script["table"]() == (MOBILE / "expected_pictures.csv").read_text()


MAIN = """
fun picture(width: Int, height: Int) = IntArray(width * height) {
    val (x, y) = it % width to it / width
    (0 until 3).fold(255) { pixel, c -> (pixel shl 8) or (37 * x + 91 * y + 53 * c + 7 * x * y) % 256 }
}

fun main(arguments: Array<String>) {
    for (argument in arguments) {
        val row = argument.split(",")
        if (row.size == 1) {
            println(org.genline.sample.Seeds.latents(row[0].toLong(), 10, 0.5f).joinToString(" "))
            continue
        }
        val (width, height, channels) = row.take(3).map { it.toInt() }
        val frame = org.genline.sample.Frame(4, 6, channels, row[3], listOf(0x20, 0xA0, 0xFF), row[4] == "nearest")
        println(org.genline.sample.Pictures.prepared(picture(width, height), width, height, frame).joinToString(" "))
    }
}
"""


def test_kotlin_gives_the_latents_and_the_pixels_of_the_tables(tmp_path):
    for tool in ("kotlinc", "java"):
        if not shutil.which(tool):
            pytest.skip(f"no {tool}: {TOOLS}")
    (tmp_path / "Main.kt").write_text(MAIN)
    sources = [KOTLIN / "Seeds.kt", KOTLIN / "Pictures.kt", tmp_path / "Main.kt"]
    command = ["kotlinc", *sources, "-include-runtime", "-d", tmp_path / "main.jar"]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    table = expected_latents()
    pictures = (MOBILE / "expected_pictures.csv").read_text().splitlines()[1:]
    command = ["java", "-jar", tmp_path / "main.jar", *map(str, table), *pictures]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.splitlines()
    assert [line.split() for line in printed[len(table) :]] == [row.split(",")[5:] for row in pictures]
    drawn = np.array([line.split() for line in printed[: len(table)]], np.float32)
    np.testing.assert_allclose(drawn, 0.5 * np.array(list(table.values())), rtol=0, atol=1e-5)


def test_what_is_not_compiled_says_so():
    sources = [*KOTLIN.glob("*.kt"), *SWIFT.glob("App/*.swift"), *SWIFT.glob("Sources/*/*.swift")]
    compiled = {KOTLIN / "Seeds.kt", KOTLIN / "Pictures.kt"}
    assert len(sources) >= 12
    for source in {*sources, MOBILE.parent / "embedded/micro/main.cc"} - compiled:
        assert "NOT COMPILED HERE" in source.read_text(), source
    assert "**Neither is compiled or run" in " ".join((MOBILE / "README.md").read_text().split())
