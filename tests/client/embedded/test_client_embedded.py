"""gensample, the C program: built with warnings as errors, run on real files, compared with the Python runner."""

import os
import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from embedded import EMBEDDED, NEEDS_COMPILER, TOOLS, build, differ, pixels
from genclient import DeviceGenerator
from genclient.images.grid import grid
from genexport.tflite import metadata

pytestmark = NEEDS_COMPILER


@pytest.fixture
def gensample(programs, tmp_path):
    """Run it in an empty folder; gives the finished process, its output as bytes."""

    def run(*arguments, **settings):
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path, "timeout": 60, **settings}
        return subprocess.run([programs / "gensample", *map(str, arguments)], check=False, **settings)

    return run


@pytest.fixture
def fails(gensample, tmp_path):
    """See that it fails as every failure must, with one line and no file, and return the exit code and the line."""

    def run(*arguments, **settings):
        before = sorted(tmp_path.iterdir())
        done = gensample(*arguments, **settings)
        lines = done.stderr.decode().splitlines()
        assert len(lines) == 1, done.stderr.decode()
        assert lines[0].startswith("gensample: ")
        assert not done.stdout
        assert sorted(tmp_path.iterdir()) == before
        return done.returncode, lines[0].removeprefix("gensample: ")

    return run


def python_grid(file, seeds, **options):
    """The image grid that genclient makes of the same file."""
    batches = DeviceGenerator(str(file)).stream(np.array(seeds, np.int64), **options)
    return grid(np.concatenate([batch.images for batch in batches]))


@pytest.mark.parametrize("compiler", ["cc -std=c99", "c++ -std=c++11"])
def test_the_header_draws_the_latents_of_tensorflows_op(tmp_path, compiler):
    command, standard = compiler.split()
    if not shutil.which(command):
        pytest.skip(f"no {command}: {TOOLS}")
    source = tmp_path / ("main.c" if command == "cc" else "main.cc")
    source.write_text(
        f'#include "{EMBEDDED}/genline_seeds.h"\n#include <stdio.h>\n#include <stdlib.h>\n'
        "int main(int argc, char **argv) { float z[103]; for (int i = 1; i < argc; ++i) {"
        "genline_latents(strtoll(argv[i], 0, 10), 1.0f, z, 103);"
        'for (int j = 0; j < 103; ++j) printf("%.9g ", (double)z[j]); } return 0; }\n'
    )
    warnings = ["-Wall", "-Wextra", "-Werror"]
    subprocess.run([command, standard, *warnings, source, "-o", tmp_path / "main", "-lm"], check=True, timeout=60)
    seeds = [0, 1, 42, 2**31, 2**32 + 5, 2**63 - 1, -1, -12345, -(2**63)]
    printed = subprocess.run([tmp_path / "main", *map(str, seeds)], capture_output=True, check=True, timeout=60).stdout
    drawn = np.array(printed.split(), np.float32).reshape(len(seeds), 103)
    for row, seed in zip(drawn, seeds, strict=True):
        expected = tf.raw_ops.StatelessRandomNormalV2(
            shape=[103], key=tf.constant([seed % 2**64], tf.uint64), counter=tf.constant([0, 0], tf.uint64), alg=1
        )
        np.testing.assert_allclose(row, expected.numpy(), rtol=0, atol=1e-5)


def test_every_file_of_a_version_gives_the_images_of_the_python_runner(gensample, repository, tmp_path):
    files = sorted((repository / "digits/1/tflite").glob("*.tflite"))
    assert {"digits-float32.tflite", "digits-dynamic.tflite"} <= {file.name for file in files}
    for file in files:
        done = gensample(file, "0-9", "grid.pgm")
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b""), file
        assert differ(pixels(tmp_path / "grid.pgm"), python_grid(file, range(10))) <= 1, file


@pytest.mark.parametrize("seed", [-5, -(2**63), 2**63 - 1, 2**32 + 5])
def test_a_seed_is_any_number_of_64_bits(gensample, tflite, tmp_path, seed):
    assert gensample("-t", "0.7", tflite, seed, "one.ppm").returncode == 0
    assert differ(pixels(tmp_path / "one.ppm"), python_grid(tflite, [seed], truncation=0.7)) <= 1


def test_a_range_may_end_below_zero(gensample, tflite, tmp_path):
    assert gensample(tflite, "-8--4", "grid.ppm").returncode == 0
    assert differ(pixels(tmp_path / "grid.ppm"), python_grid(tflite, range(-8, -3))) <= 1


