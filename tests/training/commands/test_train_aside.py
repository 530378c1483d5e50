"""Long work in a process of its own: its result, its errors, its end. In processes without TensorFlow, as commands."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

PROGRAM = """
import os, signal, time
from gentrain.commands.aside import aside
from gentrain.errors import TrainError

here, done = os.getpid(), []

def quick():
    return os.getpid() != here

def slow():
    time.sleep(1)
    return os.getpid() != here

def fails():
    raise TrainError("no such folder")

def dies():
    if os.getpid() != here:
        os.kill(os.getpid(), signal.SIGKILL)
    return "here"

class Odd(Exception):
    def __init__(self, first, second):
        super().__init__(f"{first} {second}")

def odd():
    raise Odd("not", "sent")

def other():
    done.append(1)

"""


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("print(aside(slow, other), done)", "True [1]"),
        ("print(aside(quick, other), done)", "True []"),
        ("import sys; sys.modules['tensorflow'] = sys\nprint(aside(quick, other), done)", "False []"),
        ("print(aside(dies, other), done)", "here []"),
        ("try: aside(fails, other)\nexcept TrainError as error: print(error, done)", "no such folder []"),
        ("try: aside(odd, other)\nexcept Odd as error: print(error, done)", "not sent []"),
        ("try: aside(slow, fails)\nexcept TrainError as error: print(error, done)", "no such folder []"),
    ],
)
def test_work_aside_gives_what_it_would_give_here(program: str, expected: str) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM + program], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == (expected, "")


def test_nobody_is_left_when_the_command_is_killed() -> None:
    program = PROGRAM + "\ndef end(): os.kill(here, signal.SIGKILL)\naside(slow, end)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (-9, "", "")  # both ends are closed: the other ended too


def test_a_folder_that_was_found_aside_comes_back(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
    program = (
        PROGRAM
        + f"""
from gentrain import sources

def find():
    time.sleep(1)
    return os.getpid() != here, sources.find({str(tmp_path)!r})

elsewhere, source = aside(find, other)
print(elsewhere, len(list(source.files(3))))
"""
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.stderr) == ("True 3", "")
