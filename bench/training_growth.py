"""How a training's start and its memory grow with the number of images: `gentrain fit` on folders of 64×64 JPEG files,
for the first time (all are decoded) and once more (from the cache). Prints Markdown. Linux alone: it reads /proc.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import BIN, ENVIRONMENT, Cells, log_of, number, paragraph, table, tell
from gentrain.run import STEPS_PER_EXECUTION
from PIL import Image

SIDE = 64
DISTINCT = 1000  # pictures; each is written under many names, and decoded as often
FOLDERS = 10
SHORTEST = 1.024
STARTS = ("first", "second")


def measure_count(count: int, kimg: float, parent: Path | None) -> dict[str, Any]:
    """Make the files, start twice, remove all of it."""
    with tempfile.TemporaryDirectory(dir=parent, prefix="training_growth-") as folder:
        images = Path(folder) / "images"
        tell(f"writing {count} files")
        write_images(images, count)
        found: dict[str, Any] = {}
        for start in STARTS:
            found |= {f"{start} {name}": value for name, value in start_once(images, Path(folder), start, kimg).items()}
        return found


def start_once(images: Path, folder: Path, name: str, kimg: float) -> dict[str, float]:
    """One training: seconds to the end of its first step, and the peaks of its memory in MB.

    The log tells of eight steps at a time: the other seven are taken off, as long as they take later on.
    """
    run_directory = folder / name
    settings = ["--set", "kimg_per_tick=0.512", "--set", "kimg_per_evaluation=0"]
    command = [str(BIN / "gentrain"), "fit", "--data", str(images), "--run", str(run_directory), "--preset", "medium"]
    started, seconds, anonymous, total = time.perf_counter(), 0.0, 0.0, 0.0
    process = subprocess.Popen(
        [*command, "--kimg", str(kimg), *settings],
        stdout=subprocess.DEVNULL,
        env=ENVIRONMENT | {"GENLINE_CACHE": str(folder / "cache")},
    )
    while process.poll() is None:
        now_anonymous, now_total = memory(process.pid)
        anonymous, total = max(anonymous, now_anonymous), max(total, now_total)
        if not seconds and log_of(run_directory):
            seconds = time.perf_counter() - started
        time.sleep(0.02)
    if process.returncode or not seconds:
        raise SystemExit(f"gentrain fit on {images.name}: exit code {process.returncode}")
    settled = statistics.median(tick["images_per_second"] for tick in log_of(run_directory)[1:])
    batch = json.loads((run_directory / "config.json").read_text(encoding="utf-8"))["settings"]["batch"]
    seconds -= (STEPS_PER_EXECUTION - 1) * batch / settled
    return {"seconds": seconds, "anonymous": anonymous, "total": total}


def memory(process: int) -> tuple[float, float]:
    """Resident memory of a process in MB: what it allocated, and with files that it has mapped."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    except OSError:  # it has just ended
        return 0.0, 0.0
    kilobytes = {line.split(":")[0]: float(line.split()[1]) for line in lines if line.endswith(" kB")}
    return kilobytes.get("RssAnon", 0.0) * 1024 / 1e6, kilobytes.get("VmRSS", 0.0) * 1024 / 1e6


def write_images(folder: Path, count: int) -> None:
    """`count` JPEG files of smooth noise, evenly in ten sub-folders, the classes."""
    pictures = [_picture(seed) for seed in range(min(DISTINCT, count))]
    for i in range(FOLDERS):
        (folder / f"class{i}").mkdir(parents=True)
    for i in range(count):
        (folder / f"class{i % FOLDERS}" / f"{i:06d}.jpg").write_bytes(pictures[i % len(pictures)])


def _picture(seed: int) -> bytes:
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(file, "JPEG")
    return file.getvalue()


def report(found: dict[int, dict[str, Any]], kimg: float, days: str) -> str:
    """The section of Markdown."""
    head = ["images", "first start, s", "second start, s", "memory, MB", "with mapped files, MB"]
    rows = [
        [
            f"{count:,}",
            *(number(cell[f"{start} seconds"]) for start in STARTS),
            *(" / ".join(number(cell[f"{start} {kind}"]) for start in STARTS) for kind in ("anonymous", "total")),
        ]
        for count, cell in found.items()
    ]
    least, most = min(found), max(found)
    times = {start: found[most][f"{start} seconds"] / found[least][f"{start} seconds"] for start in STARTS}
    grown = [found[most][f"{start} anonymous"] / found[least][f"{start} anonymous"] for start in STARTS]
    ratios = paragraph(
        f"""{most / least:.0f} times the images take {times["first"]:.2f} times as long to start on for the first time,
        {times["second"]:.2f} times as long once they are decoded, and {max(grown):.2f} times the memory."""
    )
    how = paragraph(
        f"""Measured {days}, from the start of the process to the end of the first step of `--preset medium`, compiling
        included; files and cache in the page cache. Memory is the most that was resident while it trained {kimg:g}
        kimg, in the first / the second start: anonymous, and with the pages of mapped files."""
    )
    return f"""## Training: start and memory, from few images to many

`make bench-training`, or `python bench/training_growth.py`: generated {SIDE}×{SIDE} colour JPEG files in ten folders.

{table(head, rows, texts=0)}

{ratios}

{how}"""


def main() -> None:
    """Measure the counts that are not there yet, print all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--counts", default="5000,50000,500000", help="images (default: 5000,50000,500000)")
    parser.add_argument("--kimg", type=float, default=2.0, help="length of each training (default: 2)")
    parser.add_argument("--folder", type=Path, help="where the files are for the while; 10 GB for 500,000 images")
    parser.add_argument("--again", action="store_true", help="forget what was measured before")
    arguments = parser.parse_args()
    if not Path("/proc/self/status").exists():
        sys.exit("memory is read from /proc, which this system does not have")
    if arguments.kimg < SHORTEST:
        parser.error(f"--kimg must be at least {SHORTEST:g}: two lines of the log")
    kimg: float = arguments.kimg
    cells = Cells("training_growth", arguments.again)
    found = {
        count: cells.get(f"{count} images, {kimg:g} kimg", measure_count, count, kimg, arguments.folder)
        for count in map(int, arguments.counts.split(","))
    }
    print(report(found, kimg, cells.days()))


if __name__ == "__main__":
    main()