def test_a_label_chooses_the_class(gensample, conditional_tflite, tmp_path):
    for label in (0, 3):
        assert gensample("-l", label, conditional_tflite, 7, "one.ppm").returncode == 0
        assert differ(pixels(tmp_path / "one.ppm"), python_grid(conditional_tflite, [7], label=label)) <= 1


def test_words_say_what_is_to_be_seen(gensample, fails, words, tflite, tmp_path):
    for kind in ("float32", "int8"):
        file = words / f"models/words/1/tflite/words-{kind}.tflite"
        for arguments in (["--text", "BLUE café", file, "-2", "one.ppm"], [file, "-2", "one.ppm", "--text=BLUE café"]):
            done = gensample(*arguments)
            assert (done.returncode, done.stderr) == (0, b"")
            assert differ(pixels(tmp_path / "one.ppm"), python_grid(file, [-2], texts="BLUE café")) <= 1
    assert gensample(file, "0-3", "one.ppm").returncode == 0, "whatever it likes"
    assert differ(pixels(tmp_path / "one.ppm"), python_grid(file, range(4))) <= 1
    done = gensample(file, 0, "one.ppm", "--text", "red hart, gren")
    assert (done.returncode, done.stderr) == (0, f"gensample: {file} knows 1 of 3 words\n".encode())
    assert fails("--text", "hart", file, 0, "o.ppm") == (2, f"text: found no word that {file} knows in 'hart'")
    assert fails("--text", "red", tflite, 0, "o.ppm") == (
        2,
        "text: found 'red', expected none, since this generator takes no words",
    )
    mute = tmp_path / "mute.tflite"
    mute.write_bytes(file.read_bytes().replace(b'"vocabulary"', b'"vocabulari"'))
    assert fails("--text", "red", mute, 0, "o.ppm") == (
        1,
        f"{mute}: its metadata has no vocabulary, which a text needs",
    )


def test_quantised_pixels_are_the_pixels(gensample, quantised_tflite, tmp_path):
    assert gensample(quantised_tflite, "0-3", "grid.ppm").returncode == 0
    assert differ(pixels(tmp_path / "grid.ppm"), python_grid(quantised_tflite, range(4))) <= 1


def test_grey_images_are_pgm_unless_the_name_asks_for_ppm(gensample, repository, tmp_path):
    file = repository / "digits/1/tflite/digits-dynamic.tflite"
    done = gensample(file, 1, "-")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"P5\n28 28\n255\n")
    assert len(done.stdout) == len(b"P5\n28 28\n255\n") + 28 * 28
    assert gensample(file, 1, "one.ppm").returncode == 0
    assert (tmp_path / "one.ppm").read_bytes().startswith(b"P6\n28 28\n255\n")
    assert (pixels(tmp_path / "one.ppm") == python_grid(file, [1])).all()


def test_help_is_a_line_on_stdout(gensample):
    done = gensample("-h")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"usage: gensample ")


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ([], "found 0 arguments, expected 3; usage"),
        (["MODEL", "1"], "found 2 arguments"),
        (["MODEL", "1", "out.ppm", "more"], "found 4 arguments"),
        (["MODEL", "1", "out.ppm", "--text"], "--text: found no value"),
        (["-q", "MODEL", "1", "out.ppm"], "-q: no such option"),
        (["-t"], "-t: found no value"),
        (["-t", "nan", "MODEL", "1", "out.ppm"], "truncation: found 'nan'"),
        (["-t", "1x", "MODEL", "1", "out.ppm"], "truncation: found '1x'"),
        (["-l", "-1", "MODEL", "1", "out.ppm"], "label: found '-1'"),
        (["-l", "3", "MODEL", "1", "out.ppm"], "label: found 3, expected none"),
        (["MODEL", "one", "out.ppm"], "seed: found 'one'"),
        (["MODEL", "1-", "out.ppm"], "seed: found '1-'"),
        (["MODEL", "1.5", "out.ppm"], "seed: found '1.5'"),
        (["MODEL", "", "out.ppm"], "seed: found ''"),
        (["MODEL", "9223372036854775808", "out.ppm"], "seed: found '9223372036854775808'"),
        (["MODEL", "5-3", "out.ppm"], "seed: found '5-3', expected a range upwards"),
        (["MODEL", "-9223372036854775808-9223372036854775807", "out.ppm"], "expected a range upwards"),
    ],
)
def test_wrong_usage_is_a_line_and_exit_code_2(fails, tflite, arguments, found):
    code, line = fails(*[tflite if argument == "MODEL" else argument for argument in arguments])
    assert code == 2
    assert found in line


def test_a_generator_with_classes_asks_for_one(fails, conditional_tflite):
    assert fails(conditional_tflite, 1, "out.ppm") == (
        2,
        "label: found none, expected the index of a class (-l), since this generator is conditional",
    )


