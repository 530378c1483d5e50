"""The client on the oldest releases that it says it runs on, against a server of today."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import lowest
import numpy as np
import pytest
from library_servers import closed_port, critic, expected, near
from PIL import Image

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="the oldest releases of NumPy, gRPC and Pillow have no wheels for this Python"
)

CLIENT = Path(__file__).parents[2] / "client"

LIBRARY = """
import asyncio, pickle, sys
import numpy as np
from genclient import AsyncClient, Client, ClientError

target, critics, closed = sys.argv[1:]
with Client(target, batch_size=5) as client:
    assert client.wait(30) == 3
    images = client.sample(12, signature="auto")
    for signature in ("serving_default", "uint8", "png", "seeds"):
        assert abs(client.sample(12, signature=signature).astype(int) - images).max() <= 1, signature
    np.save("images.npy", images)
with Client(critics, "digits") as client:
    assert client.score(images).shape == (12,)
try:
    Client(closed).info()
except ClientError as error:
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert str(error).startswith("nothing listens at"), error

async def main():
    async with AsyncClient(target) as client:
        assert (await client.sample(12)).shape == images.shape

asyncio.run(main())
"""

COMMANDS = [
    ["--help"],
    ["status"],
    ["info"],
    ["models", "digits"],
    ["wait", "--timeout", "30"],
    ["sample", "--n", "5", "--out", "grid.png"],
    ["sample", "--n", "5", "--out", "images.npz"],
    ["sample", "--n", "5", "--out", "pictures/"],
    ["sample", "--n", "5", "--out", "shards/%06d.tar"],
    ["sample", "--n", "5", "--out", "records/%06d.tfrecord"],
    ["interpolate", "--n", "2", "--frames", "3", "--out", "walk.gif"],
    ["interpolate", "--n", "2", "--frames", "3", "--out", "walk.webp"],
    ["bench", "--concurrency", "1", "--duration", "0.1", "--warm-up", "0", "--report", "load.png"],
    ["config", "show"],
]

ALL_COMMANDS = """
import json, sys
from genclient.cli import main
for command in json.loads(sys.argv.pop()):
    sys.argv[1:] = command
    try:
        main()
    except SystemExit as error:
        assert not error.code, (command, error.code)
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a program on the oldest releases; gives the folder it ran in."""
    python, folder = lowest.python(), tmp_path_factory.mktemp("lowest")

    def start(program, *arguments):
        environment = {**os.environ, "PYTHONPATH": str(CLIENT)}
        command = [python, "-W", "error", "-c", program, *arguments]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return folder

    return start


def test_the_library_runs_on_the_oldest_releases_that_it_allows(run, serve, tools):
    closed = f"127.0.0.1:{closed_port()}"
    folder = run(LIBRARY, serve().target, serve(**critic(tools)).target, closed)
    assert near(np.load(folder / "images.npy"), expected(tools, range(12)))


def test_the_commands_run_on_the_oldest_releases_that_they_allow(run, serve):
    target = serve().target
    elsewhere = [c if c[0] in ("--help", "config") else [*c, "--target", target] for c in COMMANDS]
    folder = run(ALL_COMMANDS, json.dumps(elsewhere))
    assert len(list((folder / "pictures").glob("*.png"))) == 5
    with Image.open(folder / "walk.gif") as film:
        assert film.n_frames > 3


def test_the_environment_has_those_very_releases():
    listed = [str(lowest.python()), "-m", "pip", "list", "--format", "freeze", "--disable-pip-version-check"]
    found = subprocess.run(listed, capture_output=True, text=True, check=True, timeout=60).stdout.lower().split()
    for pin in lowest.pins():
        name, _, version = pin.partition(";")[0].partition("==")
        if name != "tomli" or sys.version_info < (3, 11):
            assert any(line.startswith(f"{name.lower()}=={version.strip()}") for line in found), pin
