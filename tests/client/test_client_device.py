"""A TFLite file on this machine, run by the real LiteRT: the images are those of the server for the same seeds."""

import subprocess
import sys

import numpy as np
import pytest
from genclient import ClientError, DeviceGenerator, UsageError


def test_a_file_makes_the_images_that_a_server_makes(tflite, tools):
    generator = DeviceGenerator(str(tflite))
    batches = list(generator.stream(np.arange(40, dtype=np.int64), truncation=0.8))
    images = np.concatenate([batch.images for batch in batches])
    expected = tools.pixels(tools.render(tools.draw(range(40)) * 0.8))
    assert images.dtype == np.uint8
    assert len(batches) > 1
    assert np.abs(images.astype(int) - expected).max() <= 1


def test_a_file_with_labels_asks_for_one(conditional_tflite, tools):
    generator = DeviceGenerator(str(conditional_tflite))
    batch = next(generator.stream(np.array([3]), label=2))
    assert np.abs(batch.images.astype(int) - tools.pixels(tools.render(tools.draw([3]), [2]))).max() <= 1
    with pytest.raises(UsageError, match=r"^label: found none"):
        generator.stream(np.array([3]))


def test_a_file_whose_output_is_quantised_gives_its_pixels(quantised_tflite, tools):
    generator = DeviceGenerator(str(quantised_tflite))
    assert generator.info().signatures["generate"].outputs["images"].dtype == "uint8"
    images = next(generator.stream(np.arange(8))).images
    assert np.abs(images.astype(int) - tools.pixels(tools.render(tools.draw(range(8))))).mean() < 8


def test_a_file_that_is_no_generator_is_described(other_tflite):
    with pytest.raises(ClientError, match=r"signature 'generate' is x float32 \(1, 3\) → y float32 \(1, 3\); expected"):
        DeviceGenerator(str(other_tflite)).stream(np.array([0]))


def test_the_command_takes_a_file_in_place_of_a_server(genclient, tflite, tmp_path, tools):
    done = genclient("sample", "--tflite", tflite, "--seeds", "1,5", "--out", "images.npz")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"images.npz\n", b"")
    with np.load(tmp_path / "images.npz") as arrays:
        assert arrays["seeds"].tolist() == [1, 5]
        assert np.abs(arrays["images"].astype(int) - tools.pixels(tools.render(tools.draw([1, 5])))).max() <= 1


def test_info_describes_a_file(genclient, tflite):
    done = genclient("info", "--tflite", tflite)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines() == [
        "model      generator.tflite",
        "latents    5",
        "images     6 × 4 × 3",
        "labels     no",
        "signature  generate  latents float32 (1, 5) → images float32 (1, 6, 4, 3)",
    ]


def test_files_that_cannot_be_run_are_refused(fails, tflite, tmp_path):
    (tmp_path / "garbage.tflite").write_bytes(b"no model" * 99)
    (tmp_path / "empty.tflite").write_bytes(b"")
    (tmp_path / "half.tflite").write_bytes(tflite.read_bytes()[: tflite.stat().st_size // 2])
    for name in ("garbage", "empty", "half"):
        code, line = fails("sample", "--tflite", f"{name}.tflite")
        assert (code, line.split(":")[0]) == (1, f"{name}.tflite is not a TFLite model that LiteRT can run")
    assert fails("sample", "--tflite", "none.tflite") == (1, "cannot read none.tflite: No such file or directory")
    assert fails("sample", "--tflite", ".") == (1, "cannot read .: Is a directory")


@pytest.mark.parametrize("option", ["--target=x:1", "--model=x", "--timeout=9", "--signature=png"])
def test_options_of_a_server_do_not_go_with_a_file(fails, tflite, option):
    name = option.split("=")[0]
    assert fails("sample", "--tflite", tflite, option) == (
        2,
        f"{name}: found beside --tflite, expected only with a server",
    )


def test_without_litert_it_says_what_to_install(tflite):
    program = "import sys; sys.modules['ai_edge_litert'] = None; from genclient.cli import main; main()"
    command = [sys.executable, "-c", program, "sample", "--tflite", str(tflite)]
    done = subprocess.run(command, check=False, capture_output=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr == b"genclient: --tflite needs LiteRT: pip install 'genline[device]'\n"
