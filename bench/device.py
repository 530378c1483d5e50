"""The exported files on this machine's processor: size, load time, latency, memory and quality of each, beside what
TensorFlow's converter makes, its call of the SavedModel, and ONNX Runtime; the browser, the C program, and how export
time grows.

    python bench/device.py --digits runs/digits --rgb runs/emoji64

DIGITS and RGB are run directories, .keras files, or versions that are there already, such as models/digits/3; without
them networks of the presets `small` (28×28) and `medium` (64×64 RGB) that nobody has trained, whose speed is the same.
Each runtime has a process of its own; all take turns in every round, so that what else the machine does falls on all
alike. What is measured is kept and not measured again. Prints Markdown.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import device_report
from common import ENVIRONMENT, HERE, ROOT, Cells, run, tell
from device_browser import browser_ms
from device_export import GENERATORS, LARGE, PARAMETERS, Generator, export

THREADS = (1, 2)
IMAGES = 30  # of each runtime in each round
STREAM = 256  # images of the client's runner in each round
STARTS = 41  # of the C program
VARIANTS = ("float32", "float16", "dynamic", "int8", "micro")
C_VARIANTS = ("float32", "dynamic", "int8")


class Process:
    """A peer that measures one runtime with one file; it waits, idle, until it is asked."""

    def __init__(self, runtime: str, file: Path, threads: int, reference: Path) -> None:
        command = [sys.executable, HERE / "peers" / "device_runtime.py", runtime, file, threads, reference]
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=ENVIRONMENT,
        )
        self.said: dict[str, Any] = self._answer()
        self.milliseconds: list[float] = []

    def make(self, count: int) -> None:
        """Make some images and keep how long each took."""
        assert self.process.stdin
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        self.milliseconds += self._answer()

    def end(self) -> dict[str, Any]:
        """What was measured."""
        assert self.process.stdin
        self.process.stdin.close()
        ordered = sorted(self.milliseconds)
        found = {**self.said, **self._answer(), "median_ms": statistics.median(ordered)}
        return {**found, "p90_ms": ordered[int(0.9 * (len(ordered) - 1))]}

    def _answer(self) -> Any:
        assert self.process.stdout
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{' '.join(self.process.args[1:4])}: ended early")  # type: ignore[index, arg-type]
        return json.loads(line)


@contextmanager
def started(runtime: str, file: Path, threads: int, reference: Path) -> Iterator[Process]:
    """A process that does not outlive what is measured."""
    peer = Process(runtime, file, threads, reference)
    try:
        yield peer
    finally:
        peer.process.kill()
        peer.process.wait()


def runtimes(version: Path, name: str, folder: Path) -> dict[str, tuple[str, Path]]:
    """What is compared: name in the report → (runtime, file)."""
    found = {
        f"TFLite {variant}": ("litert", version / "tflite" / f"{name}-{variant}.tflite")
        for variant in VARIANTS
        if (version / "tflite" / f"{name}-{variant}.tflite").exists()
    }
    plain = {kind: folder / f"{name}-{kind}.tflite" for kind in ("float32", "dynamic")}
    run(sys.executable, HERE / "peers" / "tf_converter.py", version, *plain.values())
    found |= {f"TensorFlow's converter, {kind}": ("litert", file) for kind, file in plain.items()}
    found["SavedModel, TensorFlow"] = ("savedmodel", version)
    onnx = version / "onnx" / f"{name}-float32.onnx"
    if onnx.exists():
        dynamic, static = folder / f"{name}-dynamic.onnx", folder / f"{name}-int8.onnx"
        run(sys.executable, HERE / "peers" / "onnx_int8.py", onnx, version / "reference.npz", dynamic, static)
        found["ONNX Runtime float32"] = ("onnx", onnx)
        found["ONNX Runtime int8 weights"] = ("onnx", dynamic)
        found["ONNX Runtime int8"] = ("onnx", static)
    return found


def measure(version: Path, rounds: int) -> dict[str, Any]:
    """Every runtime with every number of threads, in turns; what each file is; the client's runner beside them."""
    manifest = json.loads((version / "manifest.json").read_text(encoding="utf-8"))
    if manifest["class_count"]:
        raise SystemExit(f"{version}: found a conditional generator, expected one without classes")
    name, reference = manifest["name"], version / "reference.npz"
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        files = runtimes(version, name, Path(folder))
        peers = {
            (what, threads): (stack.enter_context(started(runtime, file, threads, reference)), IMAGES)
            for what, (runtime, file) in files.items()
            for threads in THREADS
        }
        for threads in THREADS:
            runner = started("genclient", files["TFLite dynamic"][1], threads, reference)
            peers["genclient", threads] = (stack.enter_context(runner), STREAM)
        for peer, count in peers.values():  # so that caches and clocks are warm
            peer.make(count)
            peer.milliseconds.clear()
        for _ in range(rounds):
            for peer, count in peers.values():
                peer.make(count)
        cells: dict[str, Any] = {}
        for (what, threads), (peer, _) in peers.items():
            cells.setdefault(what, {})[str(threads)] = peer.end()
        sizes = {what: _megabytes(file) for what, (_, file) in files.items()}
    parity = manifest["parity"]
    return {
        "name": name,
        "image_shape": manifest["image_shape"],
        "runtimes": cells,
        "megabytes": sizes,
        "parity": parity,
    }


