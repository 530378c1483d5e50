"""Generators become versions with the real command: what is measured, and how long that takes as networks grow."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import BIN, ENVIRONMENT, HERE, run

PARAMETERS = (0.5e6, 2e6, 8e6, 32e6)

# Steps by the first word of what genexport tells; other lines are about the model that it has loaded.
NAMES = {"SavedModel": "SavedModel", "TFLite": "TFLite", "ONNX": "ONNX", "directions": "directions"}
NAMES |= {"comparing": "comparing", "published": "publishing", "done": "publishing"}

# An untrained network of any size has no quality to lose; its speed is what is asked for.
LOOSE = ("float32=1e-3", "float16=1", "dynamic_db=0", "int8_db=0", "savedmodel=1e-3")


@dataclass(frozen=True)
class Generator:
    """What is exported and measured: a name, and the preset and images of an untrained stand-in."""

    name: str
    side: int
    channels: int
    preset: str


GENERATORS = (Generator("digits", 28, 1, "small"), Generator("rgb64", 64, 3, "medium"))
LARGE = Generator("large", 28, 1, "small")


def export(source: Path | None, generator: Generator, parameters: float, repository: Path) -> dict[str, Any]:
    """Publish a generator with the real command: the version's folder, the seconds of it all and of each step."""
    stand_in = repository / f"{generator.name}-{parameters:g}.keras"
    if source is None:
        source = stand_in
        repository.mkdir(parents=True, exist_ok=True)
        width = ["--parameters", parameters] if parameters else ["--preset", generator.preset]
        images = ["--side", generator.side, "--channels", generator.channels]
        run(sys.executable, HERE / "untrained.py", source, *images, *width)
    command = [BIN / "genexport", "publish", source, "--repository", repository, "--name", generator.name]
    command += ["--no-discriminator"] + [part for limit in LOOSE for part in ("--limit", limit)] * (source is stand_in)
    begun = time.perf_counter()
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=ENVIRONMENT)
    if done.returncode:
        raise SystemExit(done.stderr)
    seconds = time.perf_counter() - begun
    version = Path(done.stdout.strip().splitlines()[-1])
    size = (version / "tflite" / f"{generator.name}-float32.tflite").stat().st_size
    return {"version": str(version), "seconds": seconds, "steps": steps(done.stderr, seconds), "bytes": size}


def steps(told: str, seconds: float) -> dict[str, float]:
    """Seconds of each step, by the first word of the lines that genexport tells on stderr with the time."""
    matches = [re.match(r" *([\d.]+) s  (\S+)", line) for line in told.splitlines()]
    lines = [(float(match[1]), match[2]) for match in matches if match]
    ends = [begun for begun, _ in lines[1:]] + [seconds]
    found: dict[str, float] = {"start": lines[0][0] if lines else seconds}
    for (begun, word), end in zip(lines, ends, strict=True):
        key = NAMES.get(word.rstrip(":"), "load")
        found[key] = found.get(key, 0.0) + end - begun
    return found
