"""gentranslate, the C program: pictures of any size, compared with the Python runner on the same files."""

import os
import shutil
import subprocess

import numpy as np
import pytest
import tinted
from ai_edge_litert.interpreter import Interpreter
from embedded import EMBEDDED, NEEDS_COMPILER, TOOLS, build, differ, pixels
from genclient import DeviceGenerator
from genclient.images.prepare import prepared
from genclient.latents import latents

pytestmark = NEEDS_COMPILER


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The file of a model that shows the picture and hints that it is given, in colour and in grey."""
    folder = tmp_path_factory.mktemp("tinted")
    return [tinted.write(folder / str(channels), channels) for channels in (3, 1)]


@pytest.fixture
def gentranslate(programs, tmp_path):
    """Run it in an empty folder; gives the finished process, its output as bytes."""

    def run(*arguments, **settings):
        settings = {"capture_output": True, "cwd": tmp_path, "timeout": 60, **settings}
        return subprocess.run([programs / "gentranslate", *map(str, arguments)], check=False, **settings)

    return run


@pytest.fixture
def fails(gentranslate, tmp_path):
    """See that it fails as every failure must, with one line and no file, and return the exit code and the line."""

    def run(*arguments, **settings):
        before = sorted(tmp_path.iterdir())
        done = gentranslate(*arguments, **settings)
        lines = done.stderr.decode().splitlines()
        assert len(lines) == 1, done.stderr.decode()
        assert lines[0].startswith("gentranslate: ")
        assert not done.stdout
        assert sorted(tmp_path.iterdir()) == before
        return done.returncode, lines[0].removeprefix("gentranslate: ")

    return run


SIZES = [(8, 12), (8, 8), (5, 3), (61, 90), (300, 40), (777, 510)]


def test_pictures_of_any_size_are_those_of_the_python_runner(gentranslate, files, tmp_path):
    for file in files:
        device = DeviceGenerator(str(file))
        for number, size in enumerate(SIZES):
            name = ("picture.ppm", "picture.pgm")[number % 2]
            tinted.waves(*size, channels=3 if name.endswith("ppm") else 1).save(tmp_path / name)
            done = gentranslate(file, name, "made")
            assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), (file, size)
            assert differ(pixels(tmp_path / "made"), device.translate([tmp_path / name])[0]) <= 1, (file, size)
    assert (tmp_path / "made").read_bytes().startswith(b"P5\n8 12\n255\n"), "what a grey model makes is a PGM"
    assert gentranslate(file, name, "made.ppm").returncode == 0
    assert (tmp_path / "made.ppm").read_bytes().startswith(b"P6\n8 12\n255\n")


@pytest.mark.parametrize("crop", ["center", "none", "pad"])
@pytest.mark.parametrize("resize", ["lanczos", "nearest"])
def test_pictures_are_brought_to_size_as_the_metadata_of_the_file_say(gentranslate, files, tmp_path, crop, resize):
    (tmp_path / "m.tflite").write_bytes(tinted.described(files[0], crop=crop, resize=resize, background="#20a0ff"))
    device, made = DeviceGenerator(str(tmp_path / "m.tflite")), []
    for size in ((100, 61), (20, 99)):
        tinted.waves(*size).save(tmp_path / "picture.ppm")
        assert gentranslate("m.tflite", "picture.ppm", "made.ppm").returncode == 0
        made.append(pixels(tmp_path / "made.ppm"))
        assert differ(made[-1], device.translate([tmp_path / "picture.ppm"])[0]) <= 1
    assert crop != "pad" or made[0][0, 0].tolist() == [0x20, 0xA0, 0xFF]


def test_dots_are_hints(gentranslate, files, tmp_path):
    tinted.waves(40, 40).save(tmp_path / "picture.ppm")
    done = gentranslate("-d", "2,3,d22f27", "-d", "7,0,3F7FD1", files[0], "picture.ppm", "made.ppm")
    assert (done.returncode, done.stderr) == (0, b"")
    hints = tinted.hints((2, 3, (0xD2, 0x2F, 0x27)), (7, 0, (0x3F, 0x7F, 0xD1)))
    expected = DeviceGenerator(str(files[0])).translate([tmp_path / "picture.ppm"], hints=hints)[0]
    assert differ(pixels(tmp_path / "made.ppm"), expected) <= 1
    assert pixels(tmp_path / "made.ppm")[4, 3].tolist() == [0xD2, 0x2F, 0x27]


def test_a_model_with_latents_takes_a_seed(gentranslate, painter_tflite, tmp_path):
    tinted.waves(30, 30).save(tmp_path / "picture.ppm")
    image = prepared((tmp_path / "picture.ppm").read_bytes(), (6, 4, 3))[None].astype(np.float32) / 255
    runner = Interpreter(model_path=str(painter_tflite)).get_signature_runner("generate")
    for seed in (0, -7):
        assert gentranslate("-s", seed, painter_tflite, "picture.ppm", "made.ppm").returncode == 0
        images = runner(latents=latents(np.array([seed]), 5), image=image)["images"][0]
        assert differ(pixels(tmp_path / "made.ppm"), np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)) <= 1


def test_it_reads_what_netpbm_allows_from_a_pipe_too(gentranslate, files):
    plain = b"P3 # colours\n8 12\n# the largest value\n100\n" + b"\n".join(b"%d" % (i % 101) for i in range(288))
    deep = b"P5 8 12 65535\n" + np.arange(96, dtype=">u2").tobytes() + b"P5 8 12"
    for content in (plain, deep, b"P2\n8 12\n255\n" + b" 7" * 96):
        done = gentranslate(files[0], "-", "-", input=content)
        assert (done.returncode, done.stderr) == (0, b"")
        assert len(done.stdout) == len(b"P6\n8 12\n255\n") + 288
    assert done.stdout[-288:] == b"\7" * 288
    done = gentranslate(files[0], "-", "-", input=plain)
    values = np.frombuffer(done.stdout[-288:], np.uint8)
    assert np.array_equal(values, np.rint(np.arange(288) % 101 / 100 * 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is no PPM or PGM: expected a file that begins with P6, P5, P3 or P2"),
        (b"\x89PNG\r\n\x1a\n", "is no PPM or PGM"),
        (b"P4\n8 8\n", "is no PPM or PGM"),
        (b"P6\n8", "damaged: expected width, height and largest value after P6"),
        (b"P6\n8 -8\n255\n", "damaged: expected width, height and largest value"),
        (b"P6\n8 0\n255\n", "damaged: expected width, height and largest value"),
        (b"P6\n8 8\n70000\n", "damaged: expected width, height and largest value"),
        (b"P6\n99999999999999999999 8\n255\n", "damaged: expected width, height and largest value"),
        (b"P6\n60000 60000\n255\n", "60000×60000 pixels are too many"),
        (b"P6\n8 12\n255\n" + bytes(200), "damaged: found 200 of 288 values from 0 to 255"),
        (b"P5\n8 12\n100\n" + b"\xff" * 96, "damaged: found 0 of 96 values from 0 to 100"),
        (b"P3\n8 12\n255\n1 2 x", "damaged: found 2 of 288 values"),
    ],
)
def test_a_picture_that_is_none_is_a_line(fails, files, tmp_path, content, reason):
    (tmp_path / "picture.ppm").write_bytes(content)
    code, line = fails(files[0], "picture.ppm", "made.ppm")
    assert code == 1
    assert line.startswith("picture.ppm")
    assert reason in line


def test_wrong_usage_is_a_line_and_exit_code_2(fails, files, tmp_path):
    tinted.waves(8, 12).save(tmp_path / "picture.ppm")
    run = [files[0], "picture.ppm", "made.ppm"]
    for arguments, found in (
        ([], "found 0 arguments, expected 3; usage"),
        ([files[0], "picture.ppm"], "found 2 arguments"),
        (["-q", *run], "-q: no such option"),
        (["-d"], "-d: found no value"),
        (["-d", "1,2", *run], "dot: found '1,2', expected a place and a colour such as 12,30,ff8800"),
        (["-d", "1,2,red", *run], "dot: found '1,2,red'"),
        (["-d", "-1,2,ff0000", *run], "dot: found '-1,2,ff0000'"),
        (["-d", "8,2,ff0000", *run], "dot: found 8,2, expected a place in 8×12 pixels"),
        (["-s", "one", *run], "seed: found 'one'"),
        (["-l", "3", *run], "label: found 3, expected none"),
    ):
        code, line = fails(*arguments)
        assert (code, found in line) == (2, True), line


def test_what_is_not_for_it_is_said(fails, gentranslate, programs, files, tflite, tmp_path):
    tinted.waves(8, 12).save(tmp_path / "picture.ppm")
    assert fails(tflite, "picture.ppm", "made.ppm") == (1, f"{tflite} makes images of seeds: run gensample")
    assert fails(files[0], "none.ppm", "made.ppm") == (1, "cannot read none.ppm: No such file or directory")
    assert fails(files[0], ".", "made.ppm") == (1, "cannot read .: Is a directory")
    assert fails(files[0], "picture.ppm", "none/made.ppm")[0] == 1
    done = subprocess.run([programs / "gensample", files[0], "7", tmp_path / "x.ppm"], capture_output=True, timeout=60)
    assert (done.returncode, done.stderr.decode()) == (
        1,
        f"gensample: {files[0]} makes images of pictures: run gentranslate\n",
    )
    assert gentranslate("-h").stdout.startswith(b"usage: gentranslate ")


@pytest.mark.parametrize("compiler", ["cc -std=c99", "c++ -std=c++11"])
def test_the_header_compiles_without_warnings(tmp_path, compiler):
    command, standard = compiler.split()
    if not shutil.which(command):
        pytest.skip(f"no {command}: {TOOLS}")
    source = tmp_path / ("main.c" if command == "cc" else "main.cc")
    source.write_text(f'#include "{EMBEDDED}/genline_pictures.h"\nint main(void) {{ return 0; }}\n')
    warnings = ["-Wall", "-Wextra", "-Werror"]
    subprocess.run([command, standard, *warnings, source, "-o", tmp_path / "main", "-lm"], check=True, timeout=60)


def test_the_sanitizers_find_nothing(files, tmp_path):
    try:
        folder = build(tmp_path / "asan", CFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all")
    except AssertionError as error:
        if "lasan" in str(error) or "lubsan" in str(error):
            pytest.skip(f"no sanitizers: {TOOLS}")
        raise
    environment = {**os.environ, "ASAN_OPTIONS": "log_path=report", "UBSAN_OPTIONS": "log_path=report"}
    (tmp_path / "pad.tflite").write_bytes(tinted.described(files[0], crop="pad", background="#ffffff"))
    tinted.waves(500, 37).save(tmp_path / "picture.ppm")
    (tmp_path / "cut.ppm").write_bytes((tmp_path / "picture.ppm").read_bytes()[:999])
    for arguments, code in (
        ([files[0], "picture.ppm", "-"], 0),
        (["-d", "0,11,000000", "pad.tflite", "picture.ppm", "made.ppm"], 0),
        ([files[1], "cut.ppm", "-"], 1),
    ):
        command = [folder / "gentranslate", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, cwd=tmp_path, env=environment, timeout=60)
        assert done.returncode == code, done
        assert not list(tmp_path.glob("report*")), done
