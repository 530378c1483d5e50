"""What a step and the memory of a training cost by the size of its pictures. Prints Markdown.

Drawings of emoji, rasterised at each size; the real command trains a few steps and a few more, and the difference is
what steps take, without TensorFlow's start and compiling.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import subprocess
import sys
from pathlib import Path

from common import BIN, ENVIRONMENT, KEPT, Cells, number, paragraph, table
from PIL import Image

SMALL, MEDIUM, LARGE = ("32x32",), ("48x48", "64x64", "96x64", "96x96"), ("128x128", "192x192", "256x256")
PRESETS = {size: name for name, sizes in (("small", SMALL), ("medium", MEDIUM), ("large", LARGE)) for size in sizes}
PICTURES = 600
SHORT, LONG = 8, 24  # steps


def measure(package: Path, size: str, preset: str) -> dict[str, float]:
    """CPU ms an image, the highest memory in MB, and the size of both networks."""
    from gentrain.presets import PRESETS as KNOWN

    folder, batch = pictures(package, size), KNOWN[preset]().batch
    seconds, memory = {}, 0.0
    for steps in (SHORT, LONG):
        run_directory = KEPT / f"size-{size}"
        shutil.rmtree(run_directory, ignore_errors=True)
        sets = ("--set", "kimg_per_evaluation=0", "--set", "held_out=0")
        command = [BIN / "gentrain", "fit", "--data", folder, "--run", run_directory, "--preset", preset, *sets]
        length = ("--resolution", size, "--kimg", str(steps * batch / 1000))
        process = subprocess.Popen([*map(str, command), *length], stdout=subprocess.DEVNULL, env=ENVIRONMENT)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{size}: gentrain fit failed")
        seconds[steps] = used.ru_utime + used.ru_stime
        memory = max(memory, used.ru_maxrss / 1024)
    return {"ms": (seconds[LONG] - seconds[SHORT]) / (LONG - SHORT) / batch * 1000, "memory": memory, "batch": batch}


def pictures(package: Path, size: str) -> Path:
    """A folder of PNG of this WIDTHxHEIGHT, each drawing in the middle of white, where it is not there yet."""
    import resvg_py

    folder = KEPT / f"sizes-{size}"
    width, height = map(int, size.split("x"))
    side = min(width, height)
    if len(list(folder.glob("*.png"))) < PICTURES:
        folder.mkdir(parents=True, exist_ok=True)
        for svg in sorted((package / "assets").glob("*.svg"))[:PICTURES]:
            png = resvg_py.svg_to_bytes(svg_path=str(svg), width=side, height=side, background="#ffffff")
            with Image.open(io.BytesIO(bytes(png))) as image:
                whole = Image.new("RGB", (width, height), "white")
                whole.paste(image.convert("RGB"), ((width - side) // 2, (height - side) // 2))
                whole.save(folder / f"{svg.stem}.png")
    return folder


def main() -> None:
    """One row for each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--package", type=Path, required=True, help="unpacked npm @lobehub/fluent-emoji-modern")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    arguments = parser.parse_args()
    cells, rows = Cells("training_sizes", arguments.again), []
    for size, preset in PRESETS.items():
        cell = cells.get(f"{size}, {preset}", measure, arguments.package, size, preset)
        kimg = 3600 / cell["ms"]
        values = [cell["ms"], 1000 / cell["ms"], kimg, cell["memory"]]
        rows.append([size.replace("x", "×"), f"`{preset}`", str(cell["batch"]), *map(number, values)])
    how = paragraph(
        f"""`python bench/training_sizes.py --package DIR`, the unpacked npm package @lobehub/fluent-emoji-modern,
        {cells.days()}: `gentrain fit --preset … --resolution …`, {LONG - SHORT} steps, no start and compiling. An hour
        of processor time is half an hour of two cores. Up to 96 pixels a side the second
        discriminator is among it, in float32."""
    )
    head = ["", "", "batch", "CPU ms an image", "images a CPU second", "kimg in a CPU hour", "MB at most"]
    print(f"## Training: the cost of a size\n\n{how}\n\n{table(head, rows, texts=2)}")


if __name__ == "__main__":
    main()
