"""What the genserve command refuses, in one line and with which exit code."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from genserve.errors import ServeError
from genserve.network.port import check_addresses

GENSERVE = Path(sys.executable).with_name("genserve")


def run(*arguments, command=(GENSERVE,)):
    return subprocess.run(
        [str(part) for part in (*command, *arguments)], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (
            ["--model_base_path", "ftp://bucket/m"],
            "genserve: --model_base_path=ftp://bucket/m: only local folders, s3:// and gs:// are served",
        ),
        (
            ["--model_base_path="],
            "genserve: --model_base_path is empty; give the folder that holds the versions",
        ),
        (
            ["--model_base_path=m", "--model_name="],
            "genserve: --model_name is empty; give the name that clients ask for",
        ),
        (
            ["--model_base_path=m", "--file_system_poll_wait_seconds=-1"],
            "genserve: --file_system_poll_wait_seconds=-1: expected seconds between two looks at the folder, "
            "or 0 to look only once",
        ),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(arguments, line):
    result = run(*arguments)
    assert (result.returncode, result.stdout, result.stderr) == (2, "", f"{line}\n")


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ([], "--model_base_path"),
        (["--model_base_path=m", "more"], "more"),
        (["--model_base_path=m", "--port", "eight"], "eight"),
        (["--model_base_path=m", "--port=0"], "--port"),
        (["--model_base_path"], "--model_base_path"),
    ],
)
def test_what_click_refuses_is_one_line_too(arguments, named):
    result = run(*arguments)
    assert (result.returncode, result.stdout, len(result.stderr.splitlines())) == (2, "", 1)
    assert result.stderr.startswith("genserve: ")
    assert named in result.stderr


def test_port_in_use_is_one_line_that_names_it(tmp_path):
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run("--model_base_path", tmp_path, "--port", port)
    assert result.returncode == 1
    assert result.stderr == f"genserve: cannot listen on 0.0.0.0:{port}: Address already in use\n"


def test_unix_socket_that_cannot_be_had_is_one_line_that_names_it(tmp_path):
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(f"{tmp_path}/taken")
        taken.listen()
        (tmp_path / "file").touch()
        for name, why in [
            ("taken", "Address already in use"),
            ("file", "another kind of file is there"),
            ("none/s", f"there is no folder {tmp_path}/none"),
            ("s" * 120, "AF_UNIX path too long"),
        ]:
            with pytest.raises(ServeError) as failure:
                check_addresses(0, f"{tmp_path}/{name}", keep_socket=True)
            assert failure.value.message == f"cannot listen on unix:{tmp_path}/{name}: {why}"


def test_socket_that_a_killed_server_left_behind_is_free(tmp_path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(f"{tmp_path}/left")
        left.listen()
    check_addresses(0, f"{tmp_path}/left")


def test_second_server_on_a_port_is_refused(toy, toy_path):
    result = run("--model_base_path", toy_path, "--port", toy.port)
    assert (result.returncode, len(result.stderr.splitlines())) == (1, 1)
    assert f"cannot listen on 0.0.0.0:{toy.port}" in result.stderr


WITHOUT_TENSORFLOW = "import sys; sys.modules['tensorflow'] = None; from genserve.cli import main; main()"


def test_without_tensorflow_help_works_and_serving_says_what_to_install(tmp_path):
    command = (sys.executable, "-c", WITHOUT_TENSORFLOW)
    result = run("--help", command=command)
    assert result.returncode == 0
    assert "--file_system_poll_wait_seconds" in result.stdout
    result = run("--model_base_path", tmp_path, command=command)
    assert (result.returncode, result.stderr) == (
        1,
        "genserve: needs TensorFlow; in genline's checkout: pip install '.[serve]'\n",
    )
