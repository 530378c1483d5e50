"""100,000 images into shards: how near to the server's rate, in how much memory, and whether a kill loses anything.

genserve serves an untrained generator on the same cores. `genclient bench` finds its rate; `genclient
sample` then writes tar and TFRecord shards undisturbed, and once more with kill -9 in the middle and a second run.
Prints Markdown.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from common import BIN, ENVIRONMENT, paragraph, run, table, tell
from serving_servers import MODELS, SERVERS, serving

KINDS = {"tar shards (WebDataset)": "%06d.tar", "TFRecord shards": "%06d.tfrecord"}
AIM, MOST_MEGABYTES = 0.85, 50


@dataclass(frozen=True)
class Written:
    """A run to its end: seconds, and resident memory in MB once it was under way and at most."""

    seconds: float
    settled: float
    most: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--images", type=int, default=100_000, help="how many (default: 100,000)")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each level of `genclient bench` (default: 5)")
    parser.add_argument("--model", choices=list(MODELS), default="digits", help="28×28 grey or 64×64 colour")
    arguments = parser.parse_args()
    with serving(SERVERS["genserve"], arguments.model, 64) as running, tempfile.TemporaryDirectory() as folder:
        target = ["--target", f"127.0.0.1:{running.port}", "--model", arguments.model]
        rate = best_rate(target, arguments.seconds)
        rows = [row(kind, target, Path(folder), arguments.images, rate) for kind in KINDS]
    head = ["", "images/s", "of `bench`", "MB, under way", "MB, at most", "after kill -9 and a second run"]
    print(f"## {arguments.images:,} images of {arguments.model} into shards\n")
    print("`make bench-client`, or `python bench/client_shards.py`\n")
    print(table(head, rows))
    print()
    print(
        paragraph(
            f"""`genclient bench --concurrency 1:8:2x` found {rate:.0f} images a second at best; server and client share
            the cores. Aims: {AIM} of that for the whole process, and less than {MOST_MEGABYTES} MB between the third
            and the fourth column, of which the third is the memory when a tenth of the shards was there. The last
            column compares SHA-256 of all files with those of the undisturbed run."""
        )
    )


def best_rate(target: list[str], seconds: float) -> float:
    """Images a second, at best, by `genclient bench`."""
    tell("genclient bench …")
    options = ("--concurrency", "1:8:2x", "--duration", seconds, "--format", "quiet")
    return float(run(BIN / "genclient", "bench", *target, *options))


def row(kind: str, target: list[str], folder: Path, images: int, rate: float) -> list[str]:
    """The cells of one kind of shards."""
    name = KINDS[kind].partition(".")[2]
    tell(f"{kind} …")
    whole, torn = folder / f"whole-{name}", folder / f"torn-{name}"
    written = write(command(kind, target, whole, images), whole, images)
    state = killed(command(kind, target, torn, images), torn, len(shards(whole)) // 2)
    again = write(command(kind, target, torn, images), torn, images)
    same = fingerprints(whole) == fingerprints(torn)
    verdict = f"{'the same' if same else 'OTHER'} files; {state}, {again.seconds:.1f} s of {written.seconds:.1f} s"
    per_second = images / written.seconds
    return [
        kind,
        f"{per_second:.0f}",
        f"{per_second / rate:.2f}",
        f"{written.settled:.0f}",
        f"{written.most:.0f}",
        verdict,
    ]


def command(kind: str, target: list[str], folder: Path, images: int) -> list[str]:
    """The command that writes them."""
    arguments = [*target, "--n", str(images), "--out", str(folder / KINDS[kind])]
    return [str(BIN / "genclient"), "sample", *arguments, "--format", "json"]


def shards(folder: Path) -> list[Path]:
    """The finished shards."""
    return sorted(path for suffix in (".tar", ".tfrecord") for path in folder.glob(f"*{suffix}"))


def write(arguments: list[str], folder: Path, images: int) -> Written:
    """Run the command to its end and look at its memory ten times a second."""
    start = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    memory: list[float] = []
    settled = 0.0
    while process.poll() is None:
        memory.append(resident(process.pid))
        if not settled and len(shards(folder)) * 10 >= max(10, images // 1000):  # shards of 1000 unless told
            settled = memory[-1]
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{' '.join(arguments)}: exit code {process.returncode}")
    return Written(time.perf_counter() - start, settled, max(memory, default=0.0))


def killed(arguments: list[str], folder: Path, when: int) -> str:
    """Run the command and kill it once there are so many shards; what was there then."""
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    while len(shards(folder)) < when and process.poll() is None:
        time.sleep(0.02)
    process.kill()
    process.wait()
    return f"killed at {len(shards(folder))} shards"


def fingerprints(folder: Path) -> dict[str, str]:
    """SHA-256 of every file by its name."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def resident(process: int) -> float:
    """Resident memory in MB (10⁶ bytes); 0 of a process that has just ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0.0
    return pages * 4096 / 1e6


if __name__ == "__main__":
    main()