def test_a_label_is_one_of_the_classes_that_the_file_names(fails, gensample, conditional_tflite, tmp_path):
    (tmp_path / "letters.tflite").write_bytes(metadata.add(conditional_tflite.read_bytes(), {"class_count": 4}))
    assert gensample("-l", 3, "letters.tflite", 1, "out.ppm").returncode == 0
    assert fails("-l", 4, "letters.tflite", 1, "out.ppm") == (2, "label: found 4, expected 0 to 3")


def test_a_truncation_beyond_the_integers_of_the_file_is_reported(gensample, tflite, tmp_path):
    names = ["a class of a long name"] * 400
    described = {"class_names": names, "latents": {"truncation_at_most": 0.8}}
    (tmp_path / "integers.tflite").write_bytes(metadata.add(tflite.read_bytes(), described))
    for truncation, noted in ((0.8, False), (-0.8, False), (0.9, True), (-0.9, True)):
        done = gensample("-t", truncation, "integers.tflite", 1, "out.ppm")
        assert (done.returncode, bool(done.stderr)) == (0, noted)
        assert differ(pixels(tmp_path / "out.ppm"), python_grid(tflite, [1], truncation=truncation)) <= 1
    assert done.stderr == (
        b"gensample: integers.tflite: its integers hold the generator's images up to a truncation of 0.8, not of -0.9; "
        b"the float32 and dynamic files take any\n"
    )


