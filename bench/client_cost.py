"""What a client costs: the size of an install and the time to start, beside tensorflow-serving-api with TensorFlow.

Both are installed with pip into new virtual environments in a temporary folder (about 2.5 GB for the while). Starts are
timed in turns, so that what else the machine does falls on both alike. It measures no requests. Prints Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
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


def seconds(command: list[str]) -> float:
    """The time from start to end of a command."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def in_turns(commands: dict[str, list[str]], runs: int) -> dict[str, float]:
    """The median time of each command over `runs` rounds, after one round that fills the caches."""
    rounds = [{name: seconds(command) for name, command in commands.items()} for _ in range(runs + 1)]
    return {name: statistics.median(times[name] for times in rounds[1:]) for name in commands}


def report(ours: Environment, theirs: Environment, runs: int) -> str:
    """The section of Markdown."""
    times = in_turns(
        {
            "help": [str(ours.folder / "bin" / "genclient"), "--help"],
            "library": [ours.python, "-c", "import genclient.client"],
            "other": [theirs.python, "-c", "import tensorflow_serving.apis.predict_pb2"],
        },
        runs,
    )
    sizes = [
        (kept, ours.megabytes(with_installer=kept), theirs.megabytes(with_installer=kept)) for kept in (False, True)
    ]
    lines = [
        "## What a client costs",
        "",
        "`python bench/client_cost.py`",
        "",
        "| | genline | tensorflow-serving-api with tensorflow | ratio |",
        "| --- | ---: | ---: | ---: |",
    ]
    for kept, mine, other in sizes:
        what = "site-packages with pip" if kept else "site-packages"
        lines.append(f"| {what}, MB | {mine:.0f} | {other:.0f} | {mine / other:.3f} |")
    for name, what in (("help", "`genclient --help`"), ("library", "`import genclient.client`")):
        row = f"| {what} against `import tensorflow_serving.apis.predict_pb2`, s"
        lines.append(f"{row} | {times[name]:.2f} | {times['other']:.2f} | {times[name] / times['other']:.3f} |")
    lines += ["", f"Times are medians of {runs} runs in turns. Python {sys.version.split()[0]}."]
    return "\n".join(lines)


def main() -> None:
    """Install both, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=11, help="starts of each command (default: 11)")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory(prefix="client_cost-") as folder:
        ours = install(Path(folder) / "genline", [str(ROOT)])
        theirs = install(Path(folder) / "other", OTHER)
        print(report(ours, theirs, runs))


if __name__ == "__main__":
    main()
