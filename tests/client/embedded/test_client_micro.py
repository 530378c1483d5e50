"""The generator for microcontrollers: as a C array, run by tflite-micro's own interpreter, and small enough for one."""

import ctypes
import re
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from genclient import DeviceGenerator
from genclient.images.grid import grid
from genclient.latents.seeds import latents
from gentrain.networks import build_generator
from gentrain.presets import PRESETS
from PIL import Image

EMBEDDED = Path(__file__).resolve().parents[3] / "client/embedded"
MICRO = EMBEDDED / "micro"
RAM, FLASH = 256 * 1024, 1024 * 1024
"""Of the whole controller."""

KERNELS = 256 * 1024
"""What is left for tflite-micro itself and the program: several times what builds for Cortex-M take."""


def calibrated(model, size):
    """The model, untrained, with its normalisation fitted to latents and a stronger last layer: contrast."""
    for start in range(0, 640, 64):
        model(latents(np.arange(start, start + 64), size), training=True)
    last = model.layers[-2]
    last.set_weights([3 * weights for weights in last.get_weights()])
    return model


def all_int8(folder, model, size):
    """The bytes of the model with int8 in and out, as TensorFlow quantises it."""
    archive = keras.export.ExportArchive()
    archive.track(model)
    spec = tf.TensorSpec((1, size), tf.float32, name="latents")
    archive.add_endpoint("generate", lambda latents: {"images": model(latents) * 0.5 + 0.5}, input_signature=[spec])
    archive.write_out(str(folder), verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=["generate"])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        ("generate", {"latents": latents(np.array([seed]), size)}) for seed in range(50)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return converter.convert()


@pytest.fixture(scope="module")
def preset_file(tmp_path_factory):
    """A generator of the preset `micro` for digits, 28×28, all in int8."""
    folder, settings = tmp_path_factory.mktemp("micro"), PRESETS["micro"]()
    model = calibrated(build_generator(28, 1, (), settings), settings.latent_size)
    (folder / "micro.tflite").write_bytes(all_int8(folder / "saved", model, settings.latent_size))
    return folder / "micro.tflite"


@pytest.fixture(scope="module")
def runtime():
    """tflite-micro's interpreter."""
    return pytest.importorskip("tflite_micro", reason="no tflite-micro: pip install '.[dev]' brings it").runtime


def script(name, *arguments):
    """Run one of the scripts; gives the finished process."""
    command = [sys.executable, MICRO / name, *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def firmware(tmp_path_factory):
    """What a controller is given, compiled for this machine: the array of a file, and the latents as it draws them."""
    if not shutil.which("c++"):
        pytest.skip("no C++ compiler: tests/install-tools.sh installs it")

    def build(file):
        folder = tmp_path_factory.mktemp("firmware")
        done = script("model_to_c.py", file, folder)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.splitlines() == [str(folder / "model_data.h"), str(folder / "model_data.cc")]
        (folder / "shim.cc").write_text(
            '#include "model_data.h"\n#include "genline_seeds.h"\n'
            'extern "C" const unsigned char *model() { return model_data; }\n'
            'extern "C" unsigned size() { return model_data_size; }\n'
            'extern "C" void draw(int64_t seed, float scale, int32_t zero_point, int8_t *steps, size_t count) {\n'
            "  float z[64]; genline_latents(seed, 1.0f, z, count);\n"
            "  for (size_t i = 0; i < count; ++i) steps[i] = genline_quantise(z[i], scale, zero_point); }\n"
        )
        sources = [folder / "shim.cc", folder / "model_data.cc"]
        flags = ["-std=c++11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", f"-I{EMBEDDED}"]
        subprocess.run(["c++", *flags, *sources, "-o", folder / "firmware.so"], check=True, timeout=120)
        library = ctypes.CDLL(str(folder / "firmware.so"))
        library.model.restype = ctypes.POINTER(ctypes.c_ubyte)
        return library

    return build


def drawn(library, seed, scale, zero_point, size):
    """The steps of int8 that the C code makes of a seed's latents."""
    steps = (ctypes.c_int8 * size)()
    library.draw(ctypes.c_int64(seed), ctypes.c_float(scale), zero_point, steps, ctypes.c_size_t(size))
    return np.array([steps], np.int8)


def sample_ops():
    """What main.cc registers, as many as it has room for."""
    sample = (MICRO / "main.cc").read_text()
    ops = re.findall(r"resolver\.Add(\w+)\(\)", sample)
    assert len(ops) == int(re.search(r"OpResolver<(\d+)>", sample)[1])
    return ops


def python_images(file, seeds):
    """The images of the Python runner, uint8 (N, H, W, C)."""
    batches = DeviceGenerator(str(file)).stream(np.array(seeds, np.int64))
    return np.concatenate([batch.images for batch in batches])


def check_images(runtime, library, file, seeds):
    """See that tflite-micro, given the C array and the C latents, makes the images that the Python runner makes."""
    content = bytes(library.model()[: library.size()])
    assert content == file.read_bytes()
    micro = runtime.Interpreter.from_bytes(content, arena_size=RAM)
    source, target = micro.get_input_details(0), micro.get_output_details(0)
    scale, zero_point = (float(source["quantization_parameters"][key][0]) for key in ("scales", "zero_points"))
    images = []
    for seed in seeds:
        steps = drawn(library, seed, scale, int(zero_point), int(source["shape"][1]))
        ideal = latents(np.array([seed]), int(source["shape"][1])) / scale + zero_point
        assert np.abs(steps - np.clip(ideal, -128, 127)).max() <= 0.5001
        micro.set_input(steps, 0)
        micro.invoke()
        images.append(micro.get_output(0).astype(np.float64))
    quantisation = target["quantization_parameters"]
    levels = 255 * (np.concatenate(images) - quantisation["zero_points"][0]) * quantisation["scales"][0]
    expected = python_images(file, seeds).astype(np.float64)
    assert expected.std() > 10
    # Its kernels round otherwise than those of processors: a step here and there, none of it to be seen.
    assert np.abs(levels - expected).mean() < 0.5
    assert 10 * np.log10(255**2 / np.square(levels - expected).mean()) > 40


def test_the_c_array_makes_the_images_of_the_python_runner(runtime, firmware, preset_file):
    check_images(runtime, firmware(preset_file), preset_file, [*range(16), -1, -(2**63), 2**63 - 1])


def test_a_published_file_makes_the_images_of_the_python_runner(runtime, firmware, repository):
    file = repository / "digits/1/tflite/digits-micro.tflite"
    check_images(runtime, firmware(file), file, range(8))
    done = script("report.py", file, "--ram", RAM, "--flash", FLASH)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.splitlines()[-1].split()[1:]) <= set(sample_ops())


