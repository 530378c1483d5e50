"""What a client costs, beside tensorflow-serving-api with TensorFlow: size, time to start, a whole `sample --n 16`.

Both are installed with pip into new virtual environments in a temporary folder (about 2.5 GB for the while). They are
run in turns, so that what else the machine does falls on both alike. The server is bench/client_server.py on loopback,
which costs next to nothing. Prints Markdown.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
OTHER = ["tensorflow-serving-api", "tensorflow"]
INSTALLERS = ("pip", "setuptools", "wheel", "_distutils_hack", "pkg_resources")


@dataclass(frozen=True)
class Environment:
    """A virtual environment: where it is."""

    folder: Path

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.folder / "bin" / "python")

    def megabytes(self, *, with_installer: bool) -> float:
        """The size of all files in site-packages in MB (10⁶ bytes), compiled Python included."""
        packages = next(self.folder.glob("lib/python*/site-packages"))
        entries = [entry for entry in packages.iterdir() if with_installer or not entry.name.startswith(INSTALLERS)]
        files = [path for entry in entries for path in (entry, *entry.rglob("*"))]
        return sum(path.lstat().st_size for path in files if not path.is_dir()) / 1e6


def install(folder: Path, packages: list[str]) -> Environment:
    """A new environment with these packages from pip."""
    print(f"installing {' '.join(packages)}", file=sys.stderr)
    venv.create(folder, with_pip=True)
    environment = Environment(folder)
    command = [environment.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    subprocess.run(command, check=True, stdout=sys.stderr)
    return environment


@dataclass(frozen=True)
class Cost:
    """What a process took: seconds from its start to its end, and its largest resident memory in MB (10⁶ bytes)."""

    seconds: float
    megabytes: float


def cost(command: list[str]) -> Cost:
    """Run a command to its end.

    Raises:
        SystemExit: it fails; its own words have gone to stderr.
    """
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    assert process.stderr is not None
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}: {said.decode(errors='replace')}")
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return Cost(time.perf_counter() - start, usage.ru_maxrss * kilobyte / 1e6)


def in_turns(commands: dict[str, list[str]], runs: int) -> dict[str, Cost]:
    """The median time and memory of each command over `runs` rounds, after one round that fills the caches."""
    rounds = [{name: cost(command) for name, command in commands.items()} for _ in range(runs + 1)]
    return {
        name: Cost(
            statistics.median(costs[name].seconds for costs in rounds[1:]),
            statistics.median(costs[name].megabytes for costs in rounds[1:]),
        )
        for name in commands
    }


@contextmanager
def server(python: str) -> Iterator[str]:
    """The address of a light server that runs meanwhile."""
    command = [python, str(HERE / "client_server.py")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield f"127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.communicate()  # closes its stdin, which ends it


def measured(ours: Environment, theirs: Environment, runs: int, target: str, folder: Path) -> dict[str, Cost]:
    """What each command takes."""
    sample = [str(ours.folder / "bin" / "genclient"), "sample", "--n", "16", "--target", target]
    script = [theirs.python, str(HERE / "peers" / "serving_api_sample.py"), target, "digits"]
    return in_turns(
        {
            "help": [str(ours.folder / "bin" / "genclient"), "--help"],
            "bare": [ours.python, "-c", "import grpc, numpy"],
            "library": [ours.python, "-c", "import genclient.client"],
            "import": [theirs.python, "-c", "import tensorflow_serving.apis.predict_pb2"],
            "sample": [*sample, "--out", str(folder / "ours.png")],
            "script": [*script, str(folder / "theirs.png")],
        },
        runs,
    )


def report(ours: Environment, theirs: Environment, runs: int, folder: Path) -> str:
    """The section of Markdown."""
    with server(ours.python) as target:
        costs = measured(ours, theirs, runs, target, folder)
    rows = [
        (
            f"site-packages{' with pip' if kept else ''}, MB",
            ours.megabytes(with_installer=kept),
            theirs.megabytes(with_installer=kept),
        )
        for kept in (False, True)
    ]
    rows += [
        ("`genclient --help` beside `import tensorflow_serving.apis.predict_pb2`, s", *_seconds(costs, "help")),
        ("`import genclient.client` beside the same, s", *_seconds(costs, "library")),
        ("`sample --n 16` beside a script, the whole process, s", *_seconds(costs, "sample", "script")),
        ("its peak memory, MB", costs["sample"].megabytes, costs["script"].megabytes),
    ]
    lines = [
        "## What a client costs",
        "",
        "`make bench-client`, or `python bench/client_cost.py`",
        "",
        "| | genline | tensorflow-serving-api with tensorflow | times less |",
        "| --- | ---: | ---: | ---: |",
        *(f"| {what} | {_number(mine)} | {_number(other)} | {other / mine:.1f} |" for what, mine, other in rows),
        "",
        f"Medians of {runs} runs in turns; 64×64 RGB images from a server on loopback that costs next to nothing.",
        "The script is `bench/peers/serving_api_sample.py`, which makes the same picture. `genclient --help` takes "
        f"{costs['help'].seconds / costs['bare'].seconds:.2f}",
        f"times as long as `python -c 'import grpc, numpy'`. Python {sys.version.split()[0]}.",
    ]
    return "\n".join(lines)


def _seconds(costs: dict[str, Cost], mine: str, other: str = "import") -> tuple[float, float]:
    return costs[mine].seconds, costs[other].seconds


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.2f}"


def main() -> None:
    """Install both, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=11, help="runs of each command (default: 11)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="client_cost-") as folder:
        ours = install(Path(folder) / "genline", [str(ROOT)])
        theirs = install(Path(folder) / "other", OTHER)
        print(report(ours, theirs, runs, Path(folder)))


if __name__ == "__main__":
    main()
