"""Run every measurement and write bench/RESULTS.md: `make bench`."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import date
from importlib.metadata import version
from pathlib import Path

HERE = Path(__file__).parent
QUESTIONS = ("pipeline.py", "client_cost.py")
PACKAGES = ("genline", "tensorflow", "keras", "numpy", "grpcio", "protobuf")


def main() -> None:
    """Write the results only once all of them are there."""
    sections = []
    for question in QUESTIONS:
        print(f"bench/{question} …", file=sys.stderr)
        done = subprocess.run([sys.executable, HERE / question], check=True, stdout=subprocess.PIPE, text=True)
        sections.append(done.stdout.strip())
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    head = f"""# Results

Written by `make bench` on {date.today()}: {os.cpu_count()} cores ({_processor()}), Python {platform.python_version()},
{packages}. The machine is shared and noisy: read ratios before seconds."""
    (HERE / "RESULTS.md").write_text("\n\n".join([head, *sections]) + "\n", encoding="utf-8")


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