def _megabytes(path: Path) -> float:
    if path.is_file():
        return path.stat().st_size / 1e6
    parts = [path / "saved_model.pb", *(path / "variables").iterdir()]  # of a SavedModel, without the files beside it
    return sum(part.stat().st_size for part in parts) / 1e6


def c_program(version: Path, name: str) -> dict[str, Any]:
    """From the start of the C program to the image in a file, in milliseconds, for some of the files."""
    if not shutil.which("cc") or not shutil.which("make"):
        return {"missing": "make or a C compiler is not installed here"}
    with tempfile.TemporaryDirectory() as folder:
        command = ["make", "-C", str(ROOT / "client/embedded/c"), f"OUT={folder}", f"PYTHON={sys.executable}", "CC=cc"]
        done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
        if done.returncode:
            tell(done.stderr)
            return {"missing": "it cannot be built here"}
        times: dict[str, list[float]] = {variant: [] for variant in C_VARIANTS}
        for number in range(STARTS + 1):
            for variant, found in times.items():
                file = version / "tflite" / f"{name}-{variant}.tflite"
                begun = time.perf_counter()
                subprocess.run([f"{folder}/gensample", file, str(number), f"{folder}/out.ppm"], check=True)
                found.append(1000 * (time.perf_counter() - begun))
    return {
        variant: {"median_ms": statistics.median(t[1:]), "p90_ms": sorted(t[1:])[-5]} for variant, t in times.items()
    }


def main() -> None:
    """Measure what is not there yet, print all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for generator in GENERATORS:
        option = "--" + generator.name.rstrip("64")
        parser.add_argument(option, type=Path, dest=generator.name, metavar="SOURCE", help="see above")
    parser.add_argument("--rounds", type=int, default=20, help="turns of every runtime (default: 20)")
    parser.add_argument(
        "--parameters", type=float, nargs="*", default=PARAMETERS, help="sizes to export; none: no sizes"
    )
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    arguments = parser.parse_args()
    cells, short = Cells("device", arguments.again), f"{arguments.rounds} rounds"
    with tempfile.TemporaryDirectory() as folder:
        found, repository = {}, Path(folder) / "models"
        for generator in GENERATORS:
            source: Path | None = getattr(arguments, generator.name)
            key = f"{generator.name} from {source or 'nobody'}, {short}"
            found[generator.name] = cells.get(key, everything, generator, source, repository, arguments.rounds)
        growth = [
            cells.get(f"export of {parameters:g}", export, None, LARGE, parameters, repository)
            for parameters in arguments.parameters
        ]
    print(device_report.report(found, growth, arguments.rounds, cells.days()))


def everything(generator: Generator, source: Path | None, repository: Path, rounds: int) -> dict[str, Any]:
    """All that is measured of one generator; it is published first unless it is a version."""
    if source is not None and (source / "manifest.json").exists():
        version, published = source, {}
    else:
        published = export(source, generator, 0, repository)
        version = Path(published["version"])
    tell(f"device: {version} …")
    measured = measure(version.resolve(), rounds)
    name = measured["name"]
    return {
        **measured,
        "trained": source is not None,
        "export": published,
        "browser": browser_ms(version.resolve(), "dynamic", 200),
        "c": c_program(version.resolve(), name),
    }


if __name__ == "__main__":
    main()
