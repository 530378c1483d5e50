"""How long the main job takes: what `make demo` does, timed step by step. Prints Markdown."""

from __future__ import annotations

import argparse
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

BIN = Path(sys.executable).parent


def run(command: str, *arguments: object) -> float:
    """Run one of the four commands; the seconds it took."""
    started = time.perf_counter()
    subprocess.run([BIN / command, *map(str, arguments)], check=True, stdout=subprocess.DEVNULL, stderr=sys.stderr)
    return time.perf_counter() - started


def main() -> None:
    """Train, export, serve and sample in a temporary folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--preset", default="small")
    preset = parser.parse_args().preset
    with tempfile.TemporaryDirectory() as folder:
        run_directory, models = Path(folder) / "run", Path(folder) / "models"
        trained = run("gentrain", "fit", "--data", "digits", "--run", run_directory, "--preset", preset)
        exported = run("genexport", "publish", run_directory, "--repository", models, "--name", "digits")
        with socket.socket() as probe:
            probe.bind(("localhost", 0))
            port = probe.getsockname()[1]
        started = time.perf_counter()
        server = subprocess.Popen(
            [BIN / "genserve", f"--port={port}", "--model_name=digits", f"--model_base_path={models / 'digits'}"]
        )
        try:
            server_options = ["--target", f"localhost:{port}", "--model", "digits"]
            run("genclient", "wait", *server_options)
            served = time.perf_counter() - started
            sampled = run("genclient", "sample", "--n", 16, *server_options, "--out", Path(folder) / "out.png")
        finally:
            server.terminate()
            server.wait()
        log = [json.loads(line) for line in (run_directory / "log.jsonl").read_text().splitlines()]
        rate = statistics.median(line["images_per_second"] for line in log)
        manifest = json.loads((models / "digits" / "1" / "manifest.json").read_text())
    files = manifest["files"]
    sizes = {name: files[f"tflite/digits-{name}.tflite"]["bytes"] / 1e6 for name in ("float32", "dynamic")}
    tflite = ", ".join(f"{name} {size:.2f} MB" for name, size in sizes.items())
    print(f"""## The main job, from digits to images

`make bench`, or `python bench/pipeline.py`: the 5,000 digits, preset `{preset}`, one run.

| step | seconds | |
| --- | ---: | --- |
| `gentrain fit` | {trained:.0f} | {log[-1]["kimg"]:.0f} kimg, {rate:.0f} images/s (median of ticks) |
| `genexport publish` | {exported:.1f} | SavedModel, critic, five TFLite files ({tflite}), ONNX; each beside Keras |
| `genserve` until AVAILABLE | {served:.1f} | warm-up requests included |
| `genclient sample --n 16` | {sampled:.2f} | the whole process |
""")


if __name__ == "__main__":
    main()