def test_the_preset_fits_a_controller_and_the_sample(runtime, preset_file):
    done = script("report.py", preset_file, "--ram", RAM, "--flash", FLASH - KERNELS)
    assert (done.returncode, done.stderr) == (0, "")
    figures = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert figures["flash"] == f"{preset_file.stat().st_size:,} bytes"
    assert figures["input"].startswith("int8 (1, 32), scale ")
    assert figures["output"].startswith("int8 (1, 28, 28, 1), scale ")
    arena = int(figures["arena"].split()[0].replace(",", ""))
    with pytest.raises(RuntimeError):
        runtime.Interpreter.from_bytes(preset_file.read_bytes(), arena_size=arena - 1024)
    sample = (MICRO / "main.cc").read_text()
    assert arena <= 1024 * int(re.search(r"kArenaBytes = (\d+) \* 1024", sample)[1])
    assert set(figures["ops"].split()) <= set(sample_ops())


def test_what_does_not_fit_is_said(runtime, preset_file):
    done = script("report.py", preset_file, "--ram", 10_000)
    assert done.returncode == 1
    assert re.fullmatch(r"report.py: arena: [\d,]+ bytes, expected at most 10,000\n", done.stderr)


def test_an_image_grid_shows_what_a_controller_makes(runtime, preset_file, tmp_path):
    done = script("image_grid.py", preset_file, tmp_path / "grid.png", "--seeds", "0-4,-1")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{tmp_path}/grid.png\n", "")
    expected = python_images(preset_file, [0, 1, 2, 3, 4, -1])
    with Image.open(tmp_path / "grid.png") as picture:
        assert picture.text["Seeds"] == "0-4,-1"
        assert np.abs(np.asarray(picture).astype(int) - grid(expected)[..., 0]).mean() < 0.5
    assert script("image_grid.py", preset_file, tmp_path / "grid.png", "--seeds", "x").returncode == 2


def test_an_op_that_controllers_lack_is_named(runtime, tmp_path):
    function = tf.function(lambda x: tf.math.atan2(x, x), input_signature=[tf.TensorSpec((1, 4), tf.float32)])
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
    (tmp_path / "atan2.tflite").write_bytes(converter.convert())
    done = script("report.py", tmp_path / "atan2.tflite")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"report.py: {tmp_path}/atan2.tflite: tflite-micro has no op ATAN2\n"


@pytest.mark.parametrize("name", ["report.py", "model_to_c.py", "image_grid.py"])
def test_files_that_are_no_models_are_named(runtime, tmp_path, preset_file, name):
    (tmp_path / "text.tflite").write_text("no model at all")
    for file, reason in (("text", "is not a TFLite model"), ("none", "No such file or directory")):
        more = [] if name == "report.py" else [tmp_path / "out"]
        done = script(name, tmp_path / f"{file}.tflite", *more)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
        assert reason in done.stderr
    assert script(name).returncode == 2


def test_a_damaged_file_is_said(runtime, tmp_path, preset_file):
    (tmp_path / "half.tflite").write_bytes(preset_file.read_bytes()[:200_000])
    done = script("report.py", tmp_path / "half.tflite")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)


def test_an_array_that_cannot_be_written_is_said(tmp_path, preset_file):
    (tmp_path / "file").touch()
    done = script("model_to_c.py", preset_file, tmp_path / "file")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "cannot write" in done.stderr
