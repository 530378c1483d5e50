"""run.sh and smoke.sh say in one line what is missing or wrong, and smoke.sh finds what a server does wrong."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

DEPLOY = Path(__file__).parents[3] / "serving" / "deploy"


@pytest.mark.parametrize("script", ["run.sh", "smoke.sh", "ssl-config.sh"])
def test_shell_scripts_pass_shellcheck(script):
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not there: tests/install-tools.sh installs it")
    done = subprocess.run(["shellcheck", DEPLOY / script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def repository(tmp_path):
    (tmp_path / "models" / "digits" / "12").mkdir(parents=True)
    return tmp_path / "models"


def run(**environment):
    script = str(DEPLOY / "run.sh")
    return subprocess.run([script], env=environment, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("name", ["cat", "half"])
def test_repository_without_a_version_of_the_model(repository, name):
    (repository / "half" / "12-tmp").mkdir(parents=True)
    result = run(PATH=os.environ["PATH"], REPOSITORY=str(repository), NAME=name)
    assert result.returncode == 1
    assert result.stderr == (
        f"run.sh: no version of {name} under {repository}/{name}: "
        f"expected a folder such as {repository}/{name}/1 (REPOSITORY, NAME)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "refused"),
    [
        (["--enable_serialization_as_tensor_content"], True),
        (["--enable_serialization_as_tensor_content=true", "--rest_api_port=0", "--rest_api_port=8501"], True),
        (["--enable_serialization_as_tensor_content", "--rest_api_port=0"], False),
        (["--enable_serialization_as_tensor_content", "--enable_serialization_as_tensor_content=false"], False),
    ],
)
def test_tensor_content_and_rest_are_refused_together(tmp_path, arguments, refused):
    command = [str(DEPLOY / "run.sh"), *arguments]
    environment = {"PATH": os.environ["PATH"], "REPOSITORY": str(tmp_path / "none")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("run.sh: --enable_serialization_as_tensor_content breaks REST") is refused


def test_docker_is_missing(repository, tmp_path):
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "dirname", "basename"):
        (tools / tool).symlink_to(shutil.which(tool))
    result = run(PATH=str(tools), REPOSITORY=str(repository))
    assert result.returncode == 1
    assert result.stderr == (
        "run.sh: docker not found: install Docker, or serve without it: "
        f"genserve --model_name digits --model_base_path {repository}/digits\n"
    )


def test_docker_without_a_daemon(repository, tmp_path):
    nowhere = f"unix://{tmp_path}/no.sock"
    result = run(PATH=os.environ["PATH"], REPOSITORY=str(repository), DOCKER_HOST=nowhere)
    assert result.returncode == 1
    assert len(result.stderr.splitlines()) == 1
    # A machine without any Docker fails a step earlier; that step has its own test.
    assert ("daemon does not answer" if shutil.which("docker") else "docker not found") in result.stderr


def free_port():
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def smoke(*options, **environment):
    """What smoke.sh says, run with this interpreter."""
    environment = {"PATH": os.environ["PATH"], "PYTHON": sys.executable, **environment}
    command = [str(DEPLOY / "smoke.sh"), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target"], "--target: found nothing after it, expected a value"),
        (["--model="], "--model: found nothing after it, expected a value"),
        (["--rest", "h:1"], "--rest needs --target: the server that is started here has a port of its own"),
        (["--target", "localhost"], "address: found localhost, expected HOST:PORT"),
    ],
)
def test_smoke_test_with_wrong_options_says_what_is_expected(options, message):
    done = smoke(*options)
    assert (done.returncode, done.stderr) == (2, f"smoke.sh: {message}\n")


def test_smoke_test_says_at_once_that_nobody_answers():
    address = f"127.0.0.1:{free_port()}"
    done = smoke(f"--target={address}")
    assert (done.returncode, done.stderr) == (1, f"smoke.sh: {address}: nobody answers there: Connection refused\n")


def test_smoke_test_says_what_to_install(tmp_path):
    (tmp_path / "python").symlink_to("/bin/echo")  # an interpreter that finds nothing of what it is asked for
    done = smoke("--target", "127.0.0.1:1", PYTHON=str(tmp_path / "python"))
    assert done.returncode == 1
    assert done.stderr.endswith("pip install '.[serve,dev]'\n")


def test_smoke_test_runs_the_black_box_tests_with_the_address_and_further_options(tmp_path):
    python = tmp_path / "python"  # finds everything, and tells what it is asked to run
    python.write_text(
        '#!/bin/sh\n[ "$1" != -m ] || echo "$GENLINE_TARGET $GENLINE_REST $GENLINE_MODEL $GENLINE_ROUGH $*"\n'
    )
    python.chmod(0o755)
    done = smoke("--target", "h:1", "--rest=h:2", "--rough", "--model", "faces", "-k", "rest", "-x", PYTHON=str(python))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("h:1 h:2 faces 1 -m pytest ")
    assert done.stdout.endswith("/tests/serving/black_box -k rest -x\n")


def test_smoke_test_finds_rest_open_beside_tensor_content(genserve, generator_path):
    port = free_port()
    flags = ["--enable_serialization_as_tensor_content", "--imitate_tensor_content_fault", f"--rest_api_port={port}"]
    server = genserve(generator_path, "digits", None, *flags).ready()
    done = smoke(f"--target=127.0.0.1:{server.port}", f"--rest=127.0.0.1:{port}", "-k", "tensor_content")
    assert done.returncode == 1
    assert "1 failed" in done.stdout
    assert "take --enable_serialization_as_tensor_content away, or close REST with --rest_api_port=0" in done.stdout


def test_smoke_test_explains_itself():
    done = smoke("--help")
    assert done.returncode == 0
    assert done.stdout.startswith("Asks a server everything that TensorFlow Serving answers")
    assert "set -eu" not in done.stdout
