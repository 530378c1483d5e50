"""The commands with a file in place of a server."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys

import numpy as np
import pytest


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


def test_a_terminal_sees_how_far_a_file_has_got(tflite, tmp_path):
    ours, terminal = pty.openpty()
    command = [sys.executable, "-c", "from genclient.cli import main; main()", "sample", "--tflite", str(tflite)]
    try:
        subprocess.run([*command, "--n", "64", "--threads", "2"], stderr=terminal, cwd=tmp_path, check=True, timeout=60)
        shown = os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
        os.close(terminal)
    assert shown.startswith("\r\x1b[K0 of 64 images")
    assert "\r\x1b[K32 of 64 images" in shown
    assert shown.endswith("\r\x1b[K")


def test_interruption_ends_with_130_and_no_partial_file(tflite, tmp_path):
    command = [sys.executable, "-c", "from genclient.cli import main; main()", "sample", "--tflite", str(tflite)]
    options = ("--n", "1000000", "--threads", "2", "--out", "pictures/")
    settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "cwd": tmp_path}
    with subprocess.Popen([*command, *options], **settings) as process:
        assert process.stdout.readline() == b"pictures/seed0000.png\n"
        process.send_signal(signal.SIGINT)
        stderr = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert stderr.endswith(b" of 1000000 images are in pictures/; run the same command again to go on\n")
    assert {path.suffix for path in (tmp_path / "pictures").iterdir()} == {".png", ".json"}


@pytest.mark.parametrize("threads", [0, -1, 257])
def test_a_number_of_threads_that_makes_no_sense_is_refused(fails, tflite, threads):
    found = fails("sample", "--tflite", tflite, "--threads", threads)
    assert found == (2, f"threads: found {threads}, expected 1 to 256")


def test_threads_and_names_of_classes_need_a_file(fails):
    found = fails("sample", "--threads", 2)
    assert found == (2, "--threads: found 2 without --tflite, expected only with a file")
    code, line = fails("sample", "--label", "rain")
    assert (code, line.split(",")[0]) == (2, "--label: found 'rain'")


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
    assert done.stderr == b"genclient: --tflite needs LiteRT: pip install ai-edge-litert\n"
