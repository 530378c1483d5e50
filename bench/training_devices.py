"""What a second device brings: one worker on one core beside two workers of a cluster on a core each. Prints Markdown.

A worker stands for a machine, a core for its processor; gradients travel over loopback. The batch is the same in all.
Linux alone: workers are pinned to cores.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from common import BIN, ENVIRONMENT, KEPT, Cells, log_of, median, number, paragraph, table
from gentrain import sources
from gentrain.data.dataset import Frame

WORKERS = (1, 2)
TICKS_BEFORE = 2  # not counted: the step is compiled in the first


def measure_round(options: str, kimg: float) -> dict[str, Any]:
    """Images a second with one worker and with two."""
    return {str(count): images_per_second(count, options.split(), kimg) for count in WORKERS}


def enlarged_digits() -> Path:
    """The digits as 64×64: every pixel four times, and a margin. Images of one size are taken as they are."""
    file = KEPT / "digits-64.npz"
    if not file.exists():
        digits = sources.read("digits", Frame(28)).images
        KEPT.mkdir(exist_ok=True)
        np.savez_compressed(file, images=np.pad(digits.repeat(2, 1).repeat(2, 2), ((0, 0), (4, 4), (4, 4), (0, 0))))
    return file


def images_per_second(count: int, options: list[str], kimg: float) -> float:
    """Train with so many workers, each on a core of its own; by the log of the first."""
    with tempfile.TemporaryDirectory() as folder:
        run_directory = Path(folder) / "run"
        settings = (f"kimg_per_tick={kimg / 8}", "kimg_per_evaluation=0", "kimg_per_checkpoint=1e6")
        command = [str(BIN / "gentrain"), "fit", "--run", str(run_directory), *options]
        command += ["--kimg", str(kimg)]
        command += [part for setting in settings for part in ("--set", setting)]
        addresses = free_addresses(count)
        workers = [
            subprocess.Popen(
                ["taskset", "--cpu-list", str(index), *command],
                stdout=subprocess.DEVNULL,
                env=ENVIRONMENT | ({"TF_CONFIG": task(addresses, index)} if count > 1 else {}),
            )
            for index in range(count)
        ]
        codes = [worker.wait() for worker in workers]
        if any(codes):
            raise SystemExit(f"gentrain fit with {count} workers failed")
        ticks = log_of(run_directory)[TICKS_BEFORE:]
    return statistics.median(tick["images_per_second"] for tick in ticks)


def task(addresses: list[str], index: int) -> str:
    """TF_CONFIG of one worker."""
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})


def free_addresses(count: int) -> list[str]:
    """Ports that are free now."""
    sockets = [socket.create_server(("localhost", 0)) for _ in range(count)]
    addresses = [f"localhost:{opened.getsockname()[1]}" for opened in sockets]
    for opened in sockets:
        opened.close()
    return addresses


def report(found: dict[str, list[dict[str, Any]]], rounds: int, days: str) -> str:
    """The section of Markdown."""
    rows = [
        [name, *(number(median(cells, str(count))) for count in WORKERS), f"{_speed_up(cells):.2f}"]
        for name, cells in found.items()
    ]
    how = paragraph(
        f"""Medians of {rounds} rounds, measured {days}; the speed-up is the median of those within a round. Each
        worker has one core to itself, the batch is shared by all, so two workers make the steps that one makes."""
    )
    return f"""## Training: several devices

`make bench-training`, or `python bench/training_devices.py`: the 5,000 digits, as they are or enlarged to 64×64.

{table(["preset", "one worker, images/s", "two workers, images/s", "speed-up"], rows)}

{how}"""


def _speed_up(cells: list[dict[str, Any]]) -> float:
    return statistics.median(cell["2"] / cell["1"] for cell in cells)


def main() -> None:
    """Measure the rounds that are not there yet, print all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--again", action="store_true", help="forget the rounds that were measured before")
    arguments = parser.parse_args()
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < max(WORKERS):
        sys.exit("needs Linux and two cores")
    cells = Cells("training_devices", arguments.again)
    subjects = {
        "`small`, 28×28, batch 64": ("--data digits --preset small --batch 64", 8.192),
        "`tf-tutorial`, 28×28, batch 256": ("--data digits --preset tf-tutorial --batch 256", 16.384),
        "`medium`, 64×64, batch 64, enlarged": (f"--data {enlarged_digits()} --preset medium --batch 64", 2.048),
    }
    found = {
        name: [cells.get(f"{name}, round {n}", measure_round, *subject) for n in range(arguments.rounds)]
        for name, subject in subjects.items()
    }
    print(report(found, arguments.rounds, cells.days()))


if __name__ == "__main__":
    main()
