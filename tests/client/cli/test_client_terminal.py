"""What the command says to a terminal, and to a stdout that is none or takes nothing."""

import io
import os
import pty
import re
import subprocess
import sys

import numpy as np
from genclient.images.terminal import protocol, render
from PIL import Image


def run_with_stdout(stdout, *arguments, **settings):
    """Run the command with this stdout and give the finished process."""
    command = [sys.executable, "-c", "from genclient.cli import main; main()", *map(str, arguments)]
    settings = {"check": False, "stderr": subprocess.PIPE, "timeout": 60, **settings}
    return subprocess.run(command, stdout=stdout, **settings)


def test_a_stdout_that_takes_nothing_is_named(serve, tmp_path):
    with open("/dev/full", "wb") as full:
        for arguments in (("sample", "--out", "-"), ("sample",), ("status",)):
            done = run_with_stdout(full, *arguments, "--target", serve().target, cwd=tmp_path)
            assert done.returncode == 1
            assert done.stderr == b"genclient: cannot write to standard output: No space left on device\n"


def test_a_closed_stdout_is_named(serve, tmp_path):
    done = run_with_stdout(None, "sample", "--out", "-", "--target", serve().target, preexec_fn=lambda: os.close(1))
    assert (done.returncode, done.stderr.decode().count("\n")) == (2, 1)
    assert done.stderr.startswith(b"genclient: --out -: found a terminal or nothing on stdout")


def test_a_terminal_gets_no_picture_but_does_get_progress(serve, tmp_path):
    ours, terminal = pty.openpty()
    try:
        done = run_with_stdout(terminal, "sample", "--out", "-", "--target", serve().target)
        assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
        done = run_with_stdout(
            subprocess.PIPE, "sample", "--n", 70, "--target", serve().target, stderr=terminal, cwd=tmp_path
        )
        assert (done.returncode, done.stdout) == (0, b"out.png\n")
        shown = os.read(ours, 1000).decode()
    finally:
        os.close(ours)
        os.close(terminal)
    assert "64 of 70 images" in shown
    assert shown.startswith("\r\x1b[K0 of 70 images")
    assert shown.endswith("\r\x1b[K")


def test_show_draws_half_blocks_in_the_images_colours(genclient, serve, tmp_path, tools):
    done = genclient("sample", "--target", serve().target, "--n", 1, "--show")
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert lines[0] == "out.png"
    assert len(lines) == 1 + 4 * 3  # six rows of pixels, two a line, four times as large
    with Image.open(tmp_path / "out.png") as picture:
        r, g, b = picture.getpixel((0, 0))
    assert lines[1].startswith(f"\x1b[38;2;{r};{g};{b};48;2;{r};{g};{b}m▀▀▀▀")
    done = genclient("sample", "--target", serve().target, "--n", 1, "--show", "--out", "-")
    assert Image.open(io.BytesIO(done.stdout)).size == (4 * 64, 6 * 64)
    assert "▀" in done.stderr.decode()


def test_pictures_are_drawn_no_wider_than_the_terminal():
    image = np.random.default_rng(0).integers(0, 256, (50, 300, 4), np.uint8)
    lines = render(image, 80).splitlines()
    assert {line.count("▀") for line in lines} == {80}
    assert len(lines) == 7  # 13 rows of pixels


def test_a_terminal_gets_a_picture_only_if_it_surely_takes_it():
    assert protocol({"TERM": "xterm-kitty"}) == "kitty"
    assert protocol({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}) == "iterm"
    assert protocol({"TERM": "tmux-256color", "TERM_PROGRAM": "iTerm.app"}) == "blocks"
    assert protocol({"TERM": "screen", "KITTY_WINDOW_ID": "1"}) == "blocks"
    image = np.random.default_rng(0).integers(0, 256, (99, 99, 3), np.uint8)
    drawn = render(image, 80, {"TERM": "xterm-kitty"})
    parts = drawn.removesuffix("\n").split("\x1b\\")[:-1]
    assert parts[0].startswith("\x1b_Ga=T,f=100,m=1;")
    assert [part[part.index("m=") + 2] for part in parts] == ["1"] * (len(parts) - 1) + ["0"]
    assert all(len(part.split(";")[1]) <= 4096 for part in parts)
    assert render(image, 80, {"TERM": "vt", "TERM_PROGRAM": "iTerm.app"}).startswith("\x1b]1337;File=inline=1;size=")


def test_progress_and_paths_share_a_terminal(genclient, serve):
    ours, terminal = pty.openpty()
    try:
        done = genclient(
            "sample", "--target", serve().target, "--n", 70, "--out", "p/", stdout=terminal, stderr=terminal
        )
        assert done.returncode == 0
        shown = os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
        os.close(terminal)
    assert re.search(r"\r\x1b\[K64 of 70 images   [\d,.]+/s   \d+ s left", shown)
    assert shown.endswith("\r\x1b[Kp/: 70 images\r\n"), "one line, and not one for each file"
    assert "seed0000.png" not in shown


def test_what_is_waited_for_and_the_seconds_left_are_on_the_terminal_until_time_is_over(genclient, serve):
    served = serve(versions=[(1, "LOADING", "")])
    ours, terminal = pty.openpty()
    try:
        done = genclient("wait", "--target", served.target, "--timeout", 2, stderr=terminal)
        shown = os.read(ours, 100_000).decode()
    finally:
        os.close(ours)
        os.close(terminal)
    assert (done.returncode, done.stdout) == (1, b"")
    lines = shown.split("\r\x1b[K")
    left = [int(found[1]) for line in lines if (found := re.match(r"(\d+) s left: .*LOADING", line))]
    assert left
    assert left == sorted(left, reverse=True)
    assert set(left) <= {0, 1, 2}
    assert lines[-2] == "", "nothing of it stays before the error"
    assert lines[-1].startswith("genclient: model 'digits' not available after 2 s; last seen: ")