def test_files_that_cannot_be_run_are_named(fails, tflite, other_tflite, tmp_path):
    (tmp_path / "text.tflite").write_text("no model at all\n" * 9)
    (tmp_path / "half.tflite").write_bytes(tflite.read_bytes()[: tflite.stat().st_size // 2])
    (tmp_path / "empty.tflite").touch()
    assert fails("none.tflite", 1, "out.ppm") == (1, "cannot read none.tflite: No such file or directory")
    assert fails(".", 1, "out.ppm") == (1, "cannot read .: Is a directory")
    assert fails("text.tflite", 1, "out.ppm") == (1, "text.tflite is not a TFLite model")
    assert fails("empty.tflite", 1, "out.ppm") == (1, "empty.tflite is not a TFLite model: it has 0 bytes")
    assert fails("half.tflite", 1, "out.ppm") == (
        1,
        "half.tflite is not a TFLite model that LiteRT can run: status 501",
    )
    assert fails(other_tflite, 1, "out.ppm") == (
        1,
        f"{other_tflite}: its signature is not latents [, labels] [, tokens] → images, nor image [, hints] → images",
    )


def test_damaged_files_never_crash_it(gensample, tflite, tmp_path):
    content, random = tflite.read_bytes(), np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(content)
        for place in random.integers(8, len(content), 8):
            damaged[place] ^= 1 << int(random.integers(8))
        (tmp_path / "damaged.tflite").write_bytes(damaged)
        done = gensample("damaged.tflite", 1, "out.ppm")
        assert done.returncode in (0, 1), done
        assert done.stderr.count(b"\n") == done.returncode


def test_what_cannot_be_written_is_said_and_nothing_is_left(fails, tflite, tmp_path):
    (tmp_path / "folder").mkdir()
    assert fails(tflite, 1, "/dev/full") == (1, "cannot write /dev/full: No space left on device")
    assert fails(tflite, 1, "nowhere/out.ppm") == (1, "cannot write nowhere/out.ppm: No such file or directory")
    assert fails(tflite, 1, "folder") == (1, "cannot write folder: Is a directory")


def test_a_full_disk_behind_standard_output_is_said(fails, gensample, tflite):
    with open("/dev/full", "wb") as full:
        done = gensample(tflite, 1, "-", stdout=full)
    assert (done.returncode, done.stderr) == (1, b"gensample: cannot write -: No space left on device\n")


# Kind of file → the program, the fixture that has the file and where in it, and what is given before and behind it.
CHECKED = {
    "latents": ("gensample", "repository", "digits/1/tflite/digits-int8.tflite", (), ("0-1", "out.ppm")),
    "labels": ("gensample", "conditional_tflite", "", ("-l", 1), (3, "out.ppm")),
    "words": ("gensample", "words", "models/words/1/tflite/words-float32.tflite", ("--text", "blue"), (0, "out.ppm")),
    "clips": ("gensample", "clip_models", "models/moving/1/tflite/moving-float32.tflite", (), (0, "out.ppm")),
    "a picture": ("gentranslate", "clip_models", "models/alive/1/tflite/alive-float32.tflite", (), ("in.ppm", "out")),
}


@pytest.mark.parametrize("kind", CHECKED)
def test_valgrind_finds_no_error_and_no_leak(kind, programs, request, tmp_path):
    if not shutil.which("valgrind"):
        pytest.skip(f"no valgrind: {TOOLS}")
    program, fixture, place, before, behind = CHECKED[kind]
    (tmp_path / "in.ppm").write_bytes(b"P6\n20 12\n255\n" + bytes(range(240)) * 3)
    checks = ["--error-exitcode=9", "--leak-check=full", "--errors-for-leak-kinds=definite", "--quiet"]
    arguments = [*before, request.getfixturevalue(fixture) / place, *behind]
    command = ["valgrind", *checks, programs / program, *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, cwd=tmp_path, timeout=120)
    assert (done.returncode, done.stderr) == (0, b""), done.stderr.decode()
    assert list(tmp_path.glob("out*"))


def test_the_sanitizers_find_nothing(tflite, conditional_tflite, tmp_path):
    try:
        program = (
            build(tmp_path / "asan", CFLAGS="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all")
            / "gensample"
        )
    except AssertionError as error:
        if "lasan" in str(error) or "lubsan" in str(error):
            pytest.skip(f"no sanitizers: {TOOLS}")
        raise
    reports = {"ASAN_OPTIONS": "log_path=report", "UBSAN_OPTIONS": "log_path=report"}
    for arguments, code in (
        [[tflite, "-3-5", "out.ppm"], 0],
        [["-l", "2", conditional_tflite, "3", "-"], 0],
        [[conditional_tflite, "3", "-"], 2],
        [[tflite, "3", "/dev/full"], 1],
    ):
        command = [program, *map(str, arguments)]
        environment = {**os.environ, **reports}
        done = subprocess.run(command, check=False, capture_output=True, cwd=tmp_path, env=environment, timeout=60)
        assert done.returncode == code, done
        assert not list(tmp_path.glob("report*")), done


@pytest.fixture(scope="module")
def arm_library(tmp_path_factory):
    """The folder of libLiteRt.so for ARM64, out of the same release's wheel."""
    folder = tmp_path_factory.mktemp("aarch64")
    version = subprocess.run(
        [sys.executable, "-c", "from importlib.metadata import version; print(version('ai-edge-litert'))"],
        capture_output=True, text=True, check=True, timeout=60,
    ).stdout.strip()  # fmt: skip
    wheel_options = [
        "--platform",
        "manylinux_2_27_aarch64",
        "--only-binary=:all:",
        "--no-deps",
        f"ai-edge-litert=={version}",
    ]
    command = [sys.executable, "-m", "pip", "download", "--quiet", *wheel_options, "--dest", folder]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300)
    wheels = list(folder.glob("*.whl"))
    if not wheels:
        pytest.skip(f"no ARM64 wheel of ai-edge-litert to be had: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        return Path(wheel.extract("ai_edge_litert/libLiteRt.so", folder)).parent


def test_on_arm64_the_images_are_the_same(arm_library, repository, quantised_tflite, tmp_path):
    """An ARM64 processor without the newer instructions, emulated; LiteRT asks /proc/cpuinfo what it is."""
    for tool in ("aarch64-linux-gnu-gcc", "qemu-aarch64-static"):
        if not shutil.which(tool):
            pytest.skip(f"no {tool}: {TOOLS}")
    if platform.machine() == "aarch64":
        pytest.skip("this machine is ARM64: the other tests show it")
    program = build(tmp_path / "arm", CC="aarch64-linux-gnu-gcc", LITERT=arm_library) / "gensample"
    root = tmp_path / "root"
    (root / "proc").mkdir(parents=True)
    (root / "lib").symlink_to("/usr/aarch64-linux-gnu/lib")
    (root / "proc/cpuinfo").write_text(
        "processor\t: 0\nFeatures\t: fp asimd\nCPU implementer\t: 0x41\nCPU architecture: 8\n"
        "CPU variant\t: 0x0\nCPU part\t: 0xd08\nCPU revision\t: 3\n\n"
    )
    files = [*(repository / "digits/1/tflite").glob("*-dynamic.tflite"), quantised_tflite]
    for file in [*files, *(repository / "digits/1/tflite").glob("*-int8.tflite")]:
        command = [
            "qemu-aarch64-static",
            "-cpu",
            "cortex-a72",
            "-L",
            root,
            program,
            file,
            "-3-5",
            tmp_path / "grid.pnm",
        ]
        subprocess.run(command, check=True, timeout=120)
        assert differ(pixels(tmp_path / "grid.pnm"), python_grid(file, range(-3, 6))) <= 1, file
